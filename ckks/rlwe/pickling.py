"""What pickles of public objects come back through: their validating constructors, and errors of ours alone.

A pickle runs code of its sender's choice, whatever is done here: it is for processes of one owner. Strangers send the
bytes of `serialization`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from ckks.errors import HEError, SerializationError

_T = TypeVar("_T")


def rebuild(kind: type[_T], arguments: Mapping[str, Any]) -> _T:
    """Return kind(**arguments).

    Raises:
        HEError: as the constructor does; SerializationError for a state that it was not made for.
    """
    try:
        return kind(**arguments)
    except HEError:
        raise
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        name = getattr(kind, "__name__", type(kind).__name__)
        raise SerializationError(f"pickled {name} of a state that none has ({type(error).__name__}): {error}") from None

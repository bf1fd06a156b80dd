"""Keys of the right shapes and no more, for computations that nobody has keys for yet.

Over `kernels.recording` nothing reads what is in a key, so its words may lie over each other in one row of zeros. Where
time is measured (`kernels.sampling`) zeros will do as well, since no kernel's time depends on words, but not one row:
real keys come from as much memory as they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

import numpy as np

from ckks.errors import MissingKey
from ckks.kernels import Words, zeros
from ckks.ring import check_galois_element
from ckks.rlwe.keys import EvaluationKeys, SwitchingKey
from ckks.rlwe.params import RLWEParams

__all__ = ["AskedKeys", "key_ring", "stand_in_keys"]

Source = Callable[[tuple[int, ...]], Words]
"""Makes words of a shape (digits, 2, limbs, N)."""


def stand_in_keys(params: RLWEParams, *, relin: bool = False, elements: Iterable[int] = ()) -> EvaluationKeys:
    """Return a relinearisation key, if wanted, and Galois keys for these elements: all one row of zeros in memory."""
    elements = tuple(elements)
    if not (relin or elements):
        return EvaluationKeys(params)
    key = _stand_in_key(params, _one_row)
    return EvaluationKeys(params, key if relin else None, dict.fromkeys(elements, key))


class AskedKeys(EvaluationKeys):
    """Has every key, and notes which were asked for.

    Args:
        params: that the keys belong to.
        words: where those of a key come from; one row of zeros for all of them unless given.
    """

    _asked: dict[int | None, SwitchingKey]

    def __init__(self, params: RLWEParams, words: Source | None = None) -> None:
        """Begin with nothing asked for."""
        super().__init__(params)
        vars(self).update(_asked={}, _words=words or _one_row)

    @property
    def relinearised(self) -> bool:
        """Whether the relinearisation key was asked for."""
        return None in self._asked

    @property
    def elements(self) -> frozenset[int]:
        """The Galois elements whose keys were asked for."""
        return frozenset(g for g in self._asked if g is not None)

    def relin_key(self) -> SwitchingKey:
        """Return a key, and note it."""
        return self._key(None)

    def galois_key(self, g: int) -> SwitchingKey:
        """Return a key, and note it."""
        return self._key(check_galois_element(self.params.ring_degree, g))

    def _key(self, which: int | None) -> SwitchingKey:
        if which not in self._asked:
            self._asked[which] = _stand_in_key(self.params, vars(self)["_words"])
        return self._asked[which]


def key_ring(most_bytes: int) -> Source:
    """Return a source of words that keys do not share, as real ones do not, until there are `most_bytes` of them.

    From then on they come round again: no cache tells that many from more.
    """
    made: list[Words] = []
    given = 0

    def words(shape: tuple[int, ...]) -> Words:
        nonlocal given
        if not made or 8 * prod(shape) * (len(made) + 1) <= most_bytes:
            made.append(zeros(shape))
        given += 1
        return made[(given - 1) % len(made)]

    return words


def _one_row(shape: tuple[int, ...]) -> Words:
    return np.broadcast_to(np.zeros(shape[-1], dtype=np.uint64), shape)


def _stand_in_key(params: RLWEParams, words: Source) -> SwitchingKey:
    if not params.special_moduli:
        raise MissingKey("these parameters have no special primes, so no evaluation keys; add special_moduli")
    level = params.top_level
    basis = params.extended_basis(level)
    return SwitchingKey.of(params, words((len(params.digits(level)), 2, len(basis), basis.n)), level)

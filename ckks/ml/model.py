"""A model ready to be evaluated encrypted: what its owner has, and what a client is told of it.

    model = ckks.ml.from_sklearn(pipeline, X=X_train)     the owner's
    model.description                                     public: all that a client needs; see Description
    model.server(keys), model.client()                    the two sides

Both are plain data (`to_dict`, `from_dict`): numbers and texts, no code, no pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import ModelError
from ckks.ml import plain
from ckks.ml.forest import Forest
from ckks.ml.layers import FEATURE_MAJOR, RECORDS
from ckks.ml.layout import Packing
from ckks.ml.network import Network
from ckks.ml.outputs import Output
from ckks.ml.rehearsal import rehearse
from ckks.ml.schema import Outside, Schema
from ckks.rlwe import Ciphertext, EvaluationKeys
from ckks.scheme import CKKSParams, error_bound, expected_error
from ckks.scheme.serialization import params_from_bytes, to_bytes

if TYPE_CHECKING:
    from ckks.ml.client import Client
    from ckks.ml.server import Server
    from ckks.ring import Rng

__all__ = ["Description", "Model", "parameters_for"]

Floats = NDArray[np.float64]

FORMAT = "ckks.ml/1"
MAX_OUTPUTS = 1 << 12

_SPARE = 8.0  # `for_depth` leaves so much room above value_range in the last modulus


def parameters_for(
    program: Network | Forest,
    *,
    precision_bits: float = 24,
    scale_bits: int | None = None,
    security: int = 128,
    key_switching: bool = True,
) -> CKKSParams:
    """Return the smallest secure parameters for a program; `precision_bits` are those of values in [-1, 1].

    With `scale_bits` the scale is given instead: for answers that are flooded, which needs room below the values.
    """
    beyond = program.row_weight / _SPARE
    value_range = 2.0 ** max(0, ceil(log2(beyond))) if beyond > 1 else 1.0
    if scale_bits is not None:
        return CKKSParams.for_scale(
            program.depth,
            scale_bits=scale_bits,
            value_range=value_range,
            security=security,
            key_switching=key_switching,
        )
    return CKKSParams.for_depth(
        program.depth,
        precision_bits=precision_bits,
        value_range=value_range,
        security=security,
        key_switching=key_switching,
    )


@dataclass(frozen=True, repr=False)
class Description:
    """What a client is told of a model.

    Of what was learned it holds the ranges of columns and the categories, and sizes: `scale` is the scores' range, to
    a power of two, `score_error` follows from it and from the sizes of weights (of trees, from differences of their
    leaves), `level` from the number of layers, or from the depth of trees. No weight, threshold or leaf is in it.

    schema           the columns it reads, with their ranges
    output           what its scores stand for
    params           of keys and ciphertexts
    packing          the layouts it accepts
    level            at which rows are encrypted: the depth of its evaluation
    relinearisation  whether that key is needed
    scale            a score is so many times a decrypted value
    score_error      no score is further from the model's own than this, encryption and polynomials together
    """

    schema: Schema
    output: Output
    params: CKKSParams
    packing: Packing
    level: int
    relinearisation: bool
    scale: float
    outputs: int
    score_error: float

    def __post_init__(self) -> None:
        """Refuse a number of scores that the output does not have."""
        self.output.check(self.outputs)

    @property
    def needs_keys(self) -> bool:
        """Whether the server needs any evaluation key."""
        return self.relinearisation or bool(self.packing.rotations)

    def __repr__(self) -> str:
        """Return a line."""
        return (
            f"<Description: {self.schema.n_columns} columns to {self.outputs} scores ({self.output.kind}), each within "
            f"{self.score_error:.1e}; {self.params}>"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON; the parameters as the library's bytes, in hex."""
        return {
            "format": FORMAT,
            "schema": self.schema.to_dict(),
            "output": self.output.to_dict(),
            "parameters": to_bytes(self.params).hex(),
            "layouts": list(self.packing.layouts),
            "level": self.level,
            "relinearisation": self.relinearisation,
            "scale": self.scale,
            "outputs": self.outputs,
            "score_error": self.score_error,
        }

    @classmethod
    def from_dict(cls, value: object, *, allow_insecure: bool = False) -> Description:
        """Return the description that `to_dict` wrote; ModelError, or SerializationError, for anything else.

        Parameters marked insecure are refused unless a test allows them: the other side does not choose them.
        """
        names = ("format", "schema", "output", "parameters", "layouts", "level")
        parts = plain.fields(value, "the description", (*names, "relinearisation", "scale", "outputs", "score_error"))
        if parts["format"] != FORMAT:
            raise ModelError(f"format {str(parts['format'])[:40]!r}; needed {FORMAT!r}: describe the model again")
        schema = Schema.from_dict(parts["schema"])
        params = _params(parts["parameters"], allow_insecure)
        scale, error = (plain.number(parts[name], f"the model's {name}") for name in ("scale", "score_error"))
        if scale <= 0 or error < 0:
            raise ModelError(f"scale {scale:g}, score_error {error:g}; needed numbers above 0")
        return cls(
            schema,
            Output.from_dict(parts["output"]),
            params,
            Packing(schema.width, params.slots, tuple(map(str, plain.items(parts["layouts"], "the layouts", 2)))),
            plain.whole(parts["level"], "the level", 0, params.top_level),
            parts["relinearisation"] is True,
            scale,
            plain.whole(parts["outputs"], "the number of scores", 1, MAX_OUTPUTS),
            error,
        )


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained model as data: what a server evaluates, and what its client has to know.

    Args:
        program: what is evaluated on the features.
        schema: how a table becomes features.
        output: what the scores stand for.
        params: of keys and ciphertexts.
        layouts: the accepted ones; both unless there is a reason.
    """

    program: Network | Forest
    schema: Schema
    output: Output
    params: CKKSParams
    layouts: tuple[str, ...] = (FEATURE_MAJOR, RECORDS)

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        if self.program.width != self.schema.width:
            raise ModelError(f"a program of {self.program.width} features for a schema of {self.schema.width}")
        self.output.check(self.program.outputs)
        if self.program.depth > self.params.top_level:
            raise ModelError(
                f"the model needs {self.program.depth} levels, the parameters have {self.params.top_level}; use "
                "parameters_for(...), a lower degree, or fewer layers"
            )
        needs_switching = self.program.relinearisation or self.packing.rotations
        if needs_switching and not self.params.num_special:
            raise ModelError("parameters without special primes have no evaluation keys; use key_switching=True")

    # ---- what it is ------------------------------------------------------------------------------------------------

    @property
    def n_features_in_(self) -> int:
        """Number of columns of the tables it accepts."""
        return self.schema.n_columns

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns; AttributeError where the model was trained without."""
        if self.schema.names is None:
            raise AttributeError("the model was trained on columns without names")
        return np.array(self.schema.names, dtype=object)

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels, in the order of the scores; AttributeError for a regression."""
        if not self.output.classes:
            raise AttributeError("a regression has no classes")
        return np.array(self.output.classes)

    @property
    def depth(self) -> int:
        """Levels that an evaluation uses."""
        return self.program.depth

    @property
    def rotations(self) -> tuple[int, ...]:
        """Slot rotations that need keys: none, but for tables of few rows."""
        return self.packing.rotations

    @cached_property
    def packing(self) -> Packing:
        """How rows lie in ciphertexts."""
        return Packing(self.schema.width, self.params.slots, self.layouts)

    def layout(self, rows: int) -> str:
        """Return how a table of so many rows is packed."""
        return self.packing.layout_for(rows)

    @cached_property
    def encryption_error(self) -> float:
        """A bound on what encryption moves a score by (see `rlwe.noise` for the meaning of a bound)."""
        return self.program.scale * max(error_bound(one) for one in self._rehearsed)

    @cached_property
    def expected_error(self) -> float:
        """The rms error to expect of a score, by encryption alone: far below the bound, which adds up worst cases."""
        return self.program.scale * max(expected_error(one) for one in self._rehearsed)

    @cached_property
    def score_errors(self) -> Floats:
        """What each of the scores is off at most, (M,): encryption, and polynomials in place of functions."""
        return np.asarray(self.program.error + self.encryption_error)

    @property
    def score_error(self) -> float:
        """What a score is off at most; this number is public."""
        return float(self.score_errors.max())

    @cached_property
    def _rehearsed(self) -> list[Ciphertext]:
        return [rehearse(self.program, self.params, self.packing, layout) for layout in self.layouts]

    def in_the_clear(self, X: Any, *, outside: Outside = "refuse") -> Floats:
        """Return the scores (rows, M) that an evaluation would give if encryption had no error."""
        return self.program.in_the_clear(self.schema.encode(X, outside)[0])

    def certain(self, X: Any, *, outside: Outside = "refuse") -> NDArray[np.bool_]:
        """Return for which rows the encrypted label is sure to be the trained model's: the margin exceeds the error.

        For trees, only rows that `Forest.decided` speaks for.
        """
        return self.certain_within(self.score_errors, X, outside=outside)

    def certain_within(self, errors: Floats, X: Any, *, outside: Outside = "refuse") -> NDArray[np.bool_]:
        """Return the same where scores are off by no more than `errors`, (M,), those of functions included.

        The margin is that of scores which both the trained model's and the encrypted ones are within `errors` of: for
        trees their own, for networks those of the polynomials, from which each side is off by its share of the errors.
        """
        features, _ = self.schema.encode(X, outside)
        scores = self.program.reference(features)
        return np.asarray(self.program.decided(features) & self.output.certain(scores, errors))

    def __str__(self) -> str:
        """Summarise in a line: the plan."""
        layouts = " or ".join(f"{name} ({self.packing.rows_in(name)} rows a chunk)" for name in self.layouts)
        keys = [*(["relinearisation"] if self.program.relinearisation else []), *(["rotations"] * bool(self.rotations))]
        return (
            f"{self.program.kind}: {self.schema.width} features, {self.program.outputs} scores, depth {self.depth}, "
            f"{layouts}, keys: {' and '.join(keys) or 'none'}; {self.params}"
        )

    def __repr__(self) -> str:
        """Return that line."""
        return f"<Model: {self}>"

    # ---- the two sides ---------------------------------------------------------------------------------------------

    @cached_property
    def description(self) -> Description:
        """What a client is told."""
        return Description(
            self.schema,
            self.output,
            self.params,
            self.packing,
            self.depth,
            self.program.relinearisation,
            self.program.scale,
            self.program.outputs,
            self.score_error,
        )

    def server(self, keys: EvaluationKeys | None = None) -> Server:
        """Return the side that evaluates, with a client's evaluation keys."""
        from ckks.ml.server import Server

        return Server(self, keys)

    def client(self, *, outside: Outside = "refuse", rng: Rng | None = None) -> Client:
        """Return the side that encrypts and decrypts, with a new secret key; arguments as for `Client`."""
        from ckks.ml.client import Client

        return Client(self.description, outside=outside, rng=rng)

    def to_dict(self) -> dict[str, object]:
        """Return plain values, for JSON: the description, and what is evaluated. The owner's, not the client's."""
        return {"description": self.description.to_dict(), "program": self.program.to_dict()}

    @classmethod
    def from_dict(cls, value: object, *, allow_insecure: bool = False) -> Model:
        """Return the model that `to_dict` described; ModelError, or SerializationError, for anything else."""
        parts = plain.fields(value, "the model", ("description", "program"))
        described = Description.from_dict(parts["description"], allow_insecure=allow_insecure)
        program = parts["program"]
        kind = program.get("kind") if isinstance(program, dict) else None
        read = Forest.from_dict if kind == Forest.kind else Network.from_dict
        return cls(read(program), described.schema, described.output, described.params, described.packing.layouts)


def _params(value: object, allow_insecure: bool) -> CKKSParams:
    try:
        data = bytes.fromhex(value if isinstance(value, str) else "?")
    except ValueError:
        raise ModelError("the parameters are no hex digits; use a description written by to_dict()") from None
    return params_from_bytes(data, allow_insecure=allow_insecure)

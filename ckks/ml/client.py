"""The side that owns rows and secret key: it encrypts, decrypts, and turns scores into labels and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ckks.errors import BasisMismatch, ModelError, RangeError, SlotError
from ckks.ml.layout import Encrypted
from ckks.ml.model import Description
from ckks.ml.schema import Outside
from ckks.ring import Rng
from ckks.rlwe import EvaluationKeys, Noise
from ckks.scheme import Encryptor

if TYPE_CHECKING:
    from ckks.rlwe.secret import SecretKey

__all__ = ["Client"]

Floats = NDArray[np.float64]


class Client:
    """One client of one model. Everything it returns is for the key holder: see `Decryptor.decrypt`.

    Args:
        description: of the model, as its owner gave it (`Description.from_dict`).
        secret: a key to go on with; a new one unless given. `secret_key` has it, for `rlwe.secret.save_secret_key`.
        outside: what becomes of cells outside their declared range: "refuse" (an error) or "clip" (counted).
        rng: where randomness comes from; the operating system unless a test passes its own.
    """

    def __init__(
        self,
        description: Description,
        secret: SecretKey | None = None,
        *,
        outside: Outside = "refuse",
        rng: Rng | None = None,
    ) -> None:
        """Make keys."""
        from ckks.rlwe.secret import KeyGenerator  # only in a process that holds a secret key
        from ckks.scheme.decryption import Decryptor

        self.description = description
        self.outside: Outside = outside
        self._generator = KeyGenerator(description.params, rng)
        self.secret_key = self._generator.secret_key() if secret is None else secret
        self._encryptor = Encryptor(description.params, self.secret_key, rng)
        self._decryptor = Decryptor(description.params, self.secret_key)

    def __repr__(self) -> str:
        """Return a line, which shows nothing of the secret key."""
        return f"<Client of {self.description!r}>"

    @property
    def n_features_in_(self) -> int:
        """Number of columns of the tables it takes."""
        return self.description.schema.n_columns

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels, in the order of the scores; AttributeError for a regression."""
        if not self.description.output.classes:
            raise AttributeError("a regression has no classes")
        return np.array(self.description.output.classes)

    @property
    def score_error(self) -> float:
        """No score is further from the model's own than this."""
        return self.description.score_error

    @cached_property
    def evaluation_keys(self) -> EvaluationKeys:
        """What the server needs, and may have: no more than the model asks for."""
        described = self.description
        if not described.needs_keys:
            return EvaluationKeys(described.params)
        return self._generator.evaluation_keys(
            self.secret_key, relin=described.relinearisation, rotations=list(described.packing.rotations)
        )

    # ---- rows ------------------------------------------------------------------------------------------------------

    def encrypt(self, X: Any, *, layout: str | None = None, outside: Outside | None = None) -> Encrypted:
        """Return encrypted rows, in as many chunks as they take.

        Args:
            X: a table (rows, n_features_in_): an array, a list of rows, or a DataFrame.
            layout: "feature-major" or "records"; chosen by the number of rows unless given.
            outside: as for the class, for this table.

        Raises:
            RangeError: a cell that is no number, of no known category, or outside its declared range.
            SlotError: a table of another shape, or with other column names.
        """
        described = self.description
        features, clipped = described.schema.encode(X, outside or self.outside)
        layout = layout or described.packing.layout_for(len(features))
        pairs = [
            self._encryptor.encrypt_seeded(values, level=described.level, bound=1.0)
            for values in described.packing.pack(features, layout)
        ]
        return Encrypted(tuple(ct for ct, _ in pairs), len(features), layout, clipped, tuple(s for _, s in pairs))

    # ---- scores ----------------------------------------------------------------------------------------------------

    def receive(self, frames: Sequence[bytes], *, rows: int, layout: str) -> Encrypted:
        """Return the encrypted scores that a server sent as `Encrypted.frames()`, with the error the model states."""
        params = self.description.params
        size = max(self.score_error / self.description.scale, 2.0**-60) * float(params.scale)
        return Encrypted.from_frames(frames, params, rows=rows, layout=layout, noise=Noise(size, size))

    def scores(self, answer: Encrypted) -> Floats:
        """Return the decrypted scores, (rows, M), each within `score_error` of the model's own."""
        if not isinstance(answer, Encrypted):
            raise TypeError(
                f"found {type(answer).__name__}, needed an answer: client.predict(server.evaluate(client.encrypt(X)))"
            )
        described = self.description
        packing = described.packing
        if packing.chunks(answer.rows, answer.layout) != len(answer.chunks):
            raise SlotError(f"{answer.rows} rows in {len(answer.chunks)} chunks of layout {answer.layout!r}")
        for chunk in answer.chunks:
            if chunk.params != described.params:
                raise BasisMismatch("the answer belongs to other parameters than the model's")
            if chunk.shape != (described.outputs,):
                raise SlotError(f"an answer of {chunk.shape} ciphertexts a chunk; needed {described.outputs} scores")
        if not answer.chunks:
            return np.zeros((0, described.outputs))
        values = packing.unpack([self._decryptor.decrypt(c) for c in answer.chunks], answer.rows, answer.layout)
        size, most = float(np.abs(values).max(initial=0.0)), 1.0 + 2 * self.score_error / described.scale + 2.0**-20
        if size > most:
            raise RangeError(
                f"decrypted values up to {size:.3g}, where those of the model lie within {most:.3g}; the answer is "
                "damaged, or belongs to another key: use the client whose evaluation_keys the server has"
            )
        return described.scale * values

    def decision_function(self, answer: Encrypted) -> Floats:
        """Return the scores with the shape that scikit-learn's decision_function has."""
        output = self.description.output
        if output.kind not in ("logistic", "margin", "softmax"):
            raise ModelError(f"scores of kind {output.kind!r} are no decision values; use predict or predict_proba")
        return output.shaped(self.scores(answer))

    def predict_proba(self, answer: Encrypted) -> Floats:
        """Return probabilities (rows, classes): sigmoid or softmax of the scores, exact functions of what came back."""
        return self.description.output.probabilities(self.scores(answer))

    def predict(self, answer: Encrypted) -> NDArray[Any]:
        """Return labels, or the numbers of a regression."""
        return self.description.output.predictions(self.scores(answer))

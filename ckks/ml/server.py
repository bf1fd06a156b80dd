"""The side that evaluates: it has the model and a client's evaluation keys, and nothing that decrypts."""

from __future__ import annotations

from collections.abc import Sequence

from ckks.errors import BasisMismatch, LevelError, SlotError
from ckks.ml.layout import Encrypted
from ckks.ml.model import Model
from ckks.rlwe import Ciphertext, EvaluationKeys
from ckks.scheme import Evaluator
from ckks.scheme.meta import meta_of

__all__ = ["Server"]


class Server:
    """Evaluates a model on encrypted rows. Immutable; share it between threads.

    Args:
        model: what is evaluated.
        keys: the client's evaluation keys; None for models and layouts that need none.
    """

    def __init__(self, model: Model, keys: EvaluationKeys | None = None) -> None:
        """Keep both."""
        if keys is not None and not isinstance(keys, EvaluationKeys):
            raise TypeError(f"expected EvaluationKeys, found {type(keys).__name__}; pass client.evaluation_keys")
        self.model = model
        self.evaluator = Evaluator(model.params, keys)

    def __repr__(self) -> str:
        """Return a line."""
        return f"<Server of {self.model!r}, {self.evaluator.keys!r}>"

    def receive(self, frames: Sequence[bytes], *, rows: int, layout: str) -> Encrypted:
        """Return encrypted rows that a client sent as `Encrypted.frames()`; SerializationError for anything else."""
        return Encrypted.from_frames(frames, self.model.params, rows=rows, layout=layout)

    def evaluate(self, rows: Encrypted) -> Encrypted:
        """Return the encrypted scores of encrypted rows: a batch (M,) of ciphertexts for each chunk.

        Raises:
            SlotError, LevelError, BasisMismatch: the rows are not packed as the model's description says.
            MissingKey: a key is not there that the layout or the model needs.
        """
        if not isinstance(rows, Encrypted):
            raise TypeError(f"found {type(rows).__name__}, needed encrypted rows: server.evaluate(client.encrypt(X))")
        packing = self.model.packing
        if rows.rows < 0 or packing.chunks(rows.rows, rows.layout) != len(rows.chunks):
            raise SlotError(
                f"{rows.rows} rows in {len(rows.chunks)} chunks; the layout {rows.layout!r} has "
                f"{packing.rows_in(rows.layout)} a chunk"
            )
        for chunk in rows.chunks:
            self._check(chunk, rows.layout)
        return Encrypted(tuple(self.evaluate_chunk(c, rows.layout) for c in rows.chunks), rows.rows, rows.layout)

    def evaluate_chunk(self, x: Ciphertext, layout: str) -> Ciphertext:
        """Return the scores of one chunk, at level 0: no more limbs are sent back than the scores need."""
        x = self.evaluator.with_bound(x, 1.0)  # the client's promise, whatever was declared
        y = self.model.program.evaluate(self.evaluator, x, layout)
        return self.evaluator.drop(y, 0)

    def _check(self, x: Ciphertext, layout: str) -> None:
        self.evaluator.check(x)
        model, meta = self.model, meta_of(x)
        wanted = model.packing.shape(layout)
        if x.shape != wanted or x.parts != 2 or meta.slots != model.packing.slots or meta.length != meta.slots:
            raise SlotError(
                f"a chunk of batch {x.shape}, {x.parts} parts, {meta.length} values in {meta.slots} slots; needed "
                f"batch {wanted}, 2 parts, all {model.packing.slots} slots in use, as Client.encrypt packs rows"
            )
        if x.level != model.depth:  # above, key switches have more digits, and larger errors than are stated
            raise LevelError(f"rows at level {x.level}; the model needs {model.depth}: encrypt them at that level")
        if meta.scale != model.params.scale_at(x.level):
            raise BasisMismatch("rows at a scale that is not the canonical one of their level; use Client.encrypt")

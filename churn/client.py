"""Who owns the records and the secret key: encrypts, asks, decrypts.

    with Client("http://127.0.0.1:8000", key_file="my.key") as client:
        scores = client.score("churn", records)          # a table of any number of rows
        scores.probabilities                              # (rows,)

The model's description comes first; parameters, keys and schema follow from it, so the two ends
cannot disagree. What is decrypted has no influence on what is sent: all requests of a call are
answered before the first answer is opened, and nothing is tried again. A host that tampers with
answers learns nothing from watching [LM21], docs/security.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import numpy.typing as npt

from churn.circuit import FEATURE_MAJOR, LOGIT, RECORD
from churn.errors import DataError
from churn.hosting.model import Description, Layout
from churn.hosting.remote import BadAnswer, Remote
from churn.keyfile import KeyFile, SentKeys
from churn.scoring import Scores, ScoringModel, Usage
from ckks.errors import HEError
from ckks.rlwe.secret import KeyGenerator, SecretKey
from ckks.scheme import Encryptor
from ckks.scheme.decryption import Decryptor
from ckks.scheme.meta import meta_of
from ckks.scheme.serialization import (
    ciphertext_from_bytes,
    ciphertext_length,
    seeded_to_bytes,
    to_bytes,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Client", "Progress"]

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with rows done and rows in all."""


class Client:
    """The key owner's end of the service. Not shared between threads."""

    def __init__(
        self,
        service: str | Remote,
        *,
        key_file: str | Path | None = None,
        passphrase: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect lazily.

        Args:
            service: the service's URL, or a `Remote`.
            key_file: where the secret key is kept; made when missing. Without one, the key lives
                and dies with this object.
            passphrase: seals the key file.
            transport: see `Remote`.
        """
        self.remote = service if isinstance(service, Remote) else Remote(service, transport=transport)
        self.usage = Usage()
        self._file = KeyFile(key_file, passphrase) if key_file is not None else None
        self._secrets: dict[bytes, SecretKey] = {}
        self._sent: dict[bytes, list[SentKeys]] = {}

    def __enter__(self) -> Client:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection and wipe the secret keys."""
        self.close()

    def close(self) -> None:
        """Close the connection and wipe the secret keys."""
        self.remote.close()
        for secret in self._secrets.values():
            secret.close()
        self._secrets.clear()

    # ---- what a caller asks for ------------------------------------------------------------------

    def model(self, name: str) -> ScoringModel:
        """Ask for a model's description."""
        return ScoringModel.of(self.remote.describe(name))

    def prepare(self, model: ScoringModel, layout: str = FEATURE_MAJOR) -> str | None:
        """Have secret key and evaluation keys ready, sending the latter unless they are there.

        Returns the digest of the stored evaluation keys, None where the layout needs none.
        """
        description, needed = model.description, model.layout(layout)
        params = description.params
        with self._timed("keygen"):
            secret = self._secret(description)
        if not needed.needs_keys:
            return None
        for sent in self._sent.get(params.digest, []):
            if sent.serve(needed) and self.remote.has_keys(sent.digest):
                return sent.digest
        with self._timed("keygen"):
            keys = KeyGenerator(params).evaluation_keys(
                secret, relin=needed.relinearisation, rotations=needed.rotations
            )
            data = to_bytes(keys)
        with self._timed("upload_keys"):
            digest = self.remote.upload_keys(data, description)
        self.usage.bytes_keys += len(data)
        sent = SentKeys(digest, needed.relinearisation, needed.rotations)
        self._sent.setdefault(params.digest, []).insert(0, sent)
        if self._file is not None:
            self._file.remember(sent)
        return digest

    def score(self, model: str | ScoringModel, records: pd.DataFrame, *, progress: Progress | None = None) -> Scores:
        """Return the probability for each of any number of rows.

        Raises the errors of `Schema.transform` for records that the model cannot take, ServiceError
        for what goes wrong at the other end, BadAnswer for an answer that is damaged.
        """
        if isinstance(model, str):
            model = self.model(model)
        x = model.schema.transform(records)  # (rows, d)
        if not len(x):
            raise DataError("the table has no rows", "one at least is needed", "Add records")
        slots = model.layout(FEATURE_MAJOR).slots
        chunks = [np.ascontiguousarray(x[i : i + slots].T) for i in range(0, len(x), slots)]
        return self._ask(model, FEATURE_MAJOR, chunks, progress)

    def score_record(self, model: str | ScoringModel, records: pd.DataFrame, row: int = 0) -> Scores:
        """Return the probability of one row, sent as one small ciphertext."""
        if isinstance(model, str):
            model = self.model(model)
        if not 0 <= row < len(records):
            raise DataError(
                f"row {row} was asked for", f"the table has rows 0 to {len(records) - 1}", "Name one of these"
            )
        x = model.schema.transform(records.iloc[row : row + 1])  # (1, d)
        return self._ask(model, RECORD, [x], None)

    # ---- how it is done --------------------------------------------------------------------------

    def _ask(self, model: ScoringModel, layout: str, chunks: list[Floats], progress: Progress | None) -> Scores:
        """Encrypt and send every chunk (items, n); only then open the answers."""
        before = Usage(**vars(self.usage))
        keys = self.prepare(model, layout)
        description, packing = model.description, model.layout(layout)
        params = description.params
        encryptor = Encryptor(params, self._secret(description))
        longest = ciphertext_length(params)
        lengths = [chunk.shape[1] if layout == FEATURE_MAJOR else 1 for chunk in chunks]
        answers, done = [], 0
        for chunk, rows in zip(chunks, lengths, strict=True):
            with self._timed("encrypt"):
                body = seeded_to_bytes(*encryptor.encrypt_seeded(chunk, slots=packing.slots, bound=packing.bound))
            with self._timed("evaluate"):
                answer = self.remote.evaluate(description, layout, body, keys, longest=longest)
            self.usage.evaluate_server += answer.seconds.get("evaluate", 0.0)
            self.usage.bytes_up += len(body)
            self.usage.bytes_down += len(answer.data)
            answers.append(answer.data)
            done += rows
            if progress is not None:
                progress(done, sum(lengths))
        with self._timed("decrypt"):
            values = self._open(description, packing, answers, [c.shape[1] for c in chunks])
        if layout == RECORD:
            values = [slots[:1] for slots in values]  # every slot holds the one score
        result = np.concatenate(values)
        logits = result if description.output.kind == LOGIT else None
        probabilities = result if logits is None else (1 + np.tanh(logits / 2)) / 2
        usage = Usage(**{name: value - getattr(before, name) for name, value in vars(self.usage).items()})
        return Scores(probabilities, logits, description, usage)

    def _open(
        self,
        description: Description,
        packing: Layout,
        answers: Iterable[bytes],
        lengths: Iterable[int],
    ) -> list[Floats]:
        """Decrypt and check. However an answer is wrong, the error is the same, and it comes late."""
        output, params = description.output, description.params
        decryptor = Decryptor(params, self._secret(description))
        opened: list[Floats | None] = []
        for data, length in zip(answers, lengths, strict=True):
            try:
                ct = ciphertext_from_bytes(data, params, bound=max(abs(output.low), output.high))
                right = (ct.shape, ct.parts, meta_of(ct).slots) == ((), 2, packing.slots)
                values: Any = decryptor.decrypt(ct) if right else None
            except HEError:
                values = None
            opened.append(_plausible(values, length, output.low, output.high))
        if any(values is None for values in opened):
            raise BadAnswer(
                f"the service's answer for model {description.name!r} is damaged or implausible",
                f"values from {output.low:g} to {output.high:g} are needed in every row",
                "Do not use it, and tell the service's owner; nothing was told to the service",
            )
        return [values for values in opened if values is not None]

    def _secret(self, description: Description) -> SecretKey:
        """The secret key for a model's parameters, from the key file or made now."""
        params = description.params
        secret = self._secrets.get(params.digest)
        if secret is None:
            if self._file is None:
                secret = KeyGenerator(params).secret_key()
            else:
                secret = self._file.load_or_create(params)
                self._sent[params.digest] = self._file.sent()
            self._secrets[params.digest] = secret
        return secret

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self.usage, step, getattr(self.usage, step) + time.perf_counter() - start)


def _plausible(values: Any, length: int, low: float, high: float) -> Floats | None:
    """Return decrypted values if they can be scores, None if they are something else."""
    if values is None or values.dtype.kind != "f" or values.ndim != 1 or len(values) < length:
        return None
    values = values[:length]
    within = bool((np.isfinite(values) & (values >= low) & (values <= high)).all())
    return values if within else None

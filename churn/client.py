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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import httpx
import numpy as np
import numpy.typing as npt

from churn.circuit import FEATURE_MAJOR, LOGIT, RECORD
from churn.errors import DataError
from churn.hosting.model import Description, Layout, Output
from churn.hosting.remote import BadAnswer, Remote, ServiceError, StoredAt
from churn.keyfile import KeyFile, SentKeys
from churn.scoring import Scores, ScoringModel, Usage
from ckks.errors import HEError
from ckks.rlwe import EvaluationKeys, Noise, PublicKey
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

__all__ = ["Client", "Known", "Progress", "Read"]

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
"""Called with rows done and rows in all."""
Read = Callable[[npt.NDArray[np.complex128]], Floats | None]
"""Turns all slots of an answer into numbers, and what cannot be an answer into None."""


class Known(Protocol):
    """A hosted model as its client knows it: a description, and layouts that were held against what else it says."""

    @property
    def description(self) -> Description:
        """As the service gave it."""

    def layout(self, name: str) -> Layout:
        """Return a layout; RequestRefused for one that does not fit."""


@dataclass(frozen=True)
class StoredKeys:
    """Digests of the keys that the service has of us, None where a model needs none: public key, evaluation keys."""

    public: str | None
    evaluation: str | None


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
            service: the URL of a service on this machine, or a `Remote`, with a token where one is needed.
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
        self._galleries: set[str] = set()

    def __enter__(self) -> Client:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection and wipe the secret keys."""
        self.close()

    def close(self) -> None:
        """Have keys and galleries forgotten that nobody can use again, close the connection, wipe the secret keys."""
        if self._file is None:
            for sent in (one for those in self._sent.values() for one in those):
                with suppress(ServiceError):
                    self.remote.delete_keys(sent.digest)
            for name in self._galleries:
                with suppress(ServiceError):
                    self.remote.delete_gallery(name)
        self._sent.clear()
        self._galleries.clear()
        self.remote.close()
        for secret in self._secrets.values():
            secret.close()
        self._secrets.clear()

    # ---- what a caller asks for ------------------------------------------------------------------

    def model(self, name: str) -> ScoringModel:
        """Ask for a model's description."""
        return ScoringModel.of(self.remote.describe(name))

    def prepare(self, model: Known, layout: str = FEATURE_MAJOR) -> StoredKeys:
        """Have secret key, public key and evaluation keys ready, sending the latter two unless they are there."""
        description, needed = model.description, model.layout(layout)
        with self._timed("keygen"):
            secret = self._secret(description)
        generator = KeyGenerator(description.params)
        public = evaluation = None
        if description.flooding is not None:
            public = self._send_once(
                description,
                lambda sent: sent.public,
                lambda: generator.public_key(secret),
                lambda digest: SentKeys(digest, public=True),
            )
        if needed.needs_keys:
            evaluation = self._send_once(
                description,
                lambda sent: sent.serve(needed),
                lambda: generator.evaluation_keys(secret, relin=needed.relinearisation, rotations=needed.rotations),
                lambda digest: SentKeys(digest, needed.relinearisation, needed.rotations),
            )
        return StoredKeys(public, evaluation)

    def _send_once(
        self,
        description: Description,
        fits: Callable[[SentKeys], bool],
        make: Callable[[], PublicKey | EvaluationKeys],
        note: Callable[[str], SentKeys],
    ) -> str:
        """Return the digest of keys that the service has and that fit; make and send them if there are none."""
        digest = description.params.digest
        for sent in self._sent.get(digest, []):
            if fits(sent) and self.remote.has_keys(sent.digest):
                return sent.digest
        with self._timed("keygen"):
            data = to_bytes(make())
        with self._timed("upload_keys"):
            sent = note(self.remote.upload_keys(data, description))
        self.usage.bytes_keys += len(data)
        self._sent.setdefault(digest, []).insert(0, sent)
        if self._file is not None:
            self._file.remember(sent)
        return sent.digest

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
        return self._score(model, FEATURE_MAJOR, chunks, progress)

    def score_record(self, model: str | ScoringModel, records: pd.DataFrame, row: int = 0) -> Scores:
        """Return the probability of one row, sent as one small ciphertext."""
        if isinstance(model, str):
            model = self.model(model)
        if not 0 <= row < len(records):
            raise DataError(
                f"row {row} was asked for", f"the table has rows 0 to {len(records) - 1}", "Name one of these"
            )
        x = model.schema.transform(records.iloc[row : row + 1])  # (1, d)
        return self._score(model, RECORD, [x], None)

    def send_block(self, description: Description, packing: Layout, values: npt.ArrayLike) -> str:
        """Encrypt a block of a gallery, complex slots (items, n), and have it stored; return its digest."""
        encryptor = Encryptor(description.params, self._secret(description))
        with self._timed("encrypt"):
            data = _encrypted(encryptor, packing, values)
        with self._timed("upload_gallery"):
            digest = self.remote.upload_block(data, description)
        self.usage.bytes_gallery += len(data)
        return digest

    def send_gallery(self, name: str, description: Description, items: int, blocks: list[str]) -> StoredAt:
        """Have blocks that were sent made a gallery, which ends with this client if its key does."""
        stored = self.remote.put_gallery(name, description, items, blocks)
        self._galleries.add(name)
        return stored

    def ask(
        self,
        model: Known,
        layout: str,
        chunks: list[Floats],
        reads: list[Read],
        progress: Callable[[int], None],
        *,
        gallery: str | None = None,
    ) -> tuple[list[Floats], Usage]:
        """Encrypt and send every chunk (items, n); only then open the answers, each with its own of `reads`.

        `progress` is told how many chunks were answered; `gallery` is the digest of what the model is to compare with,
        if it compares with something. Returns the numbers, and what this call took. Raises ServiceError, and BadAnswer
        if any of `reads` returned None.
        """
        before = Usage(**vars(self.usage))
        keys = self.prepare(model, layout)
        description, packing = model.description, model.layout(layout)
        params = description.params
        encryptor = Encryptor(params, self._secret(description))
        longest = ciphertext_length(params, description.output.level, description.output.batch)
        answers: list[bytes] = []
        for chunk in chunks:
            with self._timed("encrypt"):
                body = _encrypted(encryptor, packing, chunk)
            with self._timed("evaluate"):
                answer = self.remote.evaluate(
                    description,
                    layout,
                    body,
                    public_key=keys.public,
                    keys=keys.evaluation,
                    gallery=gallery,
                    longest=longest,
                )
            self.usage.evaluate_server += answer.seconds.get("evaluate", 0.0)
            self.usage.protect_server += answer.seconds.get("protect", 0.0)
            self.usage.bytes_up += len(body)
            self.usage.bytes_down += len(answer.data)
            answers.append(answer.data)
            progress(len(answers))
        self.remote.close()  # no connection shows how long opening takes, nor whether it fails
        with self._timed("decrypt"):
            values = self._open(description, packing, answers, reads, gallery)
        return values, Usage(**{name: value - getattr(before, name) for name, value in vars(self.usage).items()})

    # ---- how it is done --------------------------------------------------------------------------

    def _score(self, model: ScoringModel, layout: str, chunks: list[Floats], progress: Progress | None) -> Scores:
        """Ask for the scores of every chunk (items, n)."""
        packing, output = model.layout(layout), model.description.output
        lengths = [chunk.shape[1] if layout == FEATURE_MAJOR else 1 for chunk in chunks]
        filled = lengths if layout == FEATURE_MAJOR else [packing.slots] * len(chunks)

        def done(count: int) -> None:
            if progress is not None:
                progress(sum(lengths[:count]), sum(lengths))

        reads: list[Read] = [partial(_plausible, length=n, output=output) for n in filled]
        values, usage = self.ask(model, layout, chunks, reads, done)
        if layout == RECORD:
            values = [slots[:1] for slots in values]  # every slot holds the one score
        result = np.concatenate(values)
        logits = result if output.kind == LOGIT else None
        probabilities = result if logits is None else (1 + np.tanh(logits / 2)) / 2
        return Scores(probabilities, logits, model.description, usage)

    def _open(
        self,
        description: Description,
        packing: Layout,
        answers: Iterable[bytes],
        reads: Iterable[Read],
        gallery: str | None = None,
    ) -> list[Floats]:
        """Decrypt and check. However an answer is wrong, the error is the same, and it comes late."""
        output, params = description.output, description.params
        decryptor = Decryptor(params, self._secret(description))
        scale = output.scale_in(params)
        # Read as complex numbers in every slot: what should be zero has to be.
        noise, bound = Noise(*[output.error * float(scale)] * 2), max(abs(output.low), output.high)
        opened: list[Floats | None] = []
        for data, read in zip(answers, reads, strict=True):
            values = None
            try:
                ct = ciphertext_from_bytes(data, params, bound=bound, noise=noise)
                meta = meta_of(ct)
                if (ct.shape, ct.parts, ct.level) == (output.batch, 2, output.level) and (meta.slots, meta.scale) == (
                    packing.slots,
                    scale,
                ):
                    whole = ct.with_(meta=meta.but(real=False, length=packing.slots))
                    values = read(decryptor.decrypt(whole))
            except HEError:
                pass
            opened.append(values)
        if gallery is not None and any(values is None for values in opened):
            raise BadAnswer(
                "what the gallery answered is no list of similarities under this secret key",
                "the key that the gallery was encrypted with is needed",
                "Check the key file. If it is that one, the answer is damaged: do not use it, and upload the gallery "
                "with a new key before you ask this service again",
            )
        if any(values is None for values in opened):
            raise BadAnswer(
                f"the service's answer for model {description.name!r} is damaged or implausible",
                f"values from {output.low:g} to {output.high:g} are needed in every row",
                "Do not use it, and make a new key before you ask this service again: it was told nothing, and "
                "how often answers fail should not become known to it",
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


def _encrypted(encryptor: Encryptor, packing: Layout, values: npt.ArrayLike) -> bytes:
    """Return numbers (items, n) encrypted as a layout says, as bytes with a seed in place of their uniform halves."""
    sealed = encryptor.encrypt_seeded(
        values, level=packing.level, scale=packing.scale, slots=packing.slots, bound=packing.bound
    )
    return seeded_to_bytes(*sealed)


def _plausible(values: Any, length: int, output: Output) -> Floats | None:
    """Return the numbers in `length` of all slots, complex (slots,), if they can be an answer, None if they cannot."""
    numbers, rest = values[:length].real, values[length:] - output.unused
    within = (
        bool(np.isfinite(values).all())
        and bool(((numbers >= output.low) & (numbers <= output.high)).all())
        and bool((np.abs(values[:length].imag) <= output.error).all())
        and bool((np.abs(rest) <= output.error).all())
    )
    return numbers if within else None

"""The service's evaluation without sockets, and a key owner who looks at answers more closely than a client does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from churn.circuit import FEATURE_MAJOR, OutputKind, Score
from churn.hosting.work.evaluation import Engine
from churn.hosting.work.jobs import Evaluate, KeyFile
from churn.hosting.work.rehearsal import OwnNumbers
from churn.model import LinearModel
from ckks.rlwe import Ciphertext, EvaluationKeys, Noise, Plaintext
from ckks.rlwe.secret import KeyGenerator, decrypt
from ckks.scheme import CKKSParams, Encoder, Encryptor
from ckks.scheme.decryption import Decryptor
from ckks.scheme.meta import meta_of
from ckks.scheme.serialization import ciphertext_from_bytes, seeded_to_bytes, to_bytes

Floats = NDArray[np.float64]


class Owner:
    """Keys for one parameter set, the public ones in files."""

    def __init__(self, params: CKKSParams, folder: Path) -> None:
        self.params, self._folder, self.files = params, folder, 0
        self.generator = KeyGenerator(params)
        self.secret = self.generator.secret_key()
        self.public = self.file(to_bytes(self.generator.public_key(self.secret)))
        self._encryptor = Encryptor(params, self.secret)

    def file(self, key: bytes) -> KeyFile:
        """Return a key as the service hands it to its workers."""
        self.files += 1
        path = self._folder / f"{self.params.digest.hex()[:8]}-{self.files}"
        path.write_bytes(key)
        return KeyFile(path.name, str(path))

    def keys(self, score: Score, layout: str = FEATURE_MAJOR) -> EvaluationKeys | None:
        """Return new keys that a layout needs, if it needs any."""
        needed = score.layouts[layout]
        if not needed.needs_keys:
            return None
        return self.generator.evaluation_keys(self.secret, relin=needed.relinearisation, rotations=needed.rotations)

    def filed(self, keys: EvaluationKeys | None) -> KeyFile | None:
        """Return keys as the service hands them to its workers."""
        return None if keys is None else self.file(to_bytes(keys))

    def encrypt(self, score: Score, features: Floats, layout: str = FEATURE_MAJOR) -> tuple[Ciphertext, bytes]:
        """Encrypt features (items, n) as a client does: what it knows, and what it sends."""
        packing = score.layouts[layout]
        ct, seed = self._encryptor.encrypt_seeded(
            features, level=packing.level, scale=packing.scale, slots=packing.slots, bound=packing.bound
        )
        return ct, seeded_to_bytes(ct, seed)

    def slots(self, ct: Ciphertext) -> NDArray[np.complex128]:
        """Decrypt every slot as a complex number."""
        whole = ct.with_(meta=meta_of(ct).but(real=False, length=meta_of(ct).slots))
        return np.asarray(Decryptor(self.params, self.secret).decrypt(whole))

    def errors(self, ct: Ciphertext, features: Floats) -> NDArray[np.complex128]:
        """Return the encryption errors of inputs (items,) in every slot: what was decrypted, less what was encoded."""
        meta = meta_of(ct)
        plain = Encoder(self.params).encode(
            features, level=ct.level, scale=meta.scale, slots=meta.slots, bound=meta.bound
        )
        difference = decrypt(ct, self.secret).poly - plain.poly
        whole = meta.but(real=False, length=meta.slots)
        error = Plaintext.of(self.params, difference.residues, ct.level, whole, Noise(1.0, 1.0))
        return np.asarray(Encoder(self.params).decode(error))


class Host:
    """Some models, evaluated as a worker does."""

    def __init__(self, scores: Sequence[Score]) -> None:
        self._engine = Engine(scores, 1 << 30)

    def answer(
        self,
        score: Score,
        body: bytes,
        public: KeyFile | None,
        keys: KeyFile | None = None,
        layout: str = FEATURE_MAJOR,
    ) -> Ciphertext:
        """Return the answer as it is read by the one who asked."""
        block = bytearray(max(len(body), 1 << 22))
        block[: len(body)] = body
        public, flooding = (None, None) if score.flooding is None else (public, score.flooding)
        job = Evaluate(score.digest, layout, len(body), keys=keys, public=public, flooding=flooding, threads=1)
        reply = self._engine.handle(job, memoryview(block))
        assert reply.failed is None and reply.problem is None, reply
        return ciphertext_from_bytes(block[: reply.length], score.params, bound=1e3, noise=Noise(1.0, 1.0))


def unprotected(score: Score, asked: Ciphertext, keys: EvaluationKeys | None) -> Ciphertext:
    """Return what the answer of a flooded model would be, were it neither re-randomised nor flooded."""
    evaluator = OwnNumbers(score.params, keys)
    return score.finish(evaluator, score.evaluate(evaluator, asked, FEATURE_MAJOR))


def scores(models: Sequence[LinearModel], kind: OutputKind, *, flooded: bool = True) -> list[Score]:
    """Return models ready to be hosted."""
    return [Score.of(model, kind, flooded=flooded) for model in models]


def both_parts(values: NDArray[np.complex128]) -> Floats:
    """Return real and imaginary parts, one behind the other."""
    return np.concatenate([values.real, values.imag], axis=-1)

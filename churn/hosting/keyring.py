"""Stored evaluation keys, parsed once and kept ready as long as there is room."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from churn.hosting.model import Layout
from churn.hosting.protocol import Problem
from churn.hosting.store import KeyStore
from ckks.errors import BasisMismatch
from ckks.rlwe import EvaluationKeys
from ckks.scheme import CKKSParams
from ckks.scheme.serialization import evaluation_keys_from_bytes

__all__ = ["KeyRing"]


class KeyRing:
    """The keys of a store as `EvaluationKeys`; safe to share between threads."""

    def __init__(self, store: KeyStore, resident: int) -> None:
        """Keep up to `resident` bytes of keys in memory, and the last used set in any case."""
        self._store, self._resident = store, resident
        self._ready: OrderedDict[str, EvaluationKeys] = OrderedDict()
        self._lock = Lock()

    def check_stored(self, digest: str | None, layout: Layout) -> str:
        """Return the digest if keys are stored under it; Problem 428 otherwise."""
        if digest is None:
            raise _missing("the request names no keys", have=None, need=layout)
        if self._store.size(digest) is None:
            self.forget(digest)
            raise _missing("there are no keys of this digest", have=None, need=layout)
        return digest

    def get(self, digest: str | None, params: CKKSParams, layout: Layout) -> EvaluationKeys:
        """Return the stored keys, fit for a layout; Problem 428 or 409 when they are not."""
        digest = self.check_stored(digest, layout)
        with self._lock:
            keys = self._ready.get(digest)
            if keys is not None:
                self._ready.move_to_end(digest)
        if keys is None:
            try:
                data = self._store.read(digest)
            except KeyError:
                raise _missing("there are no keys of this digest", have=None, need=layout) from None
            keys = evaluation_keys_from_bytes(data, params)
            self.remember(digest, keys)
        if keys.params != params:
            raise BasisMismatch(
                "the keys belong to other parameters than the model; make keys "
                "for the parameters in the model's description"
            )
        self._check(keys, layout)
        return keys

    def remember(self, digest: str, keys: EvaluationKeys) -> None:
        """Keep keys that were just parsed; older ones make room."""
        with self._lock:
            self._ready[digest] = keys
            while len(self._ready) > 1 and sum(kept.nbytes for kept in self._ready.values()) > self._resident:
                self._ready.popitem(last=False)

    def forget(self, digest: str) -> None:
        """Drop keys from memory."""
        with self._lock:
            self._ready.pop(digest, None)

    @staticmethod
    def _check(keys: EvaluationKeys, layout: Layout) -> None:
        m = 2 * keys.params.ring_degree
        missing = [k for k in layout.rotations if pow(5, k, m) not in keys.galois]
        if (layout.relinearisation and keys.relin is None) or missing:
            found = (
                f"the keys hold {'a' if keys.relin is not None else 'no'} relinearisation key "
                f"and {len(keys.galois)} rotations"
            )
            raise _missing(
                found, have={"relinearisation": keys.relin is not None, "missing_rotations": missing}, need=layout
            )


def _missing(found: str, *, have: object, need: Layout) -> Problem:
    wanted = {"relinearisation": need.relinearisation, "rotations": list(need.rotations)}
    return Problem(
        428,
        "keys missing",
        f"{found}; this layout needs "
        f"relinearisation: {'yes' if need.relinearisation else 'no'}, rotations: "
        f"{list(need.rotations) or 'none'}; upload such keys with PUT /v1/keys/DIGEST",
        have=have,
        need=wanted,
    )

"""Stored public keys and evaluation keys, parsed once and kept ready as long as there is room."""

from __future__ import annotations

from pathlib import Path

from churn.hosting.model import Layout
from churn.hosting.protocol import Problem
from churn.hosting.store.blobs import mapped
from churn.hosting.work.jobs import KeyFile
from churn.hosting.work.resident import Resident
from ckks.errors import BasisMismatch
from ckks.rlwe import EvaluationKeys, PublicKey
from ckks.scheme import CKKSParams
from ckks.scheme.serialization import (
    Kind,
    evaluation_keys_from_bytes,
    public_key_from_bytes,
    read_header,
)

__all__ = ["KeyRing", "missing_keys"]


class KeyRing:
    """The parsed keys of one worker; safe to share between threads."""

    def __init__(self, resident: int) -> None:
        """Keep up to `resident` bytes of keys in memory, and the last used one in any case."""
        self._ready: Resident[PublicKey | EvaluationKeys] = Resident(resident)

    def load(self, file: KeyFile, params: CKKSParams) -> PublicKey | EvaluationKeys:
        """Return a key, of whichever kind the file holds.

        Raises SerializationError for a file that holds no valid key of these parameters, Problem 428 for one that was
        deleted meanwhile, BasisMismatch for a key that is at hand and belongs to other parameters.
        """
        key = self._ready.get(file.name)
        if key is None:
            try:
                with mapped(Path(file.path)) as data:
                    kind = read_header(data, params, Kind.PUBLIC_KEY, Kind.EVALUATION_KEYS).kind
                    read = public_key_from_bytes if kind is Kind.PUBLIC_KEY else evaluation_keys_from_bytes
                    key = read(data, params)
            except FileNotFoundError:
                raise missing_keys("the keys were deleted meanwhile") from None
            self._ready.keep(file.name, key)
        if key.params != params:
            raise BasisMismatch(
                "the keys belong to other parameters than the model; make keys for the parameters in the model's "
                "description"
            )
        return key

    def evaluation_keys(self, file: KeyFile, params: CKKSParams, layout: Layout) -> EvaluationKeys:
        """Return evaluation keys that a layout can be evaluated with; Problem 428 for others, else as `load`."""
        keys = self.load(file, params)
        if not isinstance(keys, EvaluationKeys):
            raise missing_keys("what is stored is a public key", layout=layout)
        m = 2 * params.ring_degree
        missing = [k for k in layout.rotations if pow(5, k, m) not in keys.galois]
        if (layout.relinearisation and keys.relin is None) or missing:
            found = (
                f"the keys hold {'a' if keys.relin is not None else 'no'} relinearisation key "
                f"and {len(keys.galois)} rotations"
            )
            have = {"relinearisation": keys.relin is not None, "missing_rotations": missing}
            raise missing_keys(found, layout=layout, have=have)
        return keys

    def public_key(self, file: KeyFile, params: CKKSParams) -> PublicKey:
        """Return a public key that answers can be re-randomised with; Problem 428 for other keys, else as `load`."""
        key = self.load(file, params)
        if not isinstance(key, PublicKey):
            raise missing_keys("what is stored are evaluation keys")
        return key


def missing_keys(found: str, *, layout: Layout | None = None, have: object = None) -> Problem:
    """Return the refusal for keys that are not there: Problem 428. Without a layout, a public key is what is needed."""
    need: dict[str, object]
    if layout is None:
        wanted, need = "the model needs your public key", {"public_key": True}
    else:
        relin, rotations = layout.relinearisation, list(layout.rotations)
        wanted = f"this layout needs relinearisation: {'yes' if relin else 'no'}, rotations: {rotations or 'none'}"
        need = {"relinearisation": relin, "rotations": rotations}
    return Problem(428, "keys missing", f"{found}; {wanted}; upload it with PUT /v1/keys/DIGEST", have=have, need=need)

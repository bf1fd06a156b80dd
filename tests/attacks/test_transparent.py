"""W5 at the service's border: what anybody could decrypt is taken neither as an input nor as a key."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from attacks.frames import repaired
from attacks.live import Live, Prepared, head_of
from conftest import Figure
from numpy.typing import NDArray

from churn.hosting.protocol import digest_of
from ckks.rlwe.packing import pack, row_bytes
from ckks.rlwe.secret import KeyGenerator
from ckks.scheme import Encryptor
from ckks.scheme.serialization import HEAD_BYTES, to_bytes


def _rows(moduli: tuple[int, ...], n: int, polynomials: int) -> Iterator[tuple[int, int, int, int]]:
    """Go through (polynomial, limb, start, end) of every row of a body that is written out."""
    start = HEAD_BYTES
    for polynomial in range(polynomials):
        for limb, q in enumerate(moduli):
            yield polynomial, limb, start, start + row_bytes(q, n)
            start += row_bytes(q, n)


def _constant(frame: bytes, start: int, end: int, row: NDArray[np.uint8]) -> bytes:
    spoilt = bytearray(frame)
    spoilt[start:end] = row.tobytes()
    return repaired(spoilt)


@pytest.mark.service
def test_transparent_inputs_are_refused(live: Live, alice: Prepared, mallory: Prepared, figure: Figure) -> None:
    """A row of c_1 that is zero, or one number throughout: in any item of the batch, modulo any prime."""
    description = mallory.scoring.description
    params, layout = description.params, mallory.scoring.layout(mallory.layout)
    secret = mallory.client._secret(description)
    encryptor = Encryptor(params, KeyGenerator(params).public_key(secret))
    ct = encryptor.encrypt(mallory.rows.T.copy(), level=layout.level, scale=layout.scale, bound=layout.bound)
    frame, basis, seen = to_bytes(ct), params.basis(layout.level), 0
    with live.wire() as wire:

        def ask(body: bytes) -> int:
            return wire.ask(head_of("POST", mallory.path, mallory.headers(length=len(body))) + body).status

        assert ask(frame) == 200
        for polynomial, limb, start, end in _rows(basis.moduli, basis.n, 2 * layout.items):
            for value in (0, 1):
                row = np.zeros((1, row_bytes(basis.moduli[limb], basis.n)), np.uint8)
                pack(basis[limb : limb + 1], np.full((1, 1, basis.n), value, np.uint64), row)
                status = ask(_constant(frame, start, end, row))
                # A constant c_0 hides nothing less than another one: it is c_1 that must not vanish.
                assert status == (422 if polynomial % 2 else 200), (polynomial, limb, value)
                seen += polynomial % 2
    figure("W5", f"{seen} inputs with a zero or constant row of c_1: refused by the service")


@pytest.mark.service
def test_transparent_keys_are_refused(live: Live, alice: Prepared, mallory: Prepared, figure: Figure) -> None:
    """A public key with such a row, in either half, would re-randomise nothing."""
    description = mallory.scoring.description
    params = description.params
    key = KeyGenerator(params).public_key(mallory.client._secret(description))
    frame, basis, seen = to_bytes(type(key).of(params, key.words, key.level, None)), params.basis_qp, 0
    with live.wire() as wire:
        for _, limb, start, end in _rows(basis.moduli, basis.n, 2):
            body = _constant(frame, start, end, np.zeros(row_bytes(basis.moduli[limb], basis.n), np.uint8))
            headers = mallory.headers(length=len(body))
            assert wire.ask(head_of("PUT", f"/v1/keys/{digest_of(body)}", headers) + body).status == 422
            seen += 1
    figure("W5", f"{seen} public keys with a zero row: refused by the service")

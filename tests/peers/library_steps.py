"""SEAL's steps in terms of this library's public parts: same functions as `seal_steps`, same words.

SEAL's layout is one prime per digit, one special prime, uncentred digits, slot generator 3, and the automorphism before the
key switch. The special prime comes last there and first here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.ring import Domain, RingPoly, RNSBasis, automorphism, divide_and_round
from ckks.rlwe import Ciphertext, RLWEParams, SwitchingKey, relinearise
from ckks.rlwe import switch as switch_key
from ckks.rlwe.secret import SecretKey, decrypt
from ckks.scheme.embedding import slots_to_coefficients

Words = NDArray[np.uint64]


def parameters(ring_degree: int, moduli: tuple[int, ...], special: int) -> RLWEParams:
    """SEAL's grouping of primes."""
    return RLWEParams.insecure(
        ring_degree=ring_degree,
        levels=tuple((q,) for q in moduli),
        special_moduli=(special,),
        centred_digits=False,
    )


def _switching_key(key: Words, moduli: tuple[int, ...], special: int) -> SwitchingKey:
    count = len(moduli)
    ours = np.concatenate([key[:count, :, -1:], key[:count, :, :count]], axis=2)
    return SwitchingKey(parameters(key.shape[-1], moduli, special), ours, count - 1)


def relinearize(ct: Words, key: Words, moduli: tuple[int, ...], special: int) -> Words:
    """Relinearise (3, limbs, N) to (2, limbs, N)."""
    ours = _switching_key(key, moduli, special)
    # SEAL divides the switched part alone and then adds, where relinearise() lifts first: the rounding is the same,
    # since the lifted part is a multiple of P.
    result = relinearise(Ciphertext(params=ours.params, words=ct, level=len(moduli) - 1), ours)
    return np.ascontiguousarray(result.words)


def rotate(ct: Words, g: int, key: Words, moduli: tuple[int, ...], special: int) -> Words:
    """Apply X -> X^g to (2, limbs, N) and switch back."""
    ours = _switching_key(key, moduli, special)
    basis = ours.params.basis(len(moduli) - 1)
    moved = automorphism(basis, ct, g, ntt_form=True)
    switched = switch_key(moved[1], ours, len(moduli) - 1)
    return np.stack([kernels.add(basis.plan, moved[0], switched[0]), switched[1]])


def rescale(ct: Words, moduli: tuple[int, ...]) -> Words:
    """Divide (parts, limbs, N) by the last prime."""
    poly = RingPoly(RNSBasis(ct.shape[-1], moduli), ct, Domain.NTT)
    return np.array(divide_and_round(poly, last=1).residues)


def phase(ct: Words, secret: Words, moduli: tuple[int, ...]) -> Words:
    """Decrypt (parts, limbs, N) with SEAL's secret key words (limbs, N)."""
    params = RLWEParams.insecure(ring_degree=ct.shape[-1], levels=tuple((q,) for q in moduli))
    key = SecretKey.from_ntt(params, secret[: len(moduli)])
    return np.array(decrypt(Ciphertext(params=params, words=ct, level=len(moduli) - 1), key).words)


def encode(slots: NDArray[np.complex128], scale: float, ring_degree: int) -> NDArray[np.object_]:
    """Return the integers (N,) nearest to scale x the polynomial with these slots."""
    coefficients = slots_to_coefficients(np.asarray(slots, dtype=np.complex128), ring_degree, generator=3)
    return np.array([int(c) for c in np.rint(coefficients * scale)], dtype=object)

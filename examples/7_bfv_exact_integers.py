"""A scheme of your own, on `ckks.ring` and `ckks.rlwe`: BFV, exact arithmetic on vectors of integers modulo t.

BFV ([FV12]) puts the message in the high part of the modulus, phase = (Q/t) m + e, so that
nothing is lost: decryption rounds the error away. What CKKS and BFV share (keys, encryption, relinearisation) comes from
`ckks.rlwe` unchanged; what differs is encoding, and a product that is scaled by t/Q. In residue form that scaling is three
public pieces of `ckks.ring`: extend the basis, divide and round by Q, convert back ([HPS18], with exact conversions).
"""

from __future__ import annotations

import numpy as np

from ckks import ring, rlwe
from ckks.ring import Domain, RingPoly, RNSBasis
from ckks.rlwe.secret import KeyGenerator, SecretKey, decrypt

N = 2**13
T = 65537  # prime and 1 mod 2N: Z_t[X]/(X^N + 1) splits into N slots, by the very same NTT

PRIMES = ring.ntt_primes(bits=43, count=3, n=N)
PARAMS = rlwe.RLWEParams(
    ring_degree=N, levels=(PRIMES,), special_moduli=ring.ntt_primes(bits=50, count=1, n=N), digit_sizes=(1, 1, 1)
)
Q = PARAMS.basis(0)
SLOTS = RNSBasis(N, [T])
# A product of two centred polynomials is below N Q^2 / 4; times t it must fit Q B / 2, so B > t N Q.
B = RNSBasis(N, [q for q in ring.ntt_primes(bits=50, count=5, n=N) if q not in PARAMS.special_moduli][:4])
assert B.modulus > T * N * Q.modulus


def encode(values: np.ndarray) -> rlwe.Plaintext:
    """N integers modulo t to round((Q/t) m), m the polynomial that takes these values at the N roots modulo t."""
    m = RingPoly(SLOTS, np.asarray(values)[None, :] % T, Domain.NTT).to_integers()
    scaled = [(2 * int(c) * Q.modulus + T) // (2 * T) for c in m]
    return rlwe.Plaintext(params=PARAMS, words=RingPoly.from_integers(Q, scaled).to_ntt().residues, level=0)


def decode(phase: RingPoly) -> np.ndarray:
    """Round (t/Q) phase, exactly, and read the slots."""
    m = [(2 * int(c) * T + Q.modulus) // (2 * Q.modulus) for c in phase.to_integers()]
    return RingPoly.from_integers(SLOTS, m).to_ntt().residues[0]


def add(a: rlwe.Ciphertext, b: rlwe.Ciphertext) -> rlwe.Ciphertext:
    """Sums are sums of parts."""
    words = [(a.part(i) + b.part(i)).residues for i in range(2)]
    return rlwe.Ciphertext(params=PARAMS, words=np.stack(words), level=0)


def multiply(a: rlwe.Ciphertext, b: rlwe.Ciphertext, key: rlwe.SwitchingKey) -> rlwe.Ciphertext:
    """round((t/Q) a_i b_j): the phases multiply to (Q/t)^2 m m', and one factor Q/t has to go."""
    x, y = ([extend(c.part(i)) for i in range(2)] for c in (a, b))
    products = (x[0] * y[0], x[0] * y[1] + x[1] * y[0], x[1] * y[1])
    scaled = [scale_down(d) for d in products]
    tensor = rlwe.Ciphertext(params=PARAMS, words=np.stack([d.residues for d in scaled]), level=0)
    return rlwe.relinearise(tensor, key)


def extend(part: RingPoly) -> RingPoly:
    """From Q to Q and B: the same integers, centred."""
    more = ring.convert_basis(part.to_coefficient(), B).to_ntt()
    return RingPoly(Q + B, np.concatenate([part.residues, more.residues]), Domain.NTT)


def scale_down(d: RingPoly) -> RingPoly:
    """round(t d / Q): divide by Q, which leaves the residues modulo B, and convert them back."""
    over_b = ring.divide_and_round(d * T, first=len(Q))
    return ring.convert_basis(over_b.to_coefficient(), Q).to_ntt()


def noise_bits(ct: rlwe.Ciphertext, secret: SecretKey) -> float:
    """log2 of the room left: how often the error could still double."""
    phase = decrypt(ct, secret).poly.to_integers()
    error = max(abs((int(c) * T + Q.modulus // 2) % Q.modulus - Q.modulus // 2) for c in phase)
    return float(np.log2(Q.modulus / 2) - np.log2(float(error)))


def main() -> None:
    """Multiply and add, exactly, modulo 65537."""
    rng = ring.Rng()
    keygen = KeyGenerator(PARAMS, rng)
    secret = keygen.secret_key()
    public, relin = keygen.public_key(secret), keygen.relin_key(secret)

    x, y = np.arange(N), (np.arange(N) ** 2 + 3) % T
    cx, cy = (rlwe.encrypt(encode(v), public, rng) for v in (x, y))
    product = multiply(cx, cy, relin)
    result = add(multiply(product, cx, relin), cy)  # x^2 y + y

    expected = (x * x % T * y + y) % T
    values = decode(decrypt(result, secret).poly)
    print(f"{PARAMS}")
    print("x^2 y + y mod t:", values[:6], "expected:", expected[:6])
    for name, ct in (("fresh", cx), ("after one product", product), ("after two", result)):
        print(f"{name}: {noise_bits(ct, secret):.0f} bits of room")
    assert (values == expected).all()


if __name__ == "__main__":
    main()

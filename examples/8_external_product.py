"""A scheme of your own, on `ckks.ring` and `ckks.rlwe`: RGSW and the external product, the heart of TFHE-like schemes.

An RGSW encryption of a small m is a pair of switching keys, one "from m" and one "from m s" ([GSW13] in ring form). Its
product with an RLWE ciphertext (c_0, c_1) is a gadget product of each part,

    <digits(c_0), key(m)> + <digits(c_1), key(m s)>  =  P m (c_0 + c_1 s) + small,

divided by P: the noise grows by a constant, not by a factor. With it a secret bit selects one of two ciphertexts (CMUX).
"""

from __future__ import annotations

import numpy as np

from ckks import kernels, ring, rlwe
from ckks.ring import RingPoly
from ckks.rlwe.secret import KeyGenerator, SecretKey, decrypt, encrypt_secret

N = 2**11
PARAMS = rlwe.RLWEParams(
    ring_degree=N,
    levels=(ring.ntt_primes(bits=25, count=1, n=N),),
    special_moduli=ring.ntt_primes(bits=27, count=1, n=N),
)
Q = PARAMS.basis(0)
DELTA = Q.modulus // 16  # messages of three bits and a sign

Rgsw = tuple[rlwe.SwitchingKey, rlwe.SwitchingKey]


def encrypt_rgsw(m: RingPoly, secret: SecretKey, keygen: KeyGenerator) -> Rgsw:
    """The keys from m and from m s."""
    s = secret.ntt(Q)
    return keygen.switching_key(secret, m.residues), keygen.switching_key(secret, kernels.mul(Q.plan, m.residues, s))


def external_product(rgsw: Rgsw, ct: rlwe.Ciphertext) -> rlwe.Ciphertext:
    """RGSW(m) x RLWE(x) = RLWE(m x)."""
    joint = PARAMS.extended_basis(0).plan
    accumulators = [rlwe.gadget_product(rlwe.decompose(PARAMS, ct.words[i], 0), key, 0) for i, key in enumerate(rgsw)]
    words = rlwe.mod_down(PARAMS, kernels.add(joint, *accumulators), 0)
    return rlwe.Ciphertext(params=PARAMS, words=words, level=0)


def cmux(bit: Rgsw, if_zero: rlwe.Ciphertext, if_one: rlwe.Ciphertext) -> rlwe.Ciphertext:
    """if_zero + bit (if_one - if_zero): whoever computes it does not learn which one it is."""
    difference = rlwe.Ciphertext(params=PARAMS, words=kernels.sub(Q.plan, if_one.words, if_zero.words), level=0)
    chosen = external_product(bit, difference)
    return rlwe.Ciphertext(params=PARAMS, words=kernels.add(Q.plan, chosen.words, if_zero.words), level=0)


def encrypt(message: np.ndarray, secret: SecretKey, rng: ring.Rng) -> rlwe.Ciphertext:
    """RLWE with the message in the high bits."""
    m = RingPoly.from_integers(Q, message * DELTA).to_ntt()
    return encrypt_secret(rlwe.Plaintext(params=PARAMS, words=m.residues, level=0), secret, rng)[0]


def decode(ct: rlwe.Ciphertext, secret: SecretKey) -> np.ndarray:
    """Round the phase."""
    return np.array([round(int(c) / DELTA) for c in decrypt(ct, secret).poly.to_integers()])


def main() -> None:
    """Walk a secret path of 20 bits through a chain of selections."""
    rng = ring.Rng()
    keygen = KeyGenerator(PARAMS, rng)
    secret = keygen.secret_key()
    one, zero = (RingPoly.from_integers(Q, [b] + [0] * (N - 1)).to_ntt() for b in (1, 0))

    left, right = np.arange(N) % 7 - 3, (np.arange(N) * 3) % 7 - 3
    current, other = encrypt(left, secret, rng), encrypt(right, secret, rng)
    for step in range(20):
        bit = encrypt_rgsw(one if step % 3 == 0 else zero, secret, keygen)
        current, other = cmux(bit, current, other), cmux(bit, other, current)

    swaps = len([step for step in range(20) if step % 3 == 0])
    expected = right if swaps % 2 else left
    print(f"{PARAMS}")
    print("selected:", decode(current, secret)[:8], "expected:", expected[:8])
    assert (decode(current, secret) == expected).all()


if __name__ == "__main__":
    main()

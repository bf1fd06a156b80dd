"""A scheme of your own, on `ckks.ring` alone: count votes that nobody sees.

Each voter encrypts a vector of choices; anybody adds the ciphertexts up; only the holder of s reads the tally.
A symmetric RLWE encryption with the message in the high part of the modulus is two lines of ring arithmetic.
"""

from __future__ import annotations

import numpy as np

from ckks import ring

N = 1024
CHOICES, VOTERS = 3, 40
# One prime below 2^26: the most that the 128-bit table allows at N = 1024. There is nothing to multiply, so one limb will do.
BASIS = ring.RNSBasis(n=N, moduli=ring.ntt_primes(bits=26, count=1, n=N))
DELTA = BASIS.modulus // 256  # tallies up to 127 either way


def encrypt(votes: np.ndarray, s: ring.RingPoly, rng: ring.Rng) -> tuple[ring.RingPoly, ring.RingPoly]:
    """(b, a) with b = -a s + e + Delta m."""
    m = ring.RingPoly.from_integers(BASIS, np.pad(votes, (0, N - len(votes)))).to_ntt()
    a, e = ring.uniform(BASIS, rng), ring.error(BASIS, rng)
    return -(a * s) + e + m * DELTA, a


def decrypt(b: ring.RingPoly, a: ring.RingPoly, s: ring.RingPoly) -> np.ndarray:
    """Round (b + a s) / Delta: exact while the summed errors, at most 21 a voter, stay below Delta / 2."""
    phase = (b + a * s).to_integers()
    return np.array([round(int(c) / DELTA) for c in phase[:CHOICES]])


def main() -> None:
    """Hold the vote."""
    rng = ring.Rng()
    s = ring.ternary(BASIS, rng)
    choices = np.arange(VOTERS) * 7 % CHOICES
    ballots = [encrypt(np.eye(CHOICES, dtype=int)[c], s, rng) for c in choices]

    b, a = ballots[0]
    for other_b, other_a in ballots[1:]:
        b, a = b + other_b, a + other_a

    tally = decrypt(b, a, s)
    print("tally:", tally, "expected:", np.bincount(choices, minlength=CHOICES))
    assert (tally == np.bincount(choices, minlength=CHOICES)).all()


if __name__ == "__main__":
    main()

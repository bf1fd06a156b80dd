"""What SEAL 4 computes in CKKS, step by step in big integers: the oracle for its words.

Arrays at the boundary are ``uint64``, limbs in SEAL's order q_0..q_l (data) or q_0..q_l, p
(everything that carries the special prime). Inside, numpy object arrays hold Python integers, so
no product can overflow and no reduction can be forgotten: equality with SEAL's lazy arithmetic is
a statement about values, not about how they are computed. Nothing is imported from ``ckks``.

Conventions, each one proved word for word by ``test_seal_words.py``:

- NTT: out[i] = a(psi^(2 brv(i) + 1)) with psi the least primitive 2N-th root of unity mod q.
- Slot j is m(zeta^(3^j)), zeta = exp(i pi / N), so rotating left by k is X -> X^(3^k).
- Decryption is c_0 + c_1 s (+ c_2 s^2 ...); the secret key is stored in NTT form.

Key switching of one polynomial t (NTT form, limbs q_0..q_l) with a key (digits, 2, limbs, N):

1. t_j = INTT(t mod q_j), words in [0, q_j): digit j, one prime each, never centred.
2. For each target modulus r in q_0..q_l, p: the integers of t_j reduced mod r (a plain copy if
   q_j <= r), then NTT mod r. For r = q_j this is the input limb itself.
3. acc_k = sum_j digit_j * key[j][k] mod r, for k = 0, 1; at a lower level the digits above l and
   the limbs between q_l and p do not take part.
4. Mod down, for k = 0, 1: u = INTT(acc_k mod p); u = u + floor(p/2) mod p; for each q_i:
   v = u mod q_i - floor(p/2) mod q_i; out_i = (acc_k - NTT(v)) p^-1 mod q_i.
   This is (acc - [acc]_p) / p with [acc]_p in [-floor(p/2), floor(p/2)]: rounding to nearest.

Relinearise: t = c_2; (c_0, c_1) + switched. Rotate: the automorphism on c_0 and c_1 first (a
gather in NTT form), then t = c_1(X^g) with the key from s(X^g) to s; (c_0(X^g), 0) + switched.
Rescale: step 4 with q_l in the place of p.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Integers = NDArray[np.object_]

SLOT_GENERATOR = 3


# numbers and transforms ------------------------------------------------------------------------


@cache
def least_root(ring_degree: int, q: int) -> int:
    """Return the least primitive 2N-th root of unity modulo the prime q = 1 mod 2N."""
    order = 2 * ring_degree
    for base in range(2, q):
        root = pow(base, (q - 1) // order, q)
        if pow(root, ring_degree, q) == q - 1:
            break
    candidates, square, power = [], root * root % q, root
    for _ in range(ring_degree):
        candidates.append(power)
        power = power * square % q
    return min(candidates)


@cache
def bit_reversal(ring_degree: int) -> tuple[int, ...]:
    """Return brv(i), the reversal of the log2(N) bits of i, for i in [0, N)."""
    bits = ring_degree.bit_length() - 1
    return tuple(int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(ring_degree))


@cache
def _twiddles(ring_degree: int, q: int, inverse: bool) -> Integers:
    root = least_root(ring_degree, q)
    if inverse:
        root = pow(root, -1, q)
    powers = [1]
    for _ in range(ring_degree - 1):
        powers.append(powers[-1] * root % q)
    return np.array([powers[i] for i in bit_reversal(ring_degree)], dtype=object)


def ntt(a: Integers, q: int) -> Integers:
    """Transform coefficients (N,) of any integers: out[i] = a(psi^(2 brv(i) + 1)) mod q."""
    n = len(a)
    table, out, blocks = _twiddles(n, q, False), a % q, 1
    while blocks < n:
        out = out.reshape(blocks, 2, -1)
        low, high = out[:, 0], out[:, 1] * table[blocks : 2 * blocks, None]
        out = np.stack([(low + high) % q, (low - high) % q], axis=1)
        blocks *= 2
    return out.reshape(n)


def intt(a: Integers, q: int) -> Integers:
    """Invert ``ntt``: words (N,) in NTT order to coefficients in [0, q)."""
    n = len(a)
    table, out, blocks = _twiddles(n, q, True), a, n // 2
    while blocks:
        out = out.reshape(blocks, 2, -1)
        low, high = out[:, 0], out[:, 1]
        twisted = (low - high) * table[blocks : 2 * blocks, None]
        out = np.stack([(low + high) % q, twisted % q], axis=1)
        blocks //= 2
    return out.reshape(n) * pow(n, -1, q) % q


def evaluate(a: Integers, q: int) -> Integers:
    """Return the definition that ``ntt`` must meet, at quadratic cost."""
    n, psi = len(a), least_root(len(a), q)
    points = [pow(psi, 2 * r + 1, q) for r in bit_reversal(n)]
    return np.array([sum(int(c) * pow(x, k, q) for k, c in enumerate(a)) % q for x in points])


def to_ntt(coefficients: Integers, moduli: tuple[int, ...]) -> Words:
    """Integers (N,) to words (limbs, N)."""
    return np.array([ntt(coefficients, q) for q in moduli], dtype=np.uint64)


def from_ntt(words: Words, moduli: tuple[int, ...]) -> Integers:
    """Words (limbs, N) to the centred integers (N,) that they represent, in (-Q/2, Q/2]."""
    product = math.prod(moduli)
    total: Integers = np.zeros(words.shape[-1], dtype=object)
    for row, q in zip(words, moduli, strict=True):
        rest = product // q
        total = total + intt(row.astype(object), q) * (rest * pow(rest, -1, q))
    total = total % product
    return np.where(total > product // 2, total - product, total)


def _mod(a: Integers, moduli: tuple[int, ...]) -> Words:
    """Reduce (..., limbs, N) row by row."""
    return (a % np.array(moduli, dtype=object)[:, None]).astype(np.uint64)


def add(a: Words, b: Words, moduli: tuple[int, ...]) -> Words:
    """Return a + b, limb by limb."""
    return _mod(a.astype(object) + b, moduli)


def multiply(a: Words, b: Words, moduli: tuple[int, ...]) -> Words:
    """Return the product of polynomials in NTT form, limb by limb."""
    return _mod(a.astype(object) * b, moduli)


# automorphisms ---------------------------------------------------------------------------------


def galois_element(ring_degree: int, steps: int) -> int:
    """Return g = 3^steps mod 2N: X -> X^g rotates the slots left by ``steps``."""
    return pow(SLOT_GENERATOR, steps, 2 * ring_degree)


def conjugation(ring_degree: int) -> int:
    """Return g = 2N - 1: X -> X^-1 conjugates the slots."""
    return 2 * ring_degree - 1


def automorphism(words: Words, g: int) -> Words:
    """Apply X -> X^g to words (..., N) in NTT order: a gather, no arithmetic."""
    n = words.shape[-1]
    reverse = bit_reversal(n)
    source = [reverse[(g * (2 * r + 1) % (2 * n)) // 2] for r in reverse]
    return words[..., source]


# key switching ---------------------------------------------------------------------------------


def decompose(target: Words, moduli: tuple[int, ...], special: int) -> Words:
    """Steps 1 and 2: (limbs, N) to digits (limbs, limbs + 1, N), NTT form, q_0..q_l, p."""
    digits = [intt(row.astype(object), q) for row, q in zip(target, moduli, strict=True)]
    return np.stack([to_ntt(digit, (*moduli, special)) for digit in digits])


def key_at_level(key: Words, limbs: int) -> Words:
    """Return the digits and limbs (q_0..q_l, p) of a key (digits, 2, limbs, N) in use at l."""
    return np.concatenate([key[:limbs, :, :limbs], key[:limbs, :, -1:]], axis=2)


def gadget_product(digits: Words, key: Words, moduli: tuple[int, ...], special: int) -> Words:
    """Step 3: digits (d, limbs + 1, N) and a key (d, 2, limbs + 1, N) to (2, limbs + 1, N)."""
    return _mod((digits[:, None].astype(object) * key).sum(axis=0), (*moduli, special))


def mod_down(words: Words, moduli: tuple[int, ...], dropped: int) -> Words:
    """Step 4: (..., limbs + 1, N), the dropped prime last, to (..., limbs, N)."""
    if words.ndim > 2:
        return np.stack([mod_down(part, moduli, dropped) for part in words])
    half = dropped // 2
    last = (intt(words[-1].astype(object), dropped) + half) % dropped
    out = []
    for row, q in zip(words[:-1], moduli, strict=True):
        rounded = ntt(last % q - half % q, q)
        out.append((row.astype(object) - rounded) * pow(dropped, -1, q) % q)
    return np.array(out, dtype=np.uint64)


def switch_key(target: Words, key: Words, moduli: tuple[int, ...], special: int) -> Words:
    """Steps 1 to 4: (limbs, N) under the key's source to (2, limbs, N) under s."""
    digits = decompose(target, moduli, special)
    key = key_at_level(key, len(moduli))
    return mod_down(gadget_product(digits, key, moduli, special), moduli, special)


def relinearize(ct: Words, key: Words, moduli: tuple[int, ...], special: int) -> Words:
    """(3, limbs, N) to (2, limbs, N) with the key for s^2."""
    return add(ct[:2], switch_key(ct[2], key, moduli, special), moduli)


def rotate(ct: Words, g: int, key: Words, moduli: tuple[int, ...], special: int) -> Words:
    """(2, limbs, N) to (2, limbs, N): X -> X^g, then back under s with the key for s(X^g)."""
    moved = automorphism(ct, g)
    switched = switch_key(moved[1], key, moduli, special)
    return np.stack([add(moved[0], switched[0], moduli), switched[1]])


def rescale(ct: Words, moduli: tuple[int, ...]) -> Words:
    """(parts, limbs, N) to (parts, limbs - 1, N): divide by q_l and round."""
    return mod_down(ct, moduli[:-1], moduli[-1])


# the rest of the scheme ------------------------------------------------------------------------


def tensor(a: Words, b: Words, moduli: tuple[int, ...]) -> Words:
    """(2, limbs, N) x (2, limbs, N) to (3, limbs, N)."""
    a_wide = a.astype(object)
    parts = (a_wide[0] * b[0], a_wide[0] * b[1] + a_wide[1] * b[0], a_wide[1] * b[1])
    return np.stack([_mod(part, moduli) for part in parts])


def phase(ct: Words, secret: Words, moduli: tuple[int, ...]) -> Words:
    """Return c_0 + c_1 s + c_2 s^2 ... as words (limbs, N), NTT form, by Horner's rule."""
    s = secret[: len(moduli)]
    total = ct[-1]
    for part in ct[-2::-1]:
        total = add(multiply(total, s, moduli), part, moduli)
    return total


def encode(slots: NDArray[np.complex128], scale: float, ring_degree: int) -> Integers:
    """Return the integers (N,) nearest to scale x (the polynomial with these N/2 slots).

    m_k = (2/N) Re sum_j slot_j zeta^(-k 3^j), summed from the definition in extended precision.
    """
    n = ring_degree
    angle = np.arange(2 * n).astype(np.longdouble) * (np.longdouble("3.14159265358979323846") / n)
    cosine, sine = np.cos(angle), np.sin(angle)
    orbit = np.array([pow(SLOT_GENERATOR, j, 2 * n) for j in range(n // 2)])
    index = np.arange(n)[:, None] * orbit % (2 * n)  # (N, N/2)
    real = cosine[index] @ slots.real.astype(np.longdouble)
    real += sine[index] @ slots.imag.astype(np.longdouble)
    return np.array([int(v) for v in np.rint(real * (np.longdouble(scale) * 2 / n))], dtype=object)


def decode(coefficients: Integers, scale: float) -> NDArray[np.complex128]:
    """Return slot_j = m(zeta^(3^j)) / scale for the integers (N,) of m."""
    n = len(coefficients)
    orbit = np.array([pow(SLOT_GENERATOR, j, 2 * n) for j in range(n // 2)])
    zeta = np.exp(1j * np.pi / n * (np.arange(n) * orbit[:, None] % (2 * n)))  # (N/2, N)
    return zeta @ (coefficients.astype(np.float64) / scale)

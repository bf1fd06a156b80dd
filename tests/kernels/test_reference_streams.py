"""The reference's sampling, rounding and packing against their definitions, written another way: as text, tables and fractions.

All other sources are held to the reference, so nothing else would notice if it changed together with them, or alone where
no other source is compiled.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from ckks.kernels import Plan, reference
from ckks.kernels.interface import row_bytes

PRIMES = (97, 2**30 - 35, 2**50 - 27, 2**61 - 1)


def words(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def rows(q: int, n: int, seed: int = 1) -> np.ndarray:
    """One row of residues, both ends among them."""
    drawn = np.random.default_rng(seed).integers(0, q, n, dtype=np.uint64)
    drawn[0], drawn[-1], drawn[1] = q - 1, q - 1, 0
    return drawn.reshape(1, 1, n)


# ---- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", PRIMES)
def test_candidates_below_q_are_kept_in_their_order(q):
    """The low bits(q) bits of each word, as text; whatever stands above them does not count."""
    bits = q.bit_length()
    draw = np.random.default_rng(q % 1000).integers(0, 2**64, 200, dtype=np.uint64).tolist()
    stream = [q - 1, q, q + 1, 0, (1 << bits) - 1, (1 << 63) | 5, *draw]
    wanted = [int(format(w, "064b")[-bits:], 2) for w in stream]
    wanted = [w for w in wanted if q - w > 0]
    out = words(*[7] * 300)
    assert reference.take_below(q, words(*stream), out) == len(wanted)
    assert out[: len(wanted)].tolist() == wanted
    assert (out[len(wanted) :] == 7).all()


def test_no_more_candidates_are_taken_than_there_is_room_for():
    """Of q = 97 seven bits count: 228 is 100 there, and passed over."""
    out = words(9, 9, 9, 9)
    assert reference.take_below(97, words(1, 228, 2, 3, 4), out[:3]) == 3
    assert out.tolist() == [1, 2, 3, 9]


def test_ternary_candidates_are_crumbs_from_the_low_end():
    """Of every byte, as text: pairs of bits from the right; 11 is passed over, the others stand for -1, 0 and 1."""
    meaning = {"00": [-1], "01": [0], "10": [1], "11": []}
    stream = np.arange(256, dtype=np.uint8)
    wanted = [v for byte in stream.tolist() for k in (6, 4, 2, 0) for v in meaning[format(byte, "08b")[k : k + 2]]]
    out = np.full(4 * 256, 5, dtype=np.int8)
    assert reference.take_ternary(stream, out) == len(wanted) == 768
    assert out[:768].tolist() == wanted
    assert (out[768:] == 5).all()
    assert reference.take_ternary(stream, out[:10]) == 10


def test_binomial_counts_21_bits_against_21():
    """Of each word, as text from the right: ones among the first 21 characters less ones among the next 21."""
    ends = [0, 2**64 - 1, 2**21 - 1, (2**21 - 1) << 21, 1 << 20, 1 << 21, 1 << 41, 1 << 42]
    stream = [*ends, *np.random.default_rng(3).integers(0, 2**64, 300, dtype=np.uint64).tolist()]
    wanted = []
    for word in stream:
        text = format(word, "064b")[::-1]
        wanted.append(text[:21].count("1") - text[21:42].count("1"))
    assert wanted[:8] == [0, 0, 21, -21, 1, -1, -1, 0]
    out = np.zeros(len(stream), dtype=np.int8)
    reference.binomial(words(*stream), out)
    assert out.tolist() == wanted


# ---- integers and reals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", (3, *PRIMES))
def test_small_integers_as_residues(q):
    """Each of the 256: the residue differs from it by a multiple of q."""
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    plan = Plan(256, (q,), (0,))
    out = np.zeros((1, 1, 256), dtype=np.uint64)
    reference.small(plan, every, out)
    for value, residue in zip(every[0].tolist(), out[0, 0].tolist(), strict=True):
        assert 0 <= residue < q and (residue - value) % q == 0


def nearest_even(value: Fraction) -> int:
    """The nearest integer, the even one of two."""
    below = floor(value)
    rest = value - below
    if rest == Fraction(1, 2):
        return below + below % 2
    return below + (rest > Fraction(1, 2))


@pytest.mark.parametrize("scale", [1.0, 0.5, 3.0, 2.0**40])
def test_reals_are_rounded_to_the_nearest_and_halves_to_even(scale):
    q = 2**50 - 27
    reals = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49, -0.49, 0.75, -0.75, 3.0, -3.0, 1e6 + 0.5, -(1e6 + 0.5), 0.0, 1 / 3]
    out = np.zeros((1, 1, 16), dtype=np.uint64)
    reference.rounded(Plan(16, (q,), (0,)), np.array([reals]), scale, out)
    for value, residue in zip(reals, out[0, 0].tolist(), strict=True):
        assert residue == nearest_even(Fraction(value * scale)) % q


def test_two_words_of_a_large_integer():
    """low + 2^52 high, either of them negative."""
    q, n = 2**61 - 1, 8
    low, high = np.array([[0, 1, -1, 5, -5, 2**61, -(2**61), 7]]), np.array([[0, 0, 0, -1, 1, 2**61, -(2**61), 3]])
    out = np.zeros((1, 1, n), dtype=np.uint64)
    reference.signed(Plan(n, (q,), (0,)), low, high, out)
    assert out[0, 0].tolist() == [(u + 2**52 * v) % q for u, v in zip(low[0].tolist(), high[0].tolist(), strict=True)]
    reference.signed(Plan(n, (q,), (0,)), low, None, out)
    assert out[0, 0].tolist() == [u % q for u in low[0].tolist()]


def test_the_first_negated_index():
    """n + 0 stands for -a_0: the border between the two halves of a signed index."""
    n, q = 8, 97
    row, out = rows(q, n), np.zeros((1, 1, n), dtype=np.uint64)
    reference.gather_signed(Plan(n, (q,), (0,)), row, np.array([n, n - 1, 0, 2 * n - 1, n + 1, 1, 2, 3]), out)
    a = row[0, 0].tolist()
    assert out[0, 0].tolist() == [-a[0] % q, a[7], a[0], -a[7] % q, -a[1] % q, a[1], a[2], a[3]]


# ---- bits ------------------------------------------------------------------------------------------------------------


def as_text(values: list[int], bits: int, length: int) -> bytes:
    """Words as text, lowest bit first, cut into bytes."""
    text = "".join(format(v, f"0{bits}b")[::-1] for v in values)
    text += "0" * (8 * length - len(text))
    return bytes(int(text[k : k + 8][::-1], 2) for k in range(0, len(text), 8))


@pytest.mark.parametrize("n", [2, 4, 8, 16])
@pytest.mark.parametrize("q", PRIMES)
def test_rows_are_bits_from_the_low_end(q, n):
    """Rings below 8 have padding bits in their last byte."""
    plan, x, size = Plan(n, (q,), (0,)), rows(q, n), row_bytes(q, n)
    packed = np.zeros((1, size), dtype=np.uint8)
    reference.pack(plan, x, packed)
    assert packed.tobytes() == as_text(x[0, 0].tolist(), q.bit_length(), size)
    back = np.zeros_like(x)
    assert reference.unpack(plan, packed, back)
    assert back.tolist() == x.tolist()


@pytest.mark.parametrize("place", [0, 1, 7, 15])
@pytest.mark.parametrize("q", PRIMES)
def test_words_from_q_on_are_not_canonical(q, place):
    """q - 1 is the last that is; q is the first that is not."""
    plan, size = Plan(16, (q,), (0,)), row_bytes(q, 16)
    for value, fine in ((q - 1, True), (q, False), ((1 << q.bit_length()) - 1, (1 << q.bit_length()) - 1 < q)):
        values = [1] * 16
        values[place] = value
        data = np.frombuffer(as_text(values, q.bit_length(), size), dtype=np.uint8).reshape(1, size)
        out = np.zeros((1, 1, 16), dtype=np.uint64)
        assert bool(reference.unpack(plan, data, out)) is fine
        assert out[0, 0].tolist() == values


def test_padding_bits_are_not_canonical():
    plan = Plan(2, (97,), (0,))  # 14 bits in two bytes
    packed = np.frombuffer(as_text([3, 4], 7, 2), dtype=np.uint8).reshape(1, 2).copy()
    out = np.zeros((1, 1, 2), dtype=np.uint64)
    assert reference.unpack(plan, packed, out)
    for bit in (6, 7):
        damaged = packed.copy()
        damaged[0, 1] |= 1 << bit
        assert not reference.unpack(plan, damaged, out)


def test_rows_of_several_limbs_follow_each_other():
    plan = Plan(8, (97, 2**30 - 35), (0, 0))
    x = np.concatenate([rows(97, 8), rows(2**30 - 35, 8)], axis=1)
    packed = np.zeros((1, 7 + 30), dtype=np.uint8)
    reference.pack(plan, x, packed)
    assert packed.tobytes() == as_text(x[0, 0].tolist(), 7, 7) + as_text(x[0, 1].tolist(), 30, 30)

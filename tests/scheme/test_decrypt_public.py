"""Decryptions that may be shown: what is added and cut off, how often, and what they still tell about the key (L10)."""

from __future__ import annotations

import threading
import time
from functools import cache
from math import inf, log2, nan, sqrt
from typing import Any

import numpy as np
import pytest
from kit import Kit, make_kit
from numpy.typing import NDArray
from params import insecure_small

from ckks import Ciphertext, CKKSParams, Decryptor, EncryptedVector, Encryptor, KeyGenerator
from ckks.errors import BasisMismatch, HEError, ParameterError, QueriesSpent, RangeError
from ckks.ring import Domain, RingPoly, Rng
from ckks.rlwe import flood, flooding_std, noise
from ckks.rlwe.noise import EXACT, Noise
from ckks.rlwe.secret import decrypt
from ckks.scheme import decryption
from ckks.scheme.embedding import slots_to_coefficients
from ckks.scheme.meta import meta_of

SCALE = 2.0**55
"""With bits to spare for flooding; above it, encoding in double precision would err more than encryption."""


@cache
def world() -> Kit:
    return make_kit(insecure_small(64), rotations=(), conjugation=False)


def decryptor(seed: int = 5, **settings: Any) -> Decryptor:
    return Decryptor(world().params, world().secret, rng=Rng(seed), **settings)


# ---- values --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["real", "complex", "sparse", "batch", "one value", "a result"])
def test_values(backend, values, kind):
    """Rounded to as many bits as survive, right to one or two units of the last; shapes and types as of `decrypt`."""
    kit = make_kit(insecure_small(32), rotations=()) if backend == "reference" else world()
    x: Any = values.uniform(-1, 1, {"batch": (2, 3, 16), "one value": (1,), "sparse": (4,)}.get(kind, (16,)))
    if kind == "complex":
        x = x * np.exp(2j * np.pi * values.random(16))
    ct = kit.encryptor.encrypt(x, scale=SCALE, slots=4 if kind == "sparse" else None)
    if kind == "a result":
        ct, x = kit.evaluator.multiply(kit.evaluator.add(ct, ct), 3), 6 * x
    public = Decryptor(kit.params, kit.secret, rng=Rng(5))
    found, private = public.decrypt_public(ct), public.decrypt(ct)
    assert found.shape == private.shape == x.shape and found.dtype == private.dtype
    std = flooding_std(ct.noise.bound + sqrt(kit.params.ring_degree) / 2, queries=1024)
    slots = meta_of(ct).slots
    rms = noise.random_poly(kit.params.ring_degree, std).std * sqrt(2 * slots / kit.params.ring_degree) / SCALE
    unit = 2.0 ** -np.floor(-np.log2(rms * 1.01))
    assert rms <= unit < 2.1 * rms
    assert np.array_equal(found, np.rint(found / unit) * unit) and np.any(found != np.rint(found / unit / 2) * unit * 2)
    assert np.abs(found - x).max() < 6 * unit
    assert np.abs(private - x).max() < unit / 2**15, "without flooding there is no such error"


def test_the_noise_is_that_of_the_formula(values):
    """rms error of 2048 values: rms of the flood in the slots, with rounding to a unit u adding u^2/12."""
    kit = world()
    ct = kit.encrypt(values.uniform(-1, 1, (64, 32)), scale=SCALE)
    for settings, queries, bits in (({}, 1024, 30), (dict(public_queries=2**16, statistical_bits=36), 2**16, 36)):
        found = decryptor(**settings).decrypt_public(ct) - decryptor().decrypt(ct)
        std = flooding_std(ct.noise.bound + 4, queries=queries, statistical_bits=bits)
        unit = 2.0 ** -np.floor(-np.log2(std * 1.01 * 8 / SCALE))
        expected = sqrt((std * 8 / SCALE) ** 2 / 2 + unit**2 / 12)  # half of the power goes to the imaginary parts
        assert sqrt((found**2).mean()) == pytest.approx(expected, rel=0.08)  # 5 deviations of 1/sqrt(2 * 2048)


def test_the_deviation_is_the_formula(monkeypatch):
    """To the last bit, with half a unit in each coefficient for rounding the exact result."""
    asked, draw = [], decryption.wide_gaussian

    def spied(basis, rng, std, *rest):
        asked.append(std)
        return draw(basis, rng, std, *rest)

    monkeypatch.setattr(decryption, "wide_gaussian", spied)
    ct = world().encrypt([0.5], scale=SCALE)
    decryptor(public_queries=7, statistical_bits=33).decrypt_public(ct)
    assert asked == [pytest.approx(sqrt(12 * 7) * 2**16.5 * (ct.noise.bound + sqrt(64) / 2), rel=1e-12)]


def test_rounding_to_a_precision():
    kit = world()
    ct = kit.encrypt([0.123456789, -0.7], scale=SCALE)
    assert np.array_equal(decryptor().decrypt_public(ct, 3), [0.125, -0.75])
    assert np.array_equal(decryptor().decrypt_public(ct, np.int64(0)), [0, -1])
    assert np.array_equal(decryptor().decrypt_public(ct, -1), [0, 0])
    with pytest.raises(TypeError):
        decryptor().decrypt_public(ct, 2.5)  # type: ignore[arg-type]


def test_every_answer_has_noise_of_its_own():
    ct = world().encrypt([0.5], scale=SCALE)
    public = Decryptor(world().params, world().secret)
    assert len({float(public.decrypt_public(ct)[0]) for _ in range(64)}) > 1


def test_vectors_are_taken_too():
    kit = world()
    x = EncryptedVector(kit.encrypt([0.5], scale=SCALE), kit.evaluator)
    assert abs(decryptor().decrypt_public(x)[0] - 0.5) < 2**-10  # type: ignore[arg-type]


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", [EXACT, Noise(1.0, -1.0), Noise(1.0, inf), Noise(nan, nan)], ids=str)
def test_noise_that_is_not_known(stated):
    ct, public = world().encrypt([0.5], scale=SCALE), decryptor()
    changed = Ciphertext.of(ct.params, ct.words, ct.level, ct.meta, stated)
    with pytest.raises(RangeError, match="needs a true bound"):
        public.decrypt_public(changed)
    assert public.queries_left == 1024


def test_bits_that_do_not_survive():
    ct, public = world().encrypt([0.5], scale=SCALE), decryptor()
    with pytest.raises(RangeError, match="bits of the values survive flooding, 40 were asked for"):
        public.decrypt_public(ct, 40)
    for scale in (2.0**33, 2.0**30):
        with pytest.raises(RangeError, match="no bit of values up to 1 survives"):
            public.decrypt_public(world().encrypt([0.5], scale=scale))
        with pytest.raises(RangeError, match="survive"):
            public.decrypt_public(world().encrypt([0.5], scale=scale), 1)
    assert public.queries_left == 1024


def test_the_last_bit_that_survives(monkeypatch):
    """With an error of 2^-6.5 six bits survive: a bound of one such unit is refused, one beyond it is not."""
    monkeypatch.setattr(decryption, "expected_error", lambda _: 2.0**-6.5)
    unit, kit, public = 2.0**-6, world(), decryptor()
    with pytest.raises(RangeError, match="no bit of values"):
        public.decrypt_public(kit.encrypt([unit / 4], scale=SCALE, bound=unit))
    with pytest.raises(RangeError, match="6 bits of the values survive flooding, 7 were asked for"):
        public.decrypt_public(kit.encrypt([unit], scale=SCALE, bound=unit * 1.01), 7)
    assert public.queries_left == 1024
    assert public.decrypt_public(kit.encrypt([unit], scale=SCALE, bound=unit * 1.01), 6).tolist() == [unit]


def test_noise_that_does_not_fit():
    """A message that fills the modulus of its level leaves no room for the flood; a level higher there is."""
    kit = world()
    low = kit.evaluator.drop(kit.encrypt([0.5], scale=2.0**48, bound=1.9), 0)  # 2^48.93 of 2^49
    low = low.with_(noise=Noise(2.0**18, 2.0**20))
    with pytest.raises(RangeError, match="exceed the modulus of level 0"):
        decryptor().decrypt_public(low)
    high = kit.encrypt([0.5], scale=2.0**48, bound=1.9).with_(noise=Noise(2.0**18, 2.0**20))
    assert abs(decryptor().decrypt_public(high)[0] - 0.5) < 1


def test_what_is_no_ciphertext_of_this_key():
    other = make_kit(insecure_small(64, depth=2), rotations=())
    with pytest.raises(BasisMismatch, match="other parameters"):
        decryptor().decrypt_public(other.encrypt([0.5]))
    with pytest.raises(TypeError, match="cannot decrypt"):
        decryptor().decrypt_public(world().encoder.encode([0.5]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"public_queries": 0},
        {"public_queries": 1.5},
        {"public_queries": 2**40 + 1},
        {"statistical_bits": 29},
        {"statistical_bits": 65},
    ],
    ids=str,
)
def test_settings_that_hide_nothing(settings):
    with pytest.raises(ParameterError):
        decryptor(**settings)


# ---- queries are counted -------------------------------------------------------------------------------------------


def test_queries_are_counted():
    """By item; the same ciphertext again is one more; a refusal for want of queries takes none."""
    kit, public = world(), decryptor(public_queries=8)
    one, three = kit.encrypt([0.5], scale=SCALE), kit.encrypt(np.full((3, 1), 0.5), scale=SCALE)
    for ct, left in ((one, 7), (one, 6), (three, 3), (three[1], 2)):
        public.decrypt_public(ct)
        assert public.queries_left == left
    with pytest.raises(QueriesSpent, match="3 public decryptions, but 2 of 8 are left"):
        public.decrypt_public(three)
    assert public.queries_left == 2
    public.decrypt_public(three[:2])
    for _ in range(2):
        with pytest.raises(QueriesSpent, match="make a new key"):
            public.decrypt_public(one)
    assert issubclass(QueriesSpent, HEError) and issubclass(QueriesSpent, RuntimeError)
    assert abs(public.decrypt(one)[0] - 0.5) < 1e-9, "the key holder goes on reading"


def test_threads_spend_no_query_twice(monkeypatch):
    """8 threads ask until they are refused: exactly as many answers as there are queries.

    Reading what is left takes a while here, so that a thread which does not wait for the others is caught.
    """

    def slowly(self: Decryptor) -> int:
        left = self._queries - self._spent
        time.sleep(1e-4)
        return left

    monkeypatch.setattr(Decryptor, "queries_left", property(slowly))
    public, given, ct = decryptor(public_queries=200), [], world().encrypt([0.5], scale=SCALE)
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        try:
            while True:
                public.decrypt_public(ct)
                given.append(1)
        except QueriesSpent:
            pass

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 200 and public.queries_left == 0


# ---- what decryptions tell about the key -----------------------------------------------------------------------------


def key_from(ct: Ciphertext, values: NDArray[np.complex128]) -> NDArray[np.object_]:
    """Solve c_0 + c_1 s = m' modulo the first prime for s, m' the integer polynomial nearest to the values' encoding.

    Returns centred integers: the coefficients of the key, if m' is what decryption gives to the last bit.
    """
    basis = ct.params.basis(0)
    coefficients = slots_to_coefficients(values, basis.n, slots=basis.n // 2, generator=5)
    return solve(ct, np.rint(coefficients * float(meta_of(ct).scale)))


def solve(ct: Ciphertext, message: NDArray[np.float64]) -> NDArray[np.object_]:
    basis, (q,) = ct.params.basis(0), ct.params.basis(0).moduli
    phase = RingPoly.from_integers(basis, [int(c) for c in message]).to_ntt()
    c0, c1 = (RingPoly(basis, ct.words[i, :1], Domain.NTT) for i in (0, 1))
    inverse = np.array([[pow(w, -1, q) for w in c1.residues[0].tolist()]], dtype=np.uint64)
    return ((phase - c0) * RingPoly(basis, inverse, Domain.NTT)).to_integers()


def full_vector(values: np.random.Generator) -> NDArray[np.complex128]:
    """One complex value for every slot, so that the values tell every coefficient."""
    return np.asarray(values.uniform(-0.7, 0.7, 32) + 1j * values.uniform(-0.7, 0.7, 32))


@pytest.mark.parametrize("trials", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_key_can_be_solved_for_with_decrypt_only(figure, values, trials):
    """L10. With the key holder's values the key falls out of one ciphertext; with those for the public it does not.

    Of a wrong solution, uniform modulo 2^50, no coefficient is one of -1, 0, 1 but by chance.
    """
    kit, public = world(), decryptor(1)
    key = kit.secret.coefficients()
    private = shown = small = 0
    for _ in range(trials):
        ct = kit.encrypt(full_vector(values), scale=2.0**44)
        private += np.array_equal(key_from(ct, public.decrypt(ct)), key)
        found = key_from(ct, public.decrypt_public(ct))
        shown += np.array_equal(found, key)
        small += sum(abs(c) <= 1 for c in found)
    assert private == trials and shown == 0 and small == 0
    figure("L10", f"key recovered from {private}/{trials} decryptions, from {shown}/{trials} public ones")


def test_averages_within_the_allowance_tell_nothing(figure, values):
    """All tau public decryptions of one ciphertext, averaged: what is left of the flood is still 2^15 times the bound."""
    kit, public = world(), decryptor(2)
    x = full_vector(values)
    ct = kit.encrypt(x, scale=2.0**44)
    copies = Ciphertext.of(ct.params, np.broadcast_to(ct.words, (1024, *ct.words.shape)), 4, ct.meta, ct.noise)
    mean = public.decrypt_public(copies).mean(axis=0)
    assert public.queries_left == 0
    key = kit.secret.coefficients()
    assert np.array_equal(key_from(ct, public.decrypt(ct)), key)
    assert not np.array_equal(key_from(ct, mean), key)
    off = slots_to_coefficients(mean - public.decrypt(ct), 64, slots=32, generator=5) * 2.0**44
    left = log2(sqrt((off**2).mean()) / ct.noise.bound)
    assert 16 < left < 18  # sqrt(12) 2^15 = 2^16.8, and rounding
    figure("L10", f"mean of all 1024 public decryptions of one ciphertext: 2^{left:.1f} times the error's bound away")


def test_averages_far_beyond_it_would_tell_all(figure, values):
    """The attack is real: M decryptions leave std / sqrt(M), and the key falls once that is well below 1/2.

    With 4 in place of the deviation that decrypt_public uses, (10 std)^2 = 1600 are enough and 16 are not. So many, for
    that deviation, are counted in the figure.
    """
    kit = world()
    ct = kit.encrypt(full_vector(values), scale=2.0**44)
    key = kit.secret.coefficients()

    def attack(count: int) -> bool:
        words = np.broadcast_to(ct.words, (count, *ct.words.shape))
        flooded = flood(Ciphertext.of(ct.params, words, 4, ct.meta, ct.noise), 4.0, Rng(count))
        phases = decrypt(flooded.at_level(0), kit.secret).words  # what can be seen, in full
        integers = RingPoly(ct.params.basis(0), phases, Domain.NTT).to_integers()
        return np.array_equal(solve(ct, np.rint(integers.mean(axis=0).astype(np.float64))), key)

    assert attack(1600) and not attack(16)
    std = flooding_std(ct.noise.bound + 4, queries=1024)
    figure("L10", f"averaging takes (10 std)^2 decryptions: 1600 for a std of 4, 2^{2 * log2(10 * std):.0f} for ours")


@pytest.mark.parametrize("preset", ["S13", pytest.param("S15", marks=pytest.mark.slow)])
def test_secure_sizes(preset, values):
    params = CKKSParams.preset(preset)
    secret = KeyGenerator(params, Rng(1)).secret_key()
    x = values.uniform(-1, 1, params.slots)
    ct = Encryptor(params, secret, Rng(2)).encrypt(x, scale=SCALE)
    found = Decryptor(params, secret, rng=Rng(3)).decrypt_public(ct)
    error = np.abs(found - x).max()
    assert 2.0**-20 < error < 2.0**-10

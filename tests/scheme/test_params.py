"""Parameter sets: what generation promises of primes and scales, and what `for_depth` promises of precision."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from math import log2, prod

import numpy as np
import pytest
from kit import at_the_ends, make_kit
from params import insecure_pairs, insecure_small, insecure_wide_primes

from ckks import CKKSParams, Encryptor, kernels
from ckks.arith import is_prime
from ckks.errors import InsecureParameters, LevelError, ParameterError
from ckks.ring import Rng
from ckks.rlwe.security import LARGEST_LOG2_QP, largest_log2_qp
from ckks.scheme import PRESETS
from ckks.scheme import params as scheme_params
from ckks.scheme.params import EXACT

COMPILED = next(name for name in ("native", "numba") if name in kernels.available())


@pytest.fixture
def compiled():
    """The fastest backend of this machine: for rings beyond the reference's reach."""
    with kernels.use(COMPILED):
        yield COMPILED


# ---- presets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_preset_keeps_its_promises(name):
    params = CKKSParams.preset(name)
    wanted = PRESETS[name]
    assert params.ring_degree == 2 ** wanted["log_n"]
    assert params.depth == params.top_level == wanted["depth"]
    assert params.security == 128 and not params.is_insecure
    every = params.moduli + params.special_moduli
    assert len(set(every)) == len(every)
    assert all(q < 2**50 and q % (2 * params.ring_degree) == 1 and is_prime(q) for q in every)
    # The cap is on the integer QP itself, not on a rounded logarithm.
    assert prod(every) <= 2 ** LARGEST_LOG2_QP[128][wanted["log_n"]]


@pytest.mark.parametrize("name", PRESETS)
def test_scale_hardly_drifts(name):
    """Each level takes the nearest unused prime. Primes 1 mod 2N near S are 2N ln S apart on average; a gap is at most
    60 of those (1 - 1/60...: e^-60 for one search), taken on both sides of S. S_{l-1}/S_l = S_l/q, so the relative
    deviation at most doubles a level and has one new gap added: |S_l/S - 1| <= (2^(L-l) - 1) gap/S in the worst
    case; in fact the next prime is sought near the drifted scale, so it doubles only if it is never compensated."""
    params = CKKSParams.preset(name)
    gap = 60 * 2 * params.ring_degree * float(params.scale.ln()) / float(params.scale)
    previous = 0.0
    for level in range(params.top_level, -1, -1):
        drift = abs(float(params.scale_at(level) / params.scale) - 1)
        # S_{l-1} = S_l (S_l / q_l) and |q_l - S_l| <= gap S: only the newest gap is added to the drift.
        assert drift <= previous + 1.01 * gap
        previous = drift
    assert previous < 0.5


@pytest.mark.parametrize("name", PRESETS)
def test_one_more_bit_of_modulus_is_refused_when_the_preset_fills_its_cap(name):
    """A preset with its special primes enlarged past the cap has to fail closed."""
    wanted = PRESETS[name]
    cap = LARGEST_LOG2_QP[128][wanted["log_n"]]
    spare = cap - CKKSParams.preset(name).log2_qp
    more = int(spare // 40) + 1
    with pytest.raises(InsecureParameters, match=str(cap)):
        CKKSParams.preset(name, num_special=wanted["num_special"] + more, special_bits=50)


def test_unknown_preset_lists_the_known_ones():
    with pytest.raises(ParameterError, match=r"'S17'.*S12.*S16"):
        CKKSParams.preset("S17")


def test_preset_takes_changes():
    changed = CKKSParams.preset("S12", value_range=0.5)
    assert changed.value_range == 0.5
    assert changed.moduli == CKKSParams.preset("S12").moduli
    assert changed != CKKSParams.preset("S12") and changed.digest != CKKSParams.preset("S12").digest


# ---- generate ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale_bits", [20, 28, 40, 49, 56, 70, 98])
def test_generate_meets_every_scale(scale_bits):
    base_bits = min(scale_bits + 2, 100) if scale_bits != 49 else 52
    params = CKKSParams.generate(
        ring_degree=64, depth=3, scale_bits=scale_bits, base_bits=base_bits, num_special=2, security=None
    )
    per_level = 1 if scale_bits <= 49 else 2
    assert [len(group) for group in params.levels[1:]] == [per_level] * 3
    assert params.scale == 2**scale_bits == params.scale_at(3)
    assert all(q < 2**50 for q in params.moduli + params.special_moduli)
    for level in range(3, 0, -1):
        exact = EXACT.divide(params.scale_at(level, 2), Decimal(params.level_modulus(level)))
        assert params.scale_at(level - 1) == exact
        # The definition itself, in integers: |S_{l-1} q - S_l^2| within the 40 digits kept of each.
        square, product = params.scale_at(level) ** 2, params.scale_at(level - 1) * params.level_modulus(level)
        assert abs(product / square - 1) < Decimal(10) ** -25  # Decimal's default context has 28 digits


def test_pairs_of_primes_multiply_to_their_scale():
    params = insecure_pairs(64, depth=3)
    for level in (1, 2, 3):
        first, second = params.levels[level]
        # The second prime of a pair is nearest S/first; neighbours are some 2N ln(2^35) = 3100 apart, relative 2^-23.
        assert abs(first * second / float(params.scale_at(level)) - 1) < 2.0**-18
        assert params.limbs(level) - params.limbs(level - 1) == 2


@pytest.mark.parametrize("bad", [0, 19, 50, 55, 99, -40])
def test_generate_refuses_scales_without_primes(bad):
    with pytest.raises(ParameterError, match="20 to 49"):
        CKKSParams.generate(ring_degree=64, depth=1, scale_bits=bad, base_bits=60, security=None)


def test_generate_refuses_what_cannot_work():
    with pytest.raises(ParameterError, match="depth -1"):
        CKKSParams.generate(ring_degree=64, depth=-1, scale_bits=40, base_bits=50, security=None)
    with pytest.raises(ParameterError, match="base_bits"):
        CKKSParams.generate(ring_degree=64, depth=1, scale_bits=40, base_bits=40, security=None)
    with pytest.raises(ParameterError, match="ring degree"):
        CKKSParams.generate(ring_degree=63, depth=1, scale_bits=40, base_bits=50, security=None)
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="value range"):
            CKKSParams.generate(ring_degree=64, depth=1, scale_bits=40, base_bits=50, security=None, value_range=bad)


def test_drifting_scales_are_refused():
    """Levels whose primes are far from the scale: the canonical scale would run away."""
    far = insecure_small(64).levels
    with pytest.raises(ParameterError, match="drifts"):
        CKKSParams.insecure(ring_degree=64, levels=far, scale=Decimal(2) ** 36)


@pytest.mark.parametrize("scale", [2, 2**101])
def test_scales_out_of_range_are_refused(scale):
    with pytest.raises(ParameterError, match="needed 2\\^10 to 2\\^100"):
        CKKSParams.insecure(ring_degree=64, levels=insecure_small(64).levels, scale=Decimal(scale))


def test_the_base_modulus_holds_a_scale_and_a_sign():
    """Half of it may be the scale, and not more."""
    (base,) = insecure_small(64).levels[0]
    half = CKKSParams.insecure(ring_degree=64, levels=((base,),), scale=Decimal(base) / 2)
    assert 2 * half.scale == base
    with pytest.raises(ParameterError, match="less than the scale and a sign need"):
        CKKSParams.insecure(ring_degree=64, levels=((base,),), scale=Decimal(base) / 2 + 1)


def test_levels_that_do_not_exist():
    params = insecure_small(64)
    for level in (-1, 5):
        with pytest.raises(LevelError, match="levels 0 to 4"):
            params.scale_at(level)


# ---- identity, pickling, marks -------------------------------------------------------------------------------------


def test_digest_tells_sets_apart():
    base = dict(ring_degree=64, depth=2, scale_bits=40, base_bits=50, security=None)
    sets = [
        CKKSParams.generate(**{**base, **change})
        for change in (
            {},
            {"depth": 3},
            {"scale_bits": 39},
            {"base_bits": 49},
            {"value_range": 2.0},
            {"num_special": 2},
            {"digit_size": 2},
            {"centred_digits": False},
            {"ring_degree": 128},
        )
    ]
    assert len({p.digest for p in sets}) == len(sets) == len(set(sets))
    again = CKKSParams.generate(**base)
    assert again == sets[0] and again.digest == sets[0].digest and hash(again) == hash(sets[0])
    assert all(len(p.digest) == 32 for p in sets)


def test_equal_scales_however_written_are_one_set():
    params = insecure_small(64)
    facts = dict(
        ring_degree=64,
        levels=params.levels,
        special_moduli=params.special_moduli,
        digit_sizes=params.digit_sizes,
        security=None,
    )
    whole, padded = (CKKSParams(**facts, scale=Decimal(s)) for s in (str(2**40), f"{2**40}.000"))
    assert whole == padded
    assert whole.digest == padded.digest


@pytest.mark.parametrize("params", [insecure_small(64), insecure_pairs(64), insecure_wide_primes(64)], ids=str)
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickle_and_copy(params, protocol):
    _ = params.basis_qp, params.scales, params.digest, params.log2_qp  # filled caches must not get in the way
    for twin in (pickle.loads(pickle.dumps(params, protocol)), copy.copy(params), copy.deepcopy(params)):
        assert twin == params and hash(twin) == hash(params)
        assert twin.digest == params.digest and twin.scales == params.scales
        assert twin.basis_qp == params.basis_qp


def test_pickle_goes_through_the_validator():
    """An object whose fields were changed behind the constructor's back does not survive its pickle."""
    forged = copy.copy(CKKSParams.preset("S12"))
    object.__setattr__(forged, "security", 192)  # N = 2^12 has far too much modulus for that
    data = pickle.dumps(forged)
    with pytest.raises(InsecureParameters):
        pickle.loads(data)


def test_frozen():
    params = insecure_small(64)
    with pytest.raises(AttributeError):
        params.scale = Decimal(1)


@pytest.mark.parametrize("kind", ["params", "ciphertext", "product", "plaintext", "public", "keys", "relin", "secret"])
def test_insecure_shows_in_everything_made_from_it(kind):
    kit = make_kit(insecure_small(64), rotations=[1])
    ct = kit.encrypt([1.0])
    made = {
        "params": kit.params,
        "ciphertext": ct,
        "product": kit.evaluator.multiply(ct, kit.evaluator.rotate(ct, 1)),
        "plaintext": kit.encoder.encode([1.0]),
        "public": kit.public,
        "keys": kit.keys,
        "relin": kit.keys.relin,
        "secret": kit.secret,
    }
    assert "INSECURE" in str(made[kind]) and kit.params.is_insecure


def test_secure_objects_do_not_carry_the_mark():
    params = CKKSParams.preset("S12")
    assert "INSECURE" not in str(params) and "128-bit" in str(params)


def test_summary_and_sizes():
    params = CKKSParams.preset("S14")
    text = str(params)
    assert "N=2^14" in text and "7 levels" in text and "8192 slots" in text and "scale 2^40" in text
    sizes = params.sizes()
    n, limbs, special = 2**14, 8, 2
    assert sizes["ciphertext"] == 2 * limbs * n * 8
    assert sizes["public_key"] == 2 * (limbs + special) * n * 8
    assert sizes["switching_key"] == 4 * 2 * (limbs + special) * n * 8  # 8 primes in digits of 2


def test_sizes_are_those_of_real_objects():
    kit = make_kit(insecure_small(64), rotations=[1], conjugation=False)
    sizes = kit.params.sizes()
    assert kit.encrypt([1.0]).nbytes == sizes["ciphertext"]
    assert kit.public.nbytes == sizes["public_key"]
    assert kit.keys.relin_key().nbytes == sizes["switching_key"]
    assert kit.keys.nbytes == 2 * sizes["switching_key"]


# ---- for_depth -----------------------------------------------------------------------------------------------------


def _product_error(params: CKKSParams, reach: float, key_switching: bool) -> float:
    """Largest slot error of one product of two values within the range whose product is within it as well."""
    values = np.random.default_rng(7)
    kit = make_kit(params, rotations=[])
    x, y = (at_the_ends(values, (params.slots,), size) for size in (reach, min(reach, 1.0)))
    other = kit.encrypt(y, bound=min(reach, 1.0)) if key_switching else y
    return kit.error(kit.evaluator.multiply(kit.encrypt(x), other), x * y)


GRID = [
    # depth, precision, value range, security, key switching: chosen so that N <= 2^14
    (1, 10, 1.0, 128, True),
    (1, 20, 1.0, 128, True),
    (1, 24, 16.0, 128, True),
    (2, 24, 1.0, 128, True),
    (3, 30, 1.0, 128, True),
    (4, 24, 16.0, 128, True),
    (2, 20, 1000.0, 128, True),
    (2, 40, 1.0, 128, True),
    (1, 24, 1.0, 192, True),
    (1, 24, 1.0, 256, True),
    (1, 24, 1.0, 128, False),
    (3, 30, 4.0, 128, False),
    (1, 16, 0.01, 128, True),
]


def _title(case):
    depth, precision, reach, security, switching = case
    return f"depth={depth}/bits={precision}/range={reach:g}/security={security}" + ("" if switching else "/no-switch")


@pytest.mark.parametrize("case", GRID, ids=_title)
def test_for_depth_gives_what_it_promises(case, compiled):
    depth, precision, reach, security, switching = case
    params = CKKSParams.for_depth(
        depth, precision_bits=precision, value_range=reach, security=security, key_switching=switching
    )
    assert params.depth == depth and params.value_range == reach and params.security == security
    assert bool(params.special_moduli) is switching
    assert params.ring_degree <= 2**14
    assert (
        prod(params.moduli) * prod(params.special_moduli)
        <= 2 ** LARGEST_LOG2_QP[security][params.ring_degree.bit_length() - 1]
    )
    assert all(q < 2**50 for q in params.moduli + params.special_moduli)
    assert _product_error(params, reach, switching) <= 2.0**-precision


@pytest.mark.parametrize("case", GRID, ids=_title)
def test_for_depth_wastes_no_ring_degree(case):
    """Half the ring degree must not hold this depth at the scale that half the noise (rounding, sqrt 2 per halving of
    N at most twice: one bit) would need."""
    depth, precision, reach, security, switching = case
    params = CKKSParams.for_depth(
        depth, precision_bits=precision, value_range=reach, security=security, key_switching=switching
    )
    log_n = params.ring_degree.bit_length() - 1
    if log_n == 12:
        return
    scale_bits = log2(float(params.scale)) - 1
    least = scale_bits * (depth + 1)  # no base margin, no special prime at all
    cap = LARGEST_LOG2_QP[security][log_n - 1]
    # Rounding up to whole bits, the base's sign and range bits, and special primes as large as one digit.
    most = least + (depth + 2) + max(0.0, log2(reach)) + 6 + (scale_bits + log2(max(reach, 1.0)) + 12) * switching
    assert most > cap, f"{params} although N = 2^{log_n - 1} has room for {cap} bits"


def test_for_depth_deeper_needs_more():
    sizes = [CKKSParams.for_depth(d, precision_bits=24).ring_degree for d in (1, 3, 7)]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]


def test_the_scale_grows_with_the_values_beyond_one():
    """A bit of range is a bit of scale; values are taken to reach 1 unless the caller says otherwise."""
    made = {reach: CKKSParams.for_depth(2, value_range=reach) for reach in (0.25, 1.0, 2.0, 4.0)}
    assert CKKSParams.for_depth(2) == made[1.0] and made[1.0].value_range == 1.0
    assert made[0.25].scale == made[1.0].scale
    assert made[2.0].scale == 2 * made[1.0].scale and made[4.0].scale == 4 * made[1.0].scale


def test_key_switching_costs_modulus():
    with_keys, without = (CKKSParams.for_depth(3, precision_bits=24, key_switching=k) for k in (True, False))
    assert without.log2_qp < with_keys.log2_qp
    assert without.sizes()["switching_key"] == 0


def test_values_of_the_declared_range_multiply_without_further_declarations():
    """for_depth was told that nothing exceeds 16 anywhere; a user who keeps that need not declare bounds."""
    kit = make_kit(CKKSParams.for_depth(1, precision_bits=24, value_range=16.0), rotations=[])
    x, y = np.full(4, 16.0), np.full(4, 1.0)
    product = kit.evaluator.multiply(kit.encrypt(x), kit.encrypt(y))
    np.testing.assert_allclose(kit.decrypt(product), x * y, atol=2.0**-20)


@pytest.fixture
def few_searches(monkeypatch):
    """Fail when far more primes are looked for than any possible set has: a wish is refused before the search."""
    left = [400]  # twice the most levels that fit any cap at 20 bits

    def counted(*args, **kwargs):
        left[0] -= 1
        assert left[0] > 0, "searches primes for sets whose size alone rules them out"
        return nearest_primes(*args, **kwargs)

    nearest_primes = scheme_params.nearest_primes
    monkeypatch.setattr(scheme_params, "nearest_primes", counted)


@pytest.mark.parametrize(
    ("wish", "error", "text"),
    [
        (dict(depth=-1), ParameterError, "depth -1"),
        (dict(depth=2.5), ParameterError, "depth 2.5"),
        (dict(depth=2, precision_bits=0), ParameterError, "1 to 44"),
        (dict(depth=2, precision_bits=60), ParameterError, "1 to 44"),
        (dict(depth=2, precision_bits=float("nan")), ParameterError, "1 to 44"),
        (dict(depth=200), InsecureParameters, "2\\^17"),
        (dict(depth=60, security=256, precision_bits=40), InsecureParameters, "256-bit"),
        (dict(depth=2, security=100), ParameterError, "100"),
        (dict(depth=2, security=None), ParameterError, "None"),
        (dict(depth=2, value_range=0.0), ParameterError, "value range"),
        (dict(depth=2, value_range=-3.0), ParameterError, "value range"),
        (dict(depth=2, value_range=float("inf")), ParameterError, "value range"),
        (dict(depth=2, value_range=float("nan")), ParameterError, "value range"),
        (dict(depth=1, value_range=2.0**80), ParameterError, "2\\^98|limit"),
    ],
    ids=lambda v: "/".join(f"{k}={x}" for k, x in v.items()) if isinstance(v, dict) else "",
)
def test_for_depth_says_what_is_impossible(wish, error, text, few_searches):
    with pytest.raises(error, match=text):
        CKKSParams.for_depth(**wish)


def test_encryptor_of_other_parameters():
    a, b = insecure_small(64), insecure_small(64, value_range=2.0)
    kit = make_kit(a)
    with pytest.raises(ValueError, match="other parameters"):
        Encryptor(b, kit.public, Rng(1))


@pytest.mark.parametrize("make", [insecure_small, insecure_pairs])
def test_tables_of_levels(make):
    """What operations look up, beside what it stands for; levels that do not exist are refused."""
    params = make()
    for level in range(params.top_level + 1):
        assert params.room(level) == log2(prod(params.basis(level).moduli)) - 1
        assert params.level_factor(level) == params.level_modulus(level) == prod(params.levels[level])
        assert params.waiting_scale(level) == EXACT.power(params.scale_at(level), Decimal("1.5"))
    for level in (-1, params.top_level + 1):
        for lookup in (params.room, params.level_factor, params.waiting_scale, params.basis, params.extended_basis):
            with pytest.raises(LevelError):
                lookup(level)


def test_for_scale_keeps_the_scale_and_the_security() -> None:
    """The scale is the one asked for; the rest is chosen as `for_depth` chooses it."""
    params = CKKSParams.for_scale(5, scale_bits=80, value_range=8.0)
    assert (params.scale, params.depth, params.security) == (2**80, 5, 128)
    assert params.log2_qp <= largest_log2_qp(params.ring_degree, 128)
    assert not CKKSParams.for_scale(2, scale_bits=38, key_switching=False).special_moduli
    with pytest.raises(InsecureParameters, match="reduce depth or scale"):
        CKKSParams.for_scale(60, scale_bits=80)
    for wrong in (
        dict(depth=2.5, scale_bits=40),
        dict(depth=True, scale_bits=40),
        dict(depth=-1, scale_bits=40),
        dict(depth=2, scale_bits=40.5),
        dict(depth=2, scale_bits=-5),
        dict(depth=2, scale_bits=52),
        dict(depth=2, scale_bits=40, value_range=0),
        dict(depth=2, scale_bits=40, value_range=float("nan")),
    ):
        with pytest.raises(ParameterError):
            CKKSParams.for_scale(wrong.pop("depth"), **wrong)

"""Key switching and division in one call: the same words as their compositions, and refusals of what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kernels import compare, switching
from kernels.switching import COUNTS, SHAPES, WIDTHS, Case

from ckks import kernels
from ckks.errors import BackendError, BasisMismatch, ParameterError, RangeError
from ckks.kernels import Gadget, Plan, Quotient, backends, make_gadget, make_quotient, native_backend, native_switch
from ckks.kernels.native_backend import NativeKernels


def cases(*chosen: Case):
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def shortest() -> int:
    """The shortest rows that the fast kernels of the active source serve: 64 with AVX-512, else 32."""
    return 64 if getattr(backends.active(), "variant", "") == "ifma" else 32


@cases(*SHAPES)
def test_equals_the_reference(backend, case):
    """The reference itself is asked once only, since its front is the composition."""
    for n in (8,) if backend == "reference" else (8, shortest()):
        switching.switching(backends.active(), case, n, reference=True)


@cases(SHAPES[2], SHAPES[6])
def test_equals_the_reference_at_other_lengths(backend, case):
    for n in () if backend == "reference" else (16, 64, 128):
        switching.switching(backends.active(), replace(case, lean=n > 16), n, reference=True)


@cases(*COUNTS, *WIDTHS)
def test_many_digits_and_many_primes(backend, case):
    if backend != "reference":
        switching.switching(backends.active(), case, shortest(), reference=True)


@pytest.fixture(params=["portable", "avx2", "ifma"])
def native(request) -> NativeKernels:
    """Each compiled variant that runs here: the sources with functions of their own."""
    try:
        return native_backend.load(request.param)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("n", "case"),
    [(2**10, SHAPES[2]), (2**10, SHAPES[7]), (2**10, COUNTS[2]), (2**13, replace(SHAPES[6], lean=True)),
     (2**13, WIDTHS[2]), (2**15, replace(SHAPES[1], lean=True))],
    ids=lambda value: getattr(value, "name", str(value)),
)  # fmt: skip
def test_equals_the_composition_in_large_rings(native, n, case):
    """On the same source, whose kernels are held to the reference elsewhere."""
    switching.switching(native, case, n, reference=False)


@pytest.mark.parametrize("count", [2, 5])
@cases(SHAPES[1], SHAPES[3], SHAPES[7], COUNTS[1])
def test_threads_give_the_same_words(native, case, count):
    with kernels.threads(count):
        switching.switching(native, case, 32, reference=True)


def test_more_threads_than_limbs_are_not_asked(native, monkeypatch):
    """They would wait, at full speed, for those that have a limb; nor is there memory for them."""
    asked: list[int] = []
    monkeypatch.setattr(native_switch, "run", lambda work, total, words: asked.append(total))
    gadget, quotient, rng = CASE.gadget(N), CASE.quotient(N), np.random.default_rng(1)
    x, key = compare.random(gadget.kept, rng), compare.random(gadget.plan, rng, len(gadget), 2)
    with switching.using(native), kernels.threads(64):
        kernels.switch(gadget, x, key, quotient)
        kernels.decompose(gadget, x)
        kernels.divide(quotient, compare.random(gadget.plan, rng))
    assert asked == [len(gadget.plan)] * 3


@pytest.mark.parametrize("count", [1, 3])
@cases(SHAPES[3], SHAPES[6])
def test_nothing_is_written_beside_the_space(native, case, count, monkeypatch):
    """Not even when the number of threads is raised in the middle of a call."""
    guarded: list[np.ndarray] = []

    def empty(shape: tuple[int, ...]) -> np.ndarray:
        if len(shape) > 1:
            return kernels.empty(shape)
        room = np.full(shape[0] + 1024, 2**64 - 1, dtype=np.uint64)
        guarded.append(room)
        kernels.set_num_threads(8)
        return room[512:-512]

    monkeypatch.setattr(native_switch, "empty", empty)
    with switching.using(native):
        for function, arguments in switching.calls(case, 32, np.random.default_rng(32)):
            with kernels.threads(count):
                getattr(kernels, function)(*arguments)
    assert guarded
    for room in guarded:
        assert (room[:512] == 2**64 - 1).all() and (room[-512:] == 2**64 - 1).all()


# ---- what is refused ---------------------------------------------------------------------------------------------

CASE, N = SHAPES[2], 32
Arguments = dict[str, Any]


def good(function: str) -> Arguments:
    """Arguments that fit, a batch of three."""
    gadget, quotient, rng = CASE.gadget(N), CASE.quotient(N), np.random.default_rng(1)
    joint, kept, index = gadget.plan, gadget.kept, rng.permutation(N).astype(np.int64)
    x, pair, key = (
        compare.random(kept, rng, 3), compare.random(kept, rng, 2, 3), compare.random(joint, rng, len(gadget), 2)
    )  # fmt: skip
    digits = compare.random(joint, rng, len(gadget), 3)
    return {
        "decompose": {"gadget": gadget, "x": x},
        "inner": {"gadget": gadget, "digits": digits, "key": key, "addend": pair},
        "tensor": {"plan": kept, "x": pair, "y": pair.copy()},
        "divide": {"quotient": quotient, "x": compare.random(joint, rng, 3), "index": index},
        "switch": {"gadget": gadget, "x": x, "key": key, "quotient": quotient, "addend": pair, "index": index},
        "switch_digits": {
            "gadget": gadget, "digits": digits, "key": key, "quotient": quotient, "addend": pair[:1], "index": index
        },
        "switch_sum": {
            "gadget": gadget, "x": pair, "digits": digits, "keys": [key, None], "quotient": quotient,
            "indices": [index, None], "factors": [None, compare.random(joint, rng, 3)],
        },
        "switch_product": {"gadget": gadget, "x": pair, "y": pair.copy(), "key": key, "quotient": quotient},
    }[function]  # fmt: skip


def strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(x, 2, axis=-1)[..., ::2]


ROWS: dict[str, Callable[[np.ndarray], Any]] = {
    "a limb too few": lambda x: x[..., :-1, :],
    "a limb too many": lambda x: np.concatenate([x, x[..., :1, :]], axis=-2),
    "half a ring": lambda x: x[..., : N // 2],
    "limbs for words": lambda x: x.reshape(*x.shape[:-2], 2 * x.shape[-2], N // 2),
    "one row": lambda x: x[(0,) * (x.ndim - 1)],
    "signed words": lambda x: x.astype(np.int64),
    "reals": lambda x: x.astype(np.float64),
    "swapped bytes": lambda x: x.astype(">u8"),
    "apart": strided,
}
LEADING: dict[str, Callable[[np.ndarray], Any]] = {
    "one too few": lambda x: x[:-1],
    "one too many": lambda x: np.concatenate([x, x[:1]]),
    "none": lambda x: x[:0],
}
PLACES: dict[str, Callable[[np.ndarray], Any]] = {
    "short": lambda i: i[:-1],
    "long": lambda i: np.concatenate([i, i]),
    "narrow": lambda i: i.astype(np.int32),
    "apart": strided,
    "square": lambda i: i.reshape(2, -1),
}
BAD: dict[str, dict[str, Callable[[Any], Any]]] = {
    "x": ROWS,
    "y": {**ROWS, **LEADING, "another batch": lambda y: y[:, :2]},
    "digits": {**ROWS, **LEADING},
    "key": {**ROWS, **LEADING, "one part": lambda k: k[:, :1], "a batch of keys": lambda k: k[:, :, None]},
    "addend": {
        **ROWS,
        "three parts": lambda a: np.concatenate([a, a, a])[:3],
        "no parts": lambda a: a[:0],
        "another batch": lambda a: a[:, :2],
        "more axes": lambda a: a[:, None, :, None],
    },
    "index": PLACES,
    "quotient": {"another basis": lambda q: make_quotient(q.plan[1:], 1, 0)},
    "keys": {
        "one too few": lambda keys: keys[:1],
        "no term": lambda keys: [],
        **{f"a key with {what}": lambda keys, bad=bad: [bad(keys[0]), None] for what, bad in (ROWS | LEADING).items()},
    },
    "indices": {
        "one too few": lambda indices: indices[:1],
        **{f"one that is {what}": lambda i, bad=bad: [None, bad(i[0])] for what, bad in PLACES.items()},
    },
    "factors": {
        "one too few": lambda factors: factors[:1],
        "another batch": lambda factors: [None, factors[1][:2]],
        **{f"a factor with {what}": lambda f, bad=bad: [bad(f[1]), None] for what, bad in ROWS.items()},
    },
}  # fmt: skip
FUNCTIONS = ("decompose", "inner", "tensor", "divide", "switch", "switch_digits", "switch_sum", "switch_product")
COMBINED = {
    "x": {**ROWS, "none": lambda x: x[:0], "one too few": lambda x: x[:-1]},
    "y": {
        **{what: bad for what, bad in ROWS.items() if what != "half a ring"},
        "a third of a ring": lambda y: np.ascontiguousarray(y[..., : N // 3]),
        "nothing of a ring": lambda y: y[..., :0],
        "one too few": lambda y: y[:, :-1],
        "a batch": lambda y: y[:, None],
    },
}
"""How to break `combine`, whose factors may have fewer words than the ring."""


def broken(function: str) -> list[tuple[str, Arguments]]:
    """Every way to break one argument."""
    arguments = good(function)
    found = []
    for name, value in arguments.items():
        for what, bad in BAD.get(name, {}).items():
            found.append((f"{name}: {what}", {**arguments, name: bad(value)}))
    if function in ("tensor", "switch_product", "switch_sum"):
        found += [(f"x: {what}", {**arguments, "x": bad(arguments["x"])}) for what, bad in LEADING.items()]
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_does_not_fit_is_refused(backend, function):
    if backend == "reference":
        return  # the front is the same
    getattr(kernels, function)(**good(function))
    for what, arguments in broken(function):
        with pytest.raises(BasisMismatch):
            getattr(kernels, function)(**arguments)
            pytest.fail(f"{function} took {what}")


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "inner"])
def test_the_binding_refuses_it_too(native, function):
    """Before any pointer is passed: a wrong shape would be a wild read."""
    getattr(native, function)(**good(function))
    for what, arguments in broken(function):
        with pytest.raises((ValueError, TypeError)):
            getattr(native, function)(**arguments)
            pytest.fail(f"{function} took {what}")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_checking_names_the_first_word_that_is_not_reduced(backend, function, monkeypatch):
    monkeypatch.setattr(kernels.shapes, "CHECKING", True)
    arguments = good(function)
    plan = CASE.plan(N)
    getattr(kernels, function)(**arguments)
    rows = {name: value for name, value in arguments.items() if isinstance(value, np.ndarray) and name != "index"}
    if function == "switch_sum":
        rows |= {"keys": arguments["keys"][0], "factors": arguments["factors"][1]}
    for name, value in rows.items():
        spoilt = value.copy()
        spoilt[..., -1, 3] = plan.moduli[-1]
        bad = {"keys": [spoilt, None], "factors": [None, spoilt]}.get(name, spoilt)
        with pytest.raises(RangeError, match=rf"{plan.moduli[-1]} at .* is not below its modulus"):
            getattr(kernels, function)(**{**arguments, name: bad})


def test_combinations_that_do_not_fit_are_refused(backend):
    rng, plan = np.random.default_rng(3), CASE.plan(N)
    arguments = {"plan": plan, "x": compare.random(plan, rng, 4, 2), "y": compare.random(plan, rng, 3, 4)}
    kernels.combine(**arguments)
    source = backends.active()
    for name, ways in COMBINED.items():
        for what, bad in ways.items():
            broken_one = {**arguments, name: bad(arguments[name])}
            with pytest.raises(BasisMismatch):
                kernels.combine(**broken_one)
                pytest.fail(f"combine took {name}: {what}")
            if hasattr(source, "combine"):
                with pytest.raises((ValueError, TypeError)):
                    source.combine(**broken_one)
                    pytest.fail(f"the binding of combine took {name}: {what}")


def test_small_products_are_added_to_a_total(backend):
    rng, plan = np.random.default_rng(4), CASE.plan(N)
    x, y = compare.random(plan, rng, 3, 2), switching.integers(rng, np.int32, 4, 3, N)
    total = switching.embedded(compare.random(plan, rng, 4, 2))
    with switching.using(backends.load("reference")):
        wanted = kernels.add(plan, total, kernels.small_products(plan, x, y))
    found = kernels.small_products(plan, x, y, total)
    assert found is total
    compare.assert_equal(total, wanted, "a total")


def test_small_products_that_do_not_fit_are_refused(backend):
    rng, plan = np.random.default_rng(3), CASE.plan(N)
    arguments = {
        "plan": plan,
        "x": compare.random(plan, rng, 4, 2),
        "y": switching.integers(rng, np.int32, 3, 4, N),
        "total": compare.random(plan, rng, 3, 2),
    }
    kernels.small_products(**arguments)
    source = backends.active()
    ways = {
        "x": {**ROWS, "none": lambda x: x[:0], "one too few": lambda x: x[:-1], "one part": lambda x: x[:, :1]},
        "y": {
            "half a ring": lambda y: y[..., : N // 2],
            "one too few": lambda y: y[:, :-1],
            "a batch": lambda y: y[:, None],
            "unsigned": lambda y: y.astype(np.uint32),
            "reals": lambda y: y.astype(np.float64),
        },
        "total": {**{what: bad for what, bad in ROWS.items() if what != "apart"}, **LEADING},
    }
    for name, bad_ones in ways.items():
        for what, bad in bad_ones.items():
            broken_one = {**arguments, name: bad(arguments[name])}
            with pytest.raises(BasisMismatch):
                kernels.small_products(**broken_one)
                pytest.fail(f"small_products took {name}: {what}")
            if hasattr(source, "small_products"):
                with pytest.raises((ValueError, TypeError)):
                    source.small_products(**broken_one)
                    pytest.fail(f"the binding of small_products took {name}: {what}")
    if hasattr(source, "small_products"):
        with pytest.raises(ParameterError, match="no NTT roots"):
            source.small_products(Plan(N, plan.moduli, (0,) * 6), arguments["x"], arguments["y"], None)
        with pytest.raises(ValueError, match="four bytes"):
            source.small_products(plan, arguments["x"], arguments["y"].astype(np.int64), None)
        frozen = arguments["total"]
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match="writeable"):
            source.small_products(plan, arguments["x"], arguments["y"], frozen)


def test_constants_that_make_no_sense():
    plan = CASE.plan(N)
    for special, bounds in [(0, (0, 6)), (2, (1, 6)), (2, (2, 5)), (2, (2, 7)), (2, (2, 4, 4, 6)), (2, (2,)), (2, ())]:
        for make in (make_gadget, Gadget):
            with pytest.raises(ParameterError, match="digit bounds"):
                make(plan, special, bounds)
    for first, last in [(0, 0), (-1, 2), (2, -1), (6, 0), (3, 3), (0, 7)]:
        for divide in (make_quotient, Quotient):
            with pytest.raises(ParameterError, match="cannot divide"):
                divide(plan, first, last)


def test_moduli_without_roots_are_refused(native):
    plan = Plan(N, CASE.plan(N).moduli, (0,) * 6)
    arguments = good("switch")
    gadget, quotient = Gadget(plan, 2, (2, 4, 6)), Quotient(plan, 2, 1)
    with pytest.raises(ParameterError, match="no NTT roots"):
        native.switch(gadget, arguments["x"], arguments["key"], quotient, None, None)
    with pytest.raises(ParameterError, match="no NTT roots"):
        native.divide(quotient, good("divide")["x"])

"""From a function, shapes and ranges to the smallest parameters that do: a search over runs on stand-ins.

The depth first, with insecure parameters that have levels to spare; then the precision, with secure ones: `for_depth`
knows that of a product, and what a function loses besides is found by running it and made up for by a larger scale.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, log2

from ckks.errors import InsecureParameters, LevelError, ParameterError, RangeError
from ckks.planning.arguments import Function, Wanted, checked
from ckks.planning.rehearsal import rehearsed
from ckks.planning.result import Plan
from ckks.scheme import CKKSParams
from ckks.scheme.lost import listening_for_losses

__all__ = ["plan"]

_DEPTHS = (4, 12, 32, 64, 128)
_TRIAL_BITS = 40
_MOST_RANGE = 2.0**24
_ROUNDS = 8
_COARSE_BITS = 3.0  # more of scale, where something that runs warns that it loses precision


def plan(
    function: Function,
    *shapes: int | Sequence[int],
    ranges: float | Sequence[float] = 1.0,
    slots: int | None = None,
    precision_bits: float = 20.0,
    security: int = 128,
    params: CKKSParams | None = None,
) -> Plan:
    """Run a function on stand-ins, and return what it needs and gives.

    Args:
        function: takes one EncryptedVector for each shape; returns one, or a ciphertext, or a sequence of them.
        shapes: (..., n) of each input: batch axes, then values; n alone for a single vector.
        ranges: |value| of every input, or of each.
        slots: of the inputs, as in `encrypt(x, slots=...)`: a power of two, all that there are unless given.
        precision_bits: wanted of every result: -log2 of its largest error (approximations are not part of it).
        security: 128, 192 or 256 bits.
        params: parameters to plan for, as they are; unless given, the smallest that are deep, wide and precise enough.

    Raises:
        SlotError: shapes that are none, or wider than any ring.
        LevelError: the function needs more levels than any secure parameters have, or than `params` has.
        RangeError: values grow beyond any modulus; narrow the ranges, or tell bounds with `evaluator.with_bound`.
        ParameterError: any other argument that makes no sense, or a precision that is not reached.
        TypeError: the function returns something else.
    """
    wanted = checked(function, shapes, ranges, slots, precision_bits, security, params)
    if params is not None:
        return rehearsed(wanted, params)
    return _smallest(wanted, precision_bits, security)


def _smallest(wanted: Wanted, precision_bits: float, security: int) -> Plan:
    depth, key_switching, value_range = _explore(wanted)
    asked = min(44.0, max(1.0, precision_bits))
    scale_bits: int | None = None  # unless a product's precision has turned out not to be that of the result
    for attempt in range(_ROUNDS):
        if scale_bits is None:
            make, accuracy = partial(CKKSParams.for_depth, precision_bits=asked), f"{asked:g} bits of precision"
        else:
            make, accuracy = partial(CKKSParams.for_scale, scale_bits=scale_bits), f"scale 2^{scale_bits}"
        make = partial(
            make, value_range=value_range, security=security, key_switching=key_switching, slots=wanted.slots
        )
        try:
            params = make(depth)
        except InsecureParameters as error:
            raise LevelError(
                f"the function needs depth {depth}, with {accuracy}; the largest {security}-bit secure depth with that "
                f"is {_largest_depth(make, depth)}, over the largest ring, 2^17: reduce depth or precision_bits"
            ) from error
        try:
            with listening_for_losses() as losses:
                found = rehearsed(wanted, params)
        except LevelError:
            depth += 1
            continue
        except RangeError:
            if value_range >= _MOST_RANGE:
                raise
            value_range *= 4
            continue
        missing = precision_bits - found.precision_bits
        if losses and attempt < _ROUNDS - 1:
            missing = max(missing, _COARSE_BITS)
        if missing <= 0:
            return rehearsed(wanted, params) if losses else found  # once more, for the warnings
        if missing > 98:
            break
        scale_bits = round(log2(params.scale)) + ceil(missing + 0.25)
        if 49 < scale_bits < 56:
            scale_bits = 56
        if scale_bits > 98:
            break
    raise ParameterError(
        f"{precision_bits:g} bits of precision are not reached at depth {depth}; ask for fewer, or look at where the "
        "function loses them: ckks.plan(function, ..., params=...) tells what any parameters give"
    )


def _explore(wanted: Wanted) -> tuple[int, bool, float]:
    """Return (levels needed, whether keys are, range of values)."""
    n = max(64, 1 << (2 * wanted.slots - 1).bit_length())
    value_range = max(1.0, *wanted.ranges)
    for depth in _DEPTHS:
        while True:
            params = CKKSParams.generate(
                ring_degree=n,
                depth=depth,
                scale_bits=_TRIAL_BITS,
                base_bits=_TRIAL_BITS + 4 + 2 * ceil(log2(max(1.0, value_range))),
                security=None,
                value_range=value_range,
            )
            try:
                with listening_for_losses():  # these parameters are not the ones that will be used
                    found = rehearsed(wanted, params)
            except RangeError:
                if value_range >= _MOST_RANGE:
                    raise
                value_range *= 4
                continue
            except LevelError as error:
                if depth == _DEPTHS[-1]:
                    raise LevelError(
                        f"the function needs more than {depth} levels, and no secure parameters have so many ({error})"
                    ) from error
                break
            return found.depth, bool(found.key_bytes), value_range
    raise AssertionError  # pragma: no cover - the last depth returns or raises


def _largest_depth(make: Callable[[int], CKKSParams], too_deep: int) -> int:
    """Return the largest depth that `make` has parameters for, below one that it has none for."""

    def refused(depth: int) -> bool:
        try:
            make(depth)
        except InsecureParameters:
            return True
        return False

    return bisect_left(range(too_deep), True, key=refused) - 1

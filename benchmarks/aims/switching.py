"""T3 to T7, T10: products, rotations, and many ciphertexts under one key."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.aims.document import Row
from benchmarks.aims.measure import Context, alternate, local, quotients, runs
from benchmarks.aims.sets import World, describe, parameters
from benchmarks.aims.targets import TARGETS
from benchmarks.peers.workload import ROTATIONS
from ckks import kernels
from ckks.ring import Rng, uniform
from ckks.rlwe.gadget import gadget_of, key_rows, quotient_of

BATCH = 32

PRODUCT = "ct x ct + relinearise + rescale"


def product(aim: str, context: Context) -> list[Row]:
    """T3 to T6: what a user calls, and the one kernel call beneath it."""
    params = parameters(aim)
    world = World.of(params)
    level, key = params.top_level, world.evaluator.keys.relin_key()
    gadget, quotient = gadget_of(params, level), quotient_of(params, level, rescale=True)
    x, y = (np.moveaxis(ct.words, -3, 0) for ct in (world.a, world.b))
    rows = key_rows(key, level)
    times = alternate(
        {
            "product": local(lambda: world.evaluator.multiply(world.a, world.b)),
            "kernel": local(lambda: kernels.switch_product(gadget, x, y, rows, quotient)),
        },
        context.effort,
    )
    where = describe(params)
    return [
        Row(aim, f"{PRODUCT}, Evaluator.multiply", where, "ms", times["product"], runs(), TARGETS[aim, "product"]),
        Row(aim, "kernels.switch_product alone", where, "ms", times["kernel"], runs()),
    ]


def rotations(aim: str, context: Context) -> list[Row]:
    """T7 on the set of another aim: one, eight that share their digits, and eight summed before the division."""
    params = parameters(aim)
    world = World.of(params, relin=False, rotations=ROTATIONS)
    ct, evaluator = world.a, world.evaluator
    calls: dict[str, Callable[[], object]] = {
        "one": lambda: evaluator.rotate(ct, ROTATIONS[0]),
        "eight": lambda: evaluator.rotate_many(ct, ROTATIONS),
        "summed": lambda: evaluator.rotate_sum(ct, ROTATIONS),
    }
    times = alternate({name: local(call) for name, call in calls.items()}, context.effort)
    where, one = describe(params), times["one"]
    name, count = f"set of {aim}", len(ROTATIONS)
    eight, together = TARGETS["T7", "eight hoisted"], TARGETS["T7", "eight summed"]
    title = f"{count} summed before the division over one, {name}"
    return [
        Row("T7", f"one rotation, {name}", where, "ms", one, runs(), TARGETS["T7", f"rotation, {name}"]),
        Row("T7", f"{count} hoisted over one, {name}", where, "x", quotients(times["eight"], one), runs(), eight),
        Row("T7", title, where, "x", quotients(times["summed"], one), runs(), together),
    ]


def batch(context: Context, *, aim: str = "T5") -> list[Row]:
    """T10: three-part ciphertexts relinearised in one call, against the same ones call by call."""
    params = parameters(aim)
    world = World.of(params)
    level = params.top_level
    gadget, quotient = gadget_of(params, level), quotient_of(params, level)
    rows = key_rows(world.evaluator.keys.relin_key(), level)
    parts = uniform(params.basis(level), Rng(), (3, BATCH)).residues

    def together() -> None:
        kernels.switch(gadget, parts[2], rows, quotient, parts[:2])

    def one_by_one() -> None:
        for i in range(BATCH):
            kernels.switch(gadget, parts[2, i], rows, quotient, parts[:2, i])

    times = alternate({"together": local(together), "alone": local(one_by_one)}, context.effort)
    where = f"{describe(params)}, {BATCH} ciphertexts"
    over = quotients(times["together"], times["alone"])
    each = {name: [t / BATCH for t in series] for name, series in times.items()}
    return [
        Row("T10", "relinearise in one call over one by one", where, "x", over, runs(), TARGETS["T10", "batch"]),
        Row("T10", "relinearise, per ciphertext of a batch", where, "ms", each["together"], runs()),
        Row("T10", "relinearise, alone", where, "ms", each["alone"], runs()),
    ]

"""Which measurements belong to which aim, in parts that each free what they made."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import partial

from benchmarks.aims import comparisons, scheme, switching, transforms
from benchmarks.aims.document import Row
from benchmarks.aims.measure import Context
from benchmarks.aims.targets import TITLES
from benchmarks.peers.errors import PeersError
from ckks import kernels
from ckks.errors import HEError

Part = Callable[[Context], list[Row]]

CASES: dict[str, tuple[Part, ...]] = {
    "T1": tuple(partial(transforms.hot, bits) for bits in transforms.HOT_BITS),
    "T2": tuple(partial(transforms.many, log_n) for log_n in (14, 16)),
    **{aim: (partial(switching.product, aim),) for aim in ("T3", "T4", "T5", "T6")},
    "T7": tuple(partial(switching.rotations, aim) for aim in ("T4", "T5", "T6")),
    "T8": (scheme.encoding,),
    "T9": (scheme.encryption,),
    "T10": (switching.batch,),
    "T11": (*(partial(comparisons.backends, aim) for aim in ("T3", "T4", "T9")), comparisons.seal),
    "T12": tuple(partial(comparisons.two_threads, aim, batch) for aim in ("T4", "T5") for batch in (0, 8)),
    "T13": (scheme.regression,),
    "T14": (comparisons.importing,),
    "T15": (scheme.keys,),
}


def measure(aims: Iterable[str], context: Context) -> list[Row]:
    """Return the rows of some aims, in their order; a part that fails becomes a row that says why."""
    gc.freeze()  # samples collect garbage first, and need not look at all that was imported
    try:
        return [row for aim in aims for row in _aim(aim, context)]
    finally:
        gc.unfreeze()


def _aim(aim: str, context: Context) -> list[Row]:
    rows: list[Row] = []
    parts = CASES[aim]
    for i, part in enumerate(parts, 1):
        context.say(f"{aim}: {TITLES[aim]}" + (f" ({i} of {len(parts)})" if len(parts) > 1 else ""))
        try:
            with kernels.threads(1):
                rows += part(context)
        except (HEError, PeersError, MemoryError) as error:
            rows.append(_failure(aim, error))
        gc.collect()  # the keys of one set go before those of the next come
        kernels.release()
    return rows


def _failure(aim: str, error: Exception) -> Row:
    note = f"failed: {type(error).__name__}: {error}"
    return Row(aim, TITLES[aim], "", "", [], "", note=note, failed=True)

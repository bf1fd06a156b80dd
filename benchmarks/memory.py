"""Measure memory: `python -m benchmarks.memory [--sets S14 S15]`.

For one multiplication + relinearisation + rescale: the most bytes that were live at any moment, keys left out, beside
the bytes of its two inputs and its output. Arrays are counted by `kernels.memory_report`, everything else that Python
and numpy allocate by tracemalloc; where Linux tells, the growth of the resident set stands beside both as a witness.
Without --sets: N = 2^16 with 26 limbs in 6 digits.
"""

from __future__ import annotations

import argparse
import gc
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import ckks
from benchmarks.aims.sets import parameters
from ckks import kernels
from ckks.scheme import PRESETS


@dataclass(frozen=True)
class Peak:
    """Bytes of one multiplication: what goes in and comes out, the most in arrays at once, the most elsewhere."""

    operands: int
    arrays: int
    elsewhere: int

    @property
    def ratio(self) -> float:
        """Peak over inputs and output."""
        return (self.arrays + self.elsewhere) / self.operands


def multiplication(evaluator: ckks.Evaluator, a: ckks.Ciphertext, b: ckks.Ciphertext) -> Peak:
    """Return the peak of evaluator.multiply(a, b), both inputs included and the keys not.

    The second call is measured: its blocks come from the pool, so that tracemalloc sees nothing of them.
    """
    evaluator.multiply(a, b)
    gc.collect()
    before = kernels.memory_report()
    kernels.reset_peak()
    tracemalloc.start()
    try:
        product = evaluator.multiply(a, b)
        elsewhere = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    after = kernels.memory_report()
    if after.fresh != before.fresh:
        raise RuntimeError(f"{after.fresh - before.fresh} arrays took new blocks in a repeated call; is the pool on?")
    inputs = a.nbytes + b.nbytes
    return Peak(inputs + product.nbytes, after.peak - before.live + inputs, elsewhere)


def resident_growth(evaluator: ckks.Evaluator, a: ckks.Ciphertext, b: ckks.Ciphertext) -> int | None:
    """Return by how many bytes the resident set grows at most in a multiplication from an empty pool; None if unknown."""
    kernels.release()
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # restart VmHWM
        before = _status("VmRSS")
        evaluator.multiply(a, b)
        return _status("VmHWM") - before
    except (OSError, KeyError):
        return None


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(dict(line.split(":", 1) for line in lines)[field].split()[0])


def report(name: str, params: ckks.CKKSParams) -> str:
    """Return one row of the table."""
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    keys = keygen.evaluation_keys(secret, rotations=[1])
    encryptor, evaluator = ckks.Encryptor(params, secret), ckks.Evaluator(params, keys)
    a, b = (encryptor.encrypt(np.cos(np.arange(params.slots) + i)) for i in range(2))
    peak = multiplication(evaluator, a, b)
    grown = resident_growth(evaluator, a, b)
    assert keys.relin is not None
    sizes = [peak.operands, peak.arrays, peak.elsewhere]
    cells = [f"{size / 2**20:.1f}" for size in sizes] + [f"{peak.ratio:.2f}"]
    cells.append("?" if grown is None else f"{(grown + a.nbytes + b.nbytes) / 2**20:.1f}")
    cells += [f"{size / 2**20:.1f}" for size in (a.nbytes, keys.relin.nbytes, keys.nbytes)]
    return f"| {name}: {params} | {' | '.join(cells)} |"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--sets", nargs="*", default=[], choices=sorted(PRESETS))
    options = parser.parse_args()
    print("MiB of multiply + relinearise + rescale, without keys; then of a ciphertext and of keys")
    print(
        "| parameters | inputs + output | peak in arrays | peak elsewhere | ratio | inputs + resident growth "
        "| ciphertext | relinearisation key | with one rotation |"
    )
    print("|---" * 9 + "|")
    for name in options.sets:
        print(report(name, ckks.CKKSParams.preset(name)), flush=True)
    if not options.sets:
        print(report("T6", parameters("T6")))


if __name__ == "__main__":
    main()

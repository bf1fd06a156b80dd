"""What `plan` finds: for programs as fields, for people as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import log2, prod
from typing import Any

from ckks.circuits.promises import Promise
from ckks.kernels.recording import Call
from ckks.scheme import CKKSParams

__all__ = ["Forecast", "Plan"]


@dataclass(frozen=True)
class Forecast:
    """What one result will be like.

    Args:
        shape: of the values, as numpy has it.
        level: how many levels are left.
        bound: |value| stays below this, as far as that is known.
        max_error: what the largest error of its values stays below in 999 of 1000 runs, approximations not included.
        worst_error: what no error exceeds, except with probability 2^-40 for each source of noise.
        nbytes: of the ciphertext in memory.
    """

    shape: tuple[int, ...]
    level: int
    bound: float
    max_error: float
    worst_error: float
    nbytes: int

    @property
    def precision_bits(self) -> float:
        """-log2 of `max_error`."""
        return -log2(self.max_error) if self.max_error > 0 else float("inf")


@dataclass(frozen=True, repr=False)
class Plan:
    """What a computation needs and gives; made by `plan`, printed as `describe` tells it.

    Args:
        params: parameters that are secure and deep enough.
        shapes, ranges: of the inputs.
        results: what comes out.
        relinearisation, conjugation: whether these keys are needed.
        rotations: the steps that Galois keys are needed for.
        promises: intervals that circuits relied on; those that are not `proven` are the caller's promise.
        operations: how often ciphertexts (of a batch each one) were multiplied, rotated, ...
        peak_bytes: the most that ciphertexts and plaintexts occupied at one time; keys, and what kernels work in for
            the time of a call, come on top.
        calls: the kernel calls behind the operations.
    """

    params: CKKSParams
    shapes: tuple[tuple[int, ...], ...]
    ranges: tuple[float, ...]
    results: tuple[Forecast, ...]
    relinearisation: bool
    rotations: tuple[int, ...]
    conjugation: bool
    promises: tuple[Promise, ...]
    operations: Mapping[str, int]
    peak_bytes: int
    calls: tuple[tuple[Call, int], ...]
    _timed: Callable[[], float] = field(compare=False)

    @property
    def depth(self) -> int:
        """How many levels the deepest result used."""
        return self.params.top_level - min(result.level for result in self.results)

    @property
    def precision_bits(self) -> float:
        """Of the least precise result."""
        return min(result.precision_bits for result in self.results)

    @property
    def keys(self) -> dict[str, Any]:
        """What to ask for: `keygen.evaluation_keys(secret, **plan.keys)`."""
        return {"relin": self.relinearisation, "rotations": self.rotations, "conjugation": self.conjugation}

    @property
    def key_bytes(self) -> int:
        """Bytes of the evaluation keys in memory; stored, they are half of that."""
        count = self.relinearisation + self.conjugation + len(self.rotations)
        return count * self.params.sizes()["switching_key"]

    @property
    def input_bytes(self) -> int:
        """Bytes of the inputs in memory; seeded, they are half of that."""
        return sum(prod(shape[:-1]) for shape in self.shapes) * self.params.sizes()["ciphertext"]

    def seconds(self) -> float:
        """Estimate how long one run takes on this machine, with the threads allowed now; about a second.

        The function runs on stand-ins once more, its kernels carried out while time lasts and counted from then on
        (`kernels.sampling`). It takes as much memory as a run, keys aside. A run is taken to come after other work.
        """
        return self._timed()

    def describe(self, *, timed: bool = False) -> str:
        """Return some lines for people; with `timed`, the estimated time as well (that takes a moment)."""
        lines = [str(self.params)]
        lines.append(f"depth           {self.depth} of {self.params.top_level} levels")
        if self.key_bytes:
            names = ["relinearisation"] * self.relinearisation + ["conjugation"] * self.conjugation
            if self.rotations:
                names.append(f"{len(self.rotations)} rotations ({_shortened(self.rotations)})")
            lines.append(f"keys            {', '.join(names)}: {_mib(self.key_bytes)}")
        else:
            lines.append("keys            none")
        lines.append(f"inputs          {', '.join(map(str, self.shapes))}: {_mib(self.input_bytes)}")
        lines.append(f"memory          {_mib(self.peak_bytes)} at most for ciphertexts, without keys")
        lines.append(
            "operations      " + (", ".join(f"{count} {name}" for name, count in self.operations.items()) or "none")
        )
        for result in self.results:
            sure = f"never above {result.worst_error:.1e}" if result.worst_error < result.bound else "not bounded"
            lines.append(
                f"result          {result.shape}, up to {result.bound:.3g} in size, {result.precision_bits:.1f} bits "
                f"(largest error {result.max_error:.1e}, {sure}; without that of "
                "approximations)"
            )
        for one in self.promises:
            if not one.proven:
                reach = f"reach {one.bound:.3g} in size"
                if one.center:
                    reach = f"lie {one.bound:.3g} from {one.center:.3g}"
                lines.append(
                    f"your promise    {one.what} needs values in [{one.interval[0]:g}, {one.interval[1]:g}]; they may "
                    f"{reach} as far as ranges tell"
                )
        if timed:
            lines.append(f"time            {self.seconds():.3g} s on this machine")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return what `describe` does."""
        return self.describe()


def _mib(count: int) -> str:
    return f"{count / 2**20:.3g} MiB"


def _shortened(steps: Sequence[int]) -> str:
    shown = ", ".join(map(str, steps[:8]))
    return shown if len(steps) <= 8 else f"{shown}, ..."

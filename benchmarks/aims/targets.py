"""The aims as data. One machine was behind all of them: see RECORDED."""

from __future__ import annotations

from dataclasses import dataclass

RECORDED = "a Xeon with AVX-512-IFMA at 2.99 GHz"
"""Where the aims were set, and where the figures of other libraries behind them were taken."""


@dataclass(frozen=True)
class Target:
    """What a figure is held against.

    limit     in the unit of the figure
    others    whose figure the aim was derived from, or what it says
    at_least  the figure should be at least the limit; otherwise at most
    """

    limit: float
    others: str = ""
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        """Tell whether a figure reaches the aim."""
        return value >= self.limit if self.at_least else value <= self.limit


TITLES = {
    "T1": "forward NTT of one limb, hot",
    "T2": "forward NTT of 20 limbs of different primes",
    "T3": "product, N = 2^13, 3 limbs",
    "T4": "product, N = 2^14, 8 limbs",
    "T5": "product, N = 2^15, 16 limbs",
    "T6": "product, N = 2^16, 26 limbs",
    "T7": "rotations, one and eight",
    "T8": "encode and decode",
    "T9": "encrypt with the secret key",
    "T10": "a batch of 32 relinearised",
    "T11": "numba against native and SEAL",
    "T12": "two threads against one",
    "T13": "encrypted logistic regression",
    "T14": "import ckks",
    "T15": "keys: time and bytes",
}
"""Product: ct x ct + relinearise + rescale."""

TARGETS: dict[tuple[str, str], Target] = {
    ("T1", "q < 2^46, N = 2^14"): Target(25, "HEXL 29.6 us"),
    ("T1", "q < 2^50, N = 2^14"): Target(29, "HEXL 29.6 us"),
    ("T2", "N = 2^14"): Target(31, "HEXL 39-60 us"),
    ("T2", "N = 2^16"): Target(160, "HEXL 232-386 us"),
    ("T3", "product"): Target(0.55, "SEAL + HEXL 1.45 ms"),
    ("T4", "product"): Target(
        4.0, "SEAL + HEXL 15.2 ms at depth 8, Lattigo 14.9 ms at 6 limbs, OpenFHE 25.9 ms at 6 levels"
    ),
    ("T5", "product"): Target(20, "Lattigo 104 ms"),
    ("T6", "product"): Target(95, "Lattigo 457 ms"),
    ("T7", "rotation, set of T4"): Target(3.6, "SEAL + HEXL 13.4 ms"),
    ("T7", "rotation, set of T5"): Target(18, "Lattigo 85.7 ms"),
    ("T7", "rotation, set of T6"): Target(85, "Lattigo 395 ms"),
    ("T7", "eight hoisted"): Target(4.5, "Lattigo 4.3 times one"),
    ("T7", "eight summed"): Target(3.0, "one division for all eight"),
    ("T8", "encode"): Target(0.6, "SEAL + HEXL 1.0 ms"),
    ("T8", "decode"): Target(0.6, "SEAL + HEXL 8.1 ms"),
    ("T9", "encrypt"): Target(1.0, "SEAL + HEXL 5.4 ms"),
    ("T10", "batch"): Target(0.9, "nobody has it: one pass over the key"),
    ("T11", "over native"): Target(3.0, "our native kernels"),
    ("T11", "product"): Target(35.9, "SEAL without HEXL 35.9 ms at depth 8"),
    ("T11", "over SEAL"): Target(1.0, "seal-python in the same run"),
    ("T12", "speedup"): Target(1.7, "two cores", at_least=True),
    ("T13", "server"): Target(1_000_000, "OpenFHE 240,000 rows/s", at_least=True),
    ("T13", "end to end"): Target(200_000, "OpenFHE 28,700 rows/s, TenSEAL 15,700", at_least=True),
    ("T13", "bits"): Target(20, "", at_least=True),
    ("T14", "import"): Target(50, "TenSEAL, OpenFHE about 100 ms with numpy"),
    ("T15", "generate"): Target(15, "SEAL 80 ms at depth 8"),
    ("T15", "stored"): Target(5.0, "SEAL 23.6 MB at depth 8"),
}
"""(aim, what of it) -> target, in the unit of its rows."""

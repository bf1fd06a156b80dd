"""How much work a multiplication with relinearisation and rescale is, in rows of N words, from the parameters alone.

With l primes at the level, k special primes, beta digits of a_1, .., a_beta primes, and r primes that the rescale drops:

    inverse transforms    l (of c_2), then 2 (k + r) in the division by P q
    forward transforms    (l + k - a_d) for each digit d, then 2 (l - r) in the division
    together              (beta + 2)(l + k), whatever r is

The sum is what a merged division makes of it: rescaling on its own would cost 2 l transforms more.
"""

from __future__ import annotations

from dataclasses import dataclass

from ckks.rlwe import RLWEParams


@dataclass(frozen=True)
class Counts:
    """Rows and shapes of one multiplication at one level.

    limbs, special, dropped   l, k, r
    digits                    (a_1, .., a_beta)
    """

    limbs: int
    special: int
    dropped: int
    digits: tuple[int, ...]

    @classmethod
    def of(cls, params: RLWEParams, level: int) -> Counts:
        """Return the counts of a set at a level above 0; it must have special primes."""
        sizes = tuple(s.stop - s.start for s in params.digits(level))
        return cls(params.limbs(level), params.num_special, len(params.levels[level]), sizes)

    @property
    def joint(self) -> int:
        """l + k."""
        return self.limbs + self.special

    @property
    def kept(self) -> int:
        """l - r: the primes of the result."""
        return self.limbs - self.dropped

    @property
    def divisor(self) -> int:
        """k + r: the primes that the division removes."""
        return self.special + self.dropped

    @property
    def inverse_transforms(self) -> int:
        return self.limbs + 2 * self.divisor

    @property
    def forward_transforms(self) -> int:
        return sum(self.joint - a for a in self.digits) + 2 * self.kept

    @property
    def ideal_transforms(self) -> int:
        """(beta + 2)(l + k)."""
        return (len(self.digits) + 2) * self.joint

    @property
    def conversions(self) -> tuple[tuple[int, int], ...]:
        """(source primes, target primes) of every base conversion: one per digit, one per part of the division."""
        return (*((a, self.joint - a) for a in self.digits), *(((self.divisor, self.kept),) * 2))

    def words(self, stage: str) -> int:
        """Return how many rows of N words a stage has to read and write at least, operands and results once each."""
        limbs, joint, beta = self.limbs, self.joint, len(self.digits)
        return {
            "tensor": 4 * limbs + 3 * limbs,
            "inverse NTT of c_2": 2 * limbs,
            "convert digits": sum(a + b for a, b in self.conversions[:-2]),
            "NTT of digits": 2 * sum(joint - a for a in self.digits),
            "inner product": beta * joint + 2 * beta * joint + 2 * joint,
            "add P (c_0, c_1)": 3 * 2 * limbs,
            "inverse NTT of what is divided out": 2 * 2 * self.divisor,
            "convert the remainder": 2 * (self.divisor + self.kept),
            "NTT of the remainder": 2 * 2 * self.kept,
            "subtract and scale": 3 * 2 * self.kept,
        }[stage]

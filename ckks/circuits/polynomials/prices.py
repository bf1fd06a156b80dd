"""What the steps of a plan cost, and what a search for plans may be told to save.

Measured (docs/functions.md says how to repeat it), in tensor products of two ciphertexts at the same level:

                                         N = 2^14, levels 2 to 7     N = 2^15, levels 3 to 13
    a product, and its addition          1.4 to 1.6                  1.6
    key switch with the rescale after    7.3 to 12.8                 12.8 to 18.3
    rescale alone                        2.4 to 3.5                  3.8 to 4.3

The two prices of a value that is relinearised, key switch and rescale, are paid together: they are one pass. What
counts is that a key switch is worth five to eleven products. Up to degree 32 the plans are the same for all such
prices; beyond, some dense ones trade up to five products for two key switches, at nearly equal time.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["PRICES", "Fewest", "Prices"]

Fewest = Literal["key switches", "products"]
"""What is saved: time, which is mostly key switches, or products of two ciphertexts, whatever it takes."""


class Prices(NamedTuple):
    """Of one product of two ciphertexts, one relinearisation and one rescale, in halves of a tensor product."""

    product: int
    relinearise: int
    rescale: int

    @property
    def power(self) -> int:
        """Of a power: one of each."""
        return self.product + self.relinearise + self.rescale

    def total(self, products: int, relinearisations: int, rescales: int) -> int:
        """Of a whole plan."""
        return self.product * products + self.relinearise * relinearisations + self.rescale * rescales


_TIME = Prices(product=3, relinearise=22, rescale=7)

PRICES: dict[Fewest, Prices] = {"key switches": _TIME, "products": _TIME._replace(product=10_000)}
"""With "products", one more of them is worth any number of other steps that a plan can have."""

"""Ring elements: products, division by moduli, sampling."""

from __future__ import annotations

from ckks import ring

from .common import BACKENDS, choose


class Ring:
    """Elements over 8 primes of 46 bits."""

    params = (BACKENDS, (2**13, 2**14, 2**15))
    param_names = ("backend", "N")
    warmup_time = 0.2

    def setup(self, backend: str, n: int) -> None:
        self.context = choose(backend)
        self.basis = ring.RNSBasis(n, ring.ntt_primes(bits=46, count=8, n=n))
        self.rng = ring.Rng()
        self.a, self.b = ring.uniform(self.basis, self.rng), ring.uniform(self.basis, self.rng)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_product(self, *_: object) -> None:
        _ = self.a * self.b

    def time_divide_and_round(self, *_: object) -> None:
        ring.divide_and_round(self.a, last=1)

    def time_uniform(self, *_: object) -> None:
        ring.uniform(self.basis, self.rng)

    def time_ternary(self, *_: object) -> None:
        ring.ternary(self.basis, self.rng)

    def time_error(self, *_: object) -> None:
        ring.error(self.basis, self.rng)

    def time_wide_gaussian(self, *_: object) -> None:
        ring.wide_gaussian(self.basis, self.rng, 2.0**80)

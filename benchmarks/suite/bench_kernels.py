"""Every kernel, per limb: 8 limbs of 46-bit primes, and of 60-bit primes for the general class."""

from __future__ import annotations

import numpy as np

from ckks import kernels
from ckks.arith import ntt_primes
from ckks.ring import Keystream, Rng, RNSBasis, uniform
from ckks.ring.automorphism import coefficient_permutation, ntt_permutation

from .common import BACKENDS, choose

LIMBS = 8


class Kernels:
    """One kernel call on (1, 8, N)."""

    params = (BACKENDS, (2**12, 2**14, 2**16), (46, 60))
    param_names = ("backend", "N", "bits")
    warmup_time = 0.2

    def setup(self, backend: str, n: int, bits: int) -> None:
        self.context = choose(backend)
        basis = RNSBasis(n, ntt_primes(bits=bits, count=LIMBS, n=n))
        rng = Rng(1)
        self.plan = basis.plan
        self.x, self.y = (uniform(basis, rng).residues for _ in range(2))
        self.terms = np.stack([self.x, self.y, self.x, self.y])
        self.out = kernels.empty(self.x.shape)
        self.w = self.plan.q - np.uint64(3)
        self.table = kernels.make_conversion(basis.moduli[:2], basis.moduli[2:])
        self.signed = np.arange(n, dtype=np.int64) - n // 2
        self.small = (self.signed % 43 - 21).astype(np.int8)
        self.reals = self.signed / n
        self.packed = np.zeros((1, sum(kernels.row_bytes(q, n) for q in basis.moduli)), dtype=np.uint8)
        kernels.pack(self.plan, self.x[None], self.packed)
        self.index = ntt_permutation(n, 5)
        self.signed_index = coefficient_permutation(n, 5)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_ntt(self, *_: object) -> None:
        kernels.ntt(self.plan, self.x, self.out)

    def time_intt(self, *_: object) -> None:
        kernels.intt(self.plan, self.x, self.out)

    def time_add(self, *_: object) -> None:
        kernels.add(self.plan, self.x, self.y, self.out)

    def time_sub(self, *_: object) -> None:
        kernels.sub(self.plan, self.x, self.y, self.out)

    def time_neg(self, *_: object) -> None:
        kernels.neg(self.plan, self.x, self.out)

    def time_mul(self, *_: object) -> None:
        kernels.mul(self.plan, self.x, self.y, self.out)

    def time_add_scalar(self, *_: object) -> None:
        kernels.add_scalar(self.plan, self.x, self.w, self.out)

    def time_mul_scalar(self, *_: object) -> None:
        kernels.mul_scalar(self.plan, self.x, self.w, self.out)

    def time_mul_scalar_add(self, *_: object) -> None:
        kernels.mul_scalar_add(self.plan, self.x, self.w, self.y, self.out)

    def time_sub_mul_scalar(self, *_: object) -> None:
        kernels.sub_mul_scalar(self.plan, self.x, self.y, self.w, self.out)

    def time_dot_4(self, *_: object) -> None:
        kernels.dot(self.plan, self.terms, self.terms, self.out)

    def time_weighted_sum_4(self, *_: object) -> None:
        kernels.weighted_sum(self.plan, self.terms, np.stack([self.w] * 4), self.out)

    def time_convert_2_to_6(self, *_: object) -> None:
        kernels.convert(self.table, self.x[:2])

    def time_gather(self, *_: object) -> None:
        kernels.gather(self.x, self.index, self.out)

    def time_gather_signed(self, *_: object) -> None:
        kernels.gather_signed(self.plan, self.x, self.signed_index, self.out)

    def time_signed(self, *_: object) -> None:
        kernels.signed(self.plan, self.signed)

    def time_mul_add(self, *_: object) -> None:
        kernels.mul_add(self.plan, self.x, self.y, self.x, self.out)

    def time_neg_mul_add(self, *_: object) -> None:
        kernels.neg_mul_add(self.plan, self.x, self.y, self.x, self.out)

    def time_small(self, *_: object) -> None:
        kernels.small(self.plan, self.small, self.out)

    def time_rounded(self, *_: object) -> None:
        kernels.rounded(self.plan, self.reals, 2.0**40, self.out)

    def time_pack(self, *_: object) -> None:
        kernels.pack(self.plan, self.x[None], self.packed)

    def time_unpack(self, *_: object) -> None:
        kernels.unpack(self.plan, self.packed, self.out[None])


class Streams:
    """One row of N samples from stream words that are there."""

    params = (BACKENDS, (2**12, 2**14, 2**16))
    param_names = ("backend", "N")
    warmup_time = 0.2

    def setup(self, backend: str, n: int) -> None:
        self.context = choose(backend)
        (self.q,) = ntt_primes(bits=46, count=1, n=n)
        self.words, self.row = kernels.empty((n + n // 8,)), kernels.empty((n,))
        Keystream(bytes(32), "benchmark").read_words(self.words)
        self.small = np.zeros(n, dtype=np.int8)

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_take_below(self, *_: object) -> None:
        kernels.take_below(self.q, self.words, self.row)

    def time_take_ternary(self, *_: object) -> None:
        kernels.take_ternary(self.words.view(np.uint8), self.small)

    def time_binomial(self, *_: object) -> None:
        kernels.binomial(self.words[: len(self.small)], self.small)


class Fused:
    """Key switching and division, whole: 8 limbs and 2 special primes of 46 bits, digits of 2 primes."""

    params = (BACKENDS, (2**12, 2**14))
    param_names = ("backend", "N")
    warmup_time = 0.2
    SPECIAL = 2

    def setup(self, backend: str, n: int) -> None:
        self.context = choose(backend)
        basis = RNSBasis(n, ntt_primes(bits=46, count=LIMBS + self.SPECIAL, n=n))
        kept, rng = basis[self.SPECIAL :], Rng(1)
        self.gadget = kernels.make_gadget(basis.plan, self.SPECIAL, tuple(range(2, LIMBS + 3, 2)))
        self.quotient = kernels.make_quotient(basis.plan, self.SPECIAL, 1)
        self.x, self.y = (uniform(kept, rng, (2,)).residues for _ in range(2))
        self.key = uniform(basis, rng, (len(self.gadget), 2)).residues
        self.digits = kernels.decompose(self.gadget, self.x[1])
        self.sums = kernels.inner(self.gadget, self.digits, self.key)
        self.index = ntt_permutation(n, 5)
        self.terms = uniform(basis, rng, (16, 2)).residues
        self.integers = np.random.default_rng(1).integers(-(2**20), 2**20, (4, 16, n), dtype=np.int32)
        self.compact = np.ascontiguousarray(uniform(basis, rng, (4, 16)).residues[..., : n // 8])

    def teardown(self, *_: object) -> None:
        self.context.__exit__(None, None, None)

    def time_tensor(self, *_: object) -> None:
        kernels.tensor(self.gadget.kept, self.x, self.y)

    def time_decompose(self, *_: object) -> None:
        kernels.decompose(self.gadget, self.x[1])

    def time_inner(self, *_: object) -> None:
        kernels.inner(self.gadget, self.digits, self.key)

    def time_divide(self, *_: object) -> None:
        kernels.divide(self.quotient, self.sums)

    def time_switch(self, *_: object) -> None:
        kernels.switch(self.gadget, self.x[1], self.key, self.quotient, self.x[:1], self.index)

    def time_switch_digits(self, *_: object) -> None:
        kernels.switch_digits(self.gadget, self.digits, self.key, self.quotient, self.x[:1], self.index)

    def time_switch_product(self, *_: object) -> None:
        kernels.switch_product(self.gadget, self.x, self.y, self.key, self.quotient)

    def time_combine_16_into_4(self, *_: object) -> None:
        kernels.combine(self.gadget.plan, self.terms, self.compact)

    def time_small_products_16_into_4(self, *_: object) -> None:
        kernels.small_products(self.gadget.plan, self.terms, self.integers)

    def time_lift_terms_8(self, *_: object) -> None:
        kernels.lift_terms(self.gadget, self.x, self.digits, [self.key] * 8, [self.index] * 8)

    def time_lift_switch(self, *_: object) -> None:
        kernels.lift_switch(self.gadget, self.x[1], self.key, self.sums[0], self.index)

    def time_switch_sum_of_8(self, *_: object) -> None:
        keys, indices, factors = [self.key] * 8, [self.index] * 8, [None] * 8
        kernels.switch_sum(self.gadget, self.x, self.digits, keys, self.quotient, indices, factors)

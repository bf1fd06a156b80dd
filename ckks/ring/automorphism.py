"""The automorphisms X -> X^g of R, g odd modulo 2N, in both domains.

Coefficient form: a_k X^k goes to X^(k g mod N), negated when floor(k g / N) is odd.
NTT form: a permutation. With e(i) = 2 brv(i) + 1 the exponent of psi behind word i, a(X^g) at psi^e(i) is a at
psi^(g e(i)), so out[i] = in[j] where e(j) = g e(i) mod 2N.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ckks import kernels
from ckks.errors import ParameterError
from ckks.kernels import Words
from ckks.ring.basis import RNSBasis


def automorphism(basis: RNSBasis, x: Words, g: int, *, ntt_form: bool) -> Words:
    """Return the words of a(X^g), for the words x of a, shape (..., limbs, N)."""
    g = check_galois_element(basis.n, g)
    if ntt_form:
        return kernels.gather(x, ntt_permutation(basis.n, g))
    return kernels.gather_signed(basis.plan, x, coefficient_permutation(basis.n, g))


def check_galois_element(n: int, g: int) -> int:
    """Return g modulo 2n; raise ParameterError when it is even (X -> X^g is then no automorphism)."""
    if g % 2 == 0:
        raise ParameterError(f"Galois element {g} is even; an automorphism X -> X^g needs g odd modulo {2 * n}")
    return g % (2 * n)


def compose_galois(n: int, g: int, h: int) -> int:
    """Return the element of the composition: a(X^g)(X^h) = a(X^(g h))."""
    return g * h % (2 * n)


def inverse_galois(n: int, g: int) -> int:
    """Return the element that undoes X -> X^g."""
    return pow(check_galois_element(n, g), -1, 2 * n)


@lru_cache(maxsize=64)
def bit_reversal(n: int) -> NDArray[np.int64]:
    """Return brv(i) for i = 0..n-1 as a read-only array."""
    order = np.zeros(1, dtype=np.int64)
    while len(order) < n:
        order = np.concatenate([2 * order, 2 * order + 1])
    order.flags.writeable = False
    return order


@lru_cache(maxsize=1024)
def ntt_permutation(n: int, g: int) -> NDArray[np.int64]:
    """Return the index array of X -> X^g in NTT form: out[i] = in[index[i]]."""
    brv = bit_reversal(n)
    exponents = g * (2 * brv + 1) % (2 * n)
    index = brv[(exponents - 1) // 2]
    index.flags.writeable = False
    return index


@lru_cache(maxsize=1024)
def coefficient_permutation(n: int, g: int) -> NDArray[np.int64]:
    """Return the index array in coefficient form: out[i] = in[j], index[i] = j or, when negated, j + n."""
    k = np.arange(n, dtype=np.int64)
    target = k * g % (2 * n)  # X^(n + i) = -X^i
    index = np.empty(n, dtype=np.int64)
    index[target % n] = k + n * (target >= n)
    index.flags.writeable = False
    return index

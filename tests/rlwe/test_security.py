"""The table of secure moduli, at its limits and one beyond, for every ring degree and level of security."""

from __future__ import annotations

from math import log2, prod

import pytest

from ckks.errors import InsecureParameters, ParameterError
from ckks.ring import ntt_primes
from ckks.rlwe import LARGEST_LOG2_QP, RLWEParams, check_secure, largest_log2_qp

CELLS = [(security, log_n, cap) for security, row in LARGEST_LOG2_QP.items() for log_n, cap in row.items()]
cells = pytest.mark.parametrize(("security", "log_n", "cap"), CELLS, ids=[f"{s}-bit/N=2^{n}" for s, n, _ in CELLS])


def test_the_promised_caps(figure):
    """The table by heart, from its source: it is what the library promises, not whatever the module says."""
    assert {
        128: dict(zip(range(10, 18), (26, 53, 106, 214, 430, 868, 1747, 3523), strict=True)),
        192: dict(zip(range(11, 18), (36, 73, 147, 297, 597, 1199, 2411), strict=True)),
        256: dict(zip(range(11, 18), (27, 56, 114, 230, 462, 929, 1866), strict=True)),
    } == LARGEST_LOG2_QP
    for stronger, weaker in ((192, 128), (256, 192)):
        for log_n, cap in LARGEST_LOG2_QP[stronger].items():
            assert cap < LARGEST_LOG2_QP[weaker][log_n]
    figure("L5", f"{len(CELLS)} limits, 2^10 to 2^17: accepted at the limit, refused at one more (next tests)")


@cells
def test_at_the_limit_and_above(security, log_n, cap):
    n = 2**log_n
    assert largest_log2_qp(n, security) == cap
    check_secure(n, 2**cap, security)
    for modulus in (2**cap + 1, 2 ** (cap + 1), 2**5000):
        with pytest.raises(InsecureParameters, match=rf"above {cap} .*{security}-bit limit for N = {n}"):
            check_secure(n, modulus, security)


def test_the_remedy_is_named():
    with pytest.raises(InsecureParameters, match=r"use N = 2\^12, drop primes, or .*\.insecure"):
        check_secure(2**10, 2**106)
    with pytest.raises(InsecureParameters, match="no ring degree in the table is large enough"):
        check_secure(2**17, 2**3524)


@pytest.mark.parametrize(("n", "security"), [(2**9, 128), (8, 128), (2**10, 192), (2**18, 128)])
def test_rings_that_the_table_lacks(n, security):
    with pytest.raises(InsecureParameters, match=f"{security}-bit secure at ring degree {n}; use N from"):
        largest_log2_qp(n, security)


@pytest.mark.parametrize("security", [0, 80, 127, 129, "128", None])
def test_levels_that_the_table_lacks(security):
    with pytest.raises(ParameterError, match="the table has"):
        largest_log2_qp(2**13, security)


def sizes(total: int) -> list[int]:
    """Bit sizes of at most 50, as equal as can be, that sum to `total`."""
    count = -(-total // 50)
    return [total // count + (i < total % count) for i in range(count)]


def primes(n: int, bits: list[int]) -> list[int]:
    """The largest primes of these sizes: their product is 2^sum(bits), less very little."""
    return [q for b in sorted(set(bits)) for q in ntt_primes(bits=b, count=bits.count(b), n=n)]


@pytest.mark.parametrize(("log_n", "cap"), [c[1:] for c in CELLS if c[0] == 128 and c[1] <= 14])
def test_products_of_real_primes(log_n, cap):
    """Special primes count; the whole of QP decides, not Q."""
    n = 2**log_n
    fits, too_many = primes(n, sizes(cap)), primes(n, sizes(cap + 1))
    assert cap - 0.1 < log2(prod(fits)) <= cap < log2(prod(too_many))
    for split in {0, len(fits) // 2, len(fits) - 1}:
        special, chain = fits[:split], fits[split:]
        params = RLWEParams(ring_degree=n, levels=[(q,) for q in chain], special_moduli=special)
        assert params.security == 128 and not params.is_insecure
        assert params.log2_qp == pytest.approx(log2(prod(fits)))
    for split in {0, len(too_many) // 2, len(too_many) - 1}:
        special, chain = too_many[:split], too_many[split:]
        with pytest.raises(InsecureParameters, match="special primes included"):
            RLWEParams(ring_degree=n, levels=[(q,) for q in chain], special_moduli=special)
        marked = RLWEParams.insecure(ring_degree=n, levels=[(q,) for q in chain], special_moduli=special)
        assert marked.is_insecure


@pytest.mark.parametrize("log_n", [15, 16, 17])
def test_too_many_primes_for_the_largest_rings(log_n):
    """Refused before anything is computed from the primes."""
    cap = LARGEST_LOG2_QP[128][log_n]
    chain = primes(2**log_n, sizes(cap + 1))
    with pytest.raises(InsecureParameters):
        RLWEParams(ring_degree=2**log_n, levels=[(q,) for q in chain[1:]], special_moduli=chain[:1])


def test_security_is_checked_before_the_primes():
    """A modulus that is no prime at all, but too large, is insecure first."""
    with pytest.raises(InsecureParameters):
        RLWEParams(ring_degree=2**10, levels=((2**40,),))

"""The largest modulus that is secure at each ring degree. Fail-closed: what is not in the table is refused."""

from __future__ import annotations

from ckks.errors import InsecureParameters, ParameterError

LARGEST_LOG2_QP = {
    128: {10: 26, 11: 53, 12: 106, 13: 214, 14: 430, 15: 868, 16: 1747, 17: 3523},
    192: {11: 36, 12: 73, 13: 147, 14: 297, 15: 597, 16: 1199, 17: 2411},
    256: {11: 27, 12: 56, 13: 114, 14: 230, 15: 462, 16: 929, 17: 1866},
}
"""log2 of the largest modulus of any published key, by security bits (classical) and log2 N.

Uniform ternary secret, error deviation >= 3.19, any number of samples: [BCC+24, Table 5.2]."""


def largest_log2_qp(n: int, security: int = 128) -> int:
    """Return the table's cap on log2(QP) for ring degree n; raise when the table has none."""
    if security not in LARGEST_LOG2_QP:
        raise ParameterError(f"security level {security!r}; the table has {sorted(LARGEST_LOG2_QP)}")
    try:
        return LARGEST_LOG2_QP[security][n.bit_length() - 1]
    except KeyError:
        raise InsecureParameters(
            f"no modulus is known to be {security}-bit secure at ring degree {n}; "
            f"use N from 2^{min(LARGEST_LOG2_QP[security])} to 2^17"
        ) from None


def check_secure(n: int, modulus: int, security: int = 128) -> None:
    """Raise InsecureParameters unless QP = `modulus` is at most 2^cap at ring degree n."""
    cap = largest_log2_qp(n, security)
    if modulus > 1 << cap:
        enough = [m for m, bits in LARGEST_LOG2_QP[security].items() if modulus <= 1 << bits]
        remedy = f"use N = 2^{enough[0]}" if enough else "no ring degree in the table is large enough"
        raise InsecureParameters(
            f"log2(QP) is above {cap} ({modulus.bit_length()} bits, special primes included), the {security}-bit "
            f"limit for N = {n}; {remedy}, drop primes, or for teaching only use .insecure(...)"
        )

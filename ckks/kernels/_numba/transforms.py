"""The transforms as entry points: each limb by the kind of its modulus."""

from __future__ import annotations

from ckks.kernels._numba import ntt_floating, ntt_integer
from ckks.kernels._numba.cache import kernel
from ckks.kernels._numba.constants import FAST, ROW
from ckks.kernels._numba.lanes import load_int

_forward, _forward_wide = ntt_floating.forward, ntt_integer.forward
_backward, _backward_wide = ntt_floating.backward, ntt_integer.backward


@kernel
def ntt(rows, limbs, batch, n, x, x_b, x_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.ntt`."""
    for limb in range(limbs):
        row = rows + ROW * limb
        for b in range(batch):
            u, o = x + b * x_b + limb * x_l, out + b * o_b + limb * o_l
            if load_int(row, FAST):
                _forward(row, n, u, o)
            else:
                _forward_wide(row, n, u, o)


@kernel
def intt(rows, limbs, batch, n, x, x_b, x_l, out, o_b, o_l):  # type: ignore[no-untyped-def]
    """See `Kernels.intt`."""
    for limb in range(limbs):
        row = rows + ROW * limb
        for b in range(batch):
            u, o = x + b * x_b + limb * x_l, out + b * o_b + limb * o_l
            if load_int(row, FAST):
                _backward(row, n, u, o)
            else:
                _backward_wide(row, n, u, o)

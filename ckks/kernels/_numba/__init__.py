"""The numba kernels, from the inside out.

`cache` where compiled code is kept, `lanes` vectors and 128-bit products as numba values, `floating` and `integer`
arithmetic modulo a prime below 2^50 and below 2^61, `tables` the constants of each prime, `ntt_floating` and
`ntt_integer` the transforms, `pointwise`, `sums`, `convert`, `permute`, `sampling`, `packing` the rest, `source` the
object that `ckks.kernels` calls. Nothing here is imported before the numba source is asked for.
"""

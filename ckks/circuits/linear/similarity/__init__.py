"""Similarities: inner products of one encrypted vector, the query, with many others, plain or encrypted.

Vectors of length 1 make them cosines: normalise in the clear. Each product x . q uses one level and nothing else, so
the ring is small, and thousands of products share a ciphertext.

places      where numbers lie: two real items share a slot
plain       the vectors are plain: generalised diagonals, rotations of the query
encrypted   the vectors are encrypted: one ciphertext a feature, no rotation
fitting     what the modulus and the levels must have room for

Sizes of errors follow from Cauchy-Schwarz over the features: |sum d_i e_i| <= |d| |e|, where |d| is the length of an
item's vector, whatever its numbers are: a length that is promised, since nothing encrypted can be looked at.
"""

from __future__ import annotations

from ckks.circuits.linear.similarity.encrypted import encrypted_similarities, weighted_similarities
from ckks.circuits.linear.similarity.places import block_rows, packed, repeated, rotation_steps, spread, unpacked
from ckks.circuits.linear.similarity.plain import PlainVectors, plain_similarities

__all__ = [
    "PlainVectors",
    "block_rows",
    "encrypted_similarities",
    "packed",
    "plain_similarities",
    "repeated",
    "rotation_steps",
    "spread",
    "unpacked",
    "weighted_similarities",
]

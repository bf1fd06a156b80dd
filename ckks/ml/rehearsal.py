"""One evaluation that computes nothing, under stand-in keys, to learn the error of scores before there is any key.

Every ciphertext carries the size of its error, and the operations keep it, whatever the words are.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ckks import kernels
from ckks.kernels.recording import recording
from ckks.ml.layout import Packing
from ckks.rlwe import Ciphertext
from ckks.rlwe.noise import fresh_public
from ckks.rlwe.standins import stand_in_keys
from ckks.scheme import CKKSParams, Evaluator, Meta

__all__ = ["Program", "rehearse"]


class Program(Protocol):
    """What a server evaluates: a `Network` or a `Forest`."""

    @property
    def depth(self) -> int:
        """Levels that an evaluation uses."""

    @property
    def relinearisation(self) -> bool:
        """Whether the relinearisation key is needed."""

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return a batch (M,) of scores."""


def rehearse(program: Program, params: CKKSParams, packing: Packing, layout: str) -> Ciphertext:
    """Return the scores of a chunk, of which all is true but the words: nothing is computed."""
    rotations = packing.rotations if not packing.shape(layout) else ()
    elements = [pow(5, k, 2 * params.ring_degree) for k in rotations]
    evaluator = Evaluator(params, stand_in_keys(params, relin=program.relinearisation, elements=elements))
    level = program.depth  # at which clients encrypt, whatever levels the parameters have above it
    meta = Meta(params.scale_at(level), packing.slots, packing.slots, True, 1.0, 1.0)
    one = kernels.zeros((2, params.limbs(level), params.ring_degree))
    words = np.broadcast_to(one, (*packing.shape(layout), *one.shape))
    noise = evaluator.encoder.rounding(meta) + fresh_public(params)  # no smaller than under the secret key
    x = Ciphertext.of(params, words, level, meta, noise)
    with recording():
        return program.evaluate(evaluator, x, layout)

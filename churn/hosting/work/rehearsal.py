"""A model evaluated without keys and without data, to learn how large the error of its answers can be.

Every ciphertext carries a bound on its error, and operations keep it; zeros carry it as well as
anything else.

What flooding has to hide is how encryption errors and roundings went through the model. So only those
count as errors here: what encoding an input rounded away belongs to the input, since whoever
encrypted knows it, and the model's numbers are those that their encodings hold.
"""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from churn.hosting.model import Flooding, HostedModel
from ckks import kernels
from ckks.kernels.recording import recording
from ckks.rlwe import Ciphertext, EvaluationKeys, Noise
from ckks.rlwe.flooding import protected_noise
from ckks.rlwe.noise import EXACT, fresh_public
from ckks.rlwe.standins import stand_in_keys
from ckks.scheme import CKKSParams, Encoder, Evaluator, Meta, error_bound
from ckks.scheme.meta import meta_of

__all__ = ["OwnNumbers", "Rehearsal", "input_noise"]


def input_noise(params: CKKSParams) -> Noise:
    """Return the size of the error of an input, as the host states it: that of an encryption under either key."""
    return fresh_public(params)


class OwnNumbers(Evaluator):
    """An evaluator to whom plain operands are what their encodings hold: no error comes from encoding them.

    For evaluations whose result is flooded, and for their rehearsals.
    """

    def __init__(self, params: CKKSParams, keys: EvaluationKeys | None = None) -> None:
        """Keep the keys."""
        super().__init__(params, keys)
        self.encoder = _Exact(params)


class _Exact(Encoder):
    def rounding(self, meta: Meta) -> Noise:
        return EXACT


class Rehearsal:
    """One evaluation of zeros, in one layout."""

    def __init__(self, model: HostedModel, layout: str) -> None:
        """Run the evaluation; nothing is computed but sizes."""
        self._model, params, packing = model, model.params, model.layouts[layout]
        elements = [pow(5, k, 2 * params.ring_degree) for k in packing.rotations]
        keys = stand_in_keys(params, relin=packing.relinearisation, elements=elements)
        self._evaluator = OwnNumbers(params, keys)
        meta = Meta(packing.scale_in(params), packing.slots, packing.slots, True, packing.bound, packing.bound)
        one = kernels.zeros((2, params.limbs(packing.level), params.ring_degree))
        words = np.broadcast_to(one, (packing.items, *one.shape))
        x = Ciphertext.of(params, words, packing.level, meta, input_noise(params))
        self._encoding = Encoder(params).rounding(meta).bound / float(meta.scale)
        with recording():
            self._before = model.evaluate(self._evaluator, x, layout)

    @property
    def log2_bound(self) -> int:
        """The l2 norm of the error's coefficients, before flooding, is below 2^log2_bound."""
        return math.ceil(math.log2(self._before.noise.bound))

    @property
    def encoding_error(self) -> float:
        """How far a slot of an input may be from the number it was made of."""
        return self._encoding

    def answer(self, flooding: Flooding | None, items: int = 1) -> tuple[int, Decimal, float]:
        """Return level, scale and largest error of what goes back, in answers of `items` ciphertexts.

        The encoding of the input is not in the error.
        """
        y = self._before
        if flooding is not None:
            size = protected_noise(
                y,
                bound=2.0**flooding.log2_bound,
                queries=flooding.queries * items,
                statistical_bits=flooding.statistical_bits,
            )
            y = y.with_(noise=size)
        with recording():
            y = self._model.finish(self._evaluator, y)
        return y.level, meta_of(y).scale, error_bound(y)

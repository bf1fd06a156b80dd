"""Encrypted predictions of a trained model: a `ckks.ml` program as a `hosting.HostedModel`.

    feature-major   x is K ciphertexts, one per feature, N/2 rows side by side
    records         x is one ciphertext, N/2 / K' whole rows of K' slots each (K' >= K a power of two)

An answer is a batch of M ciphertexts, one for each score, of values in [-1, 1]; a score is so many times that as the
description says. All slots are in use, whatever the number of rows.

Answers are flooded like scores are (`churn.circuit`): the parameters that a model came with have no room for that, so
it is hosted under others, of levels of two primes and a scale of 2^80 throughout, unless its own scale is as large.

What flooding has to hide depends on the weights: they carry the error of an input to the answer. Unlike the logits of
one public schema, small networks and trees have no heaviest model to stand for all of them. So the bound is the model's
own, rounded up to a multiple of four bits, and errors are rounded up to powers of two: what is published tells the
size of the weights to a factor of 16, and no more.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from churn.hosting.model import Flooding, Layout, Output
from churn.hosting.protocol import ANSWERS
from churn.hosting.work.rehearsal import Rehearsal
from churn.predict.trained import TrainedModel
from ckks.ml.layers import FEATURE_MAJOR, RECORDS
from ckks.ml.model import Description, Model, parameters_for
from ckks.ml.schema import Outside
from ckks.rlwe import Ciphertext
from ckks.scheme import CKKSParams, Evaluator

__all__ = ["PREDICTIONS", "Predictor", "hosted_parameters"]

PREDICTIONS = "predictions"

SCALE_BITS = 80
"""Of answers that are flooded: some 20 bits are left of a value in [-1, 1]."""

_COARSE = 4


def hosted_parameters(model: Model, *, flooded: bool = True) -> CKKSParams:
    """Return the parameters that a model is hosted under: its own, or those that have room for flooding."""
    if not flooded or model.params.scale >= 2 ** (SCALE_BITS - 1):
        return model.params
    return parameters_for(
        model.program,
        scale_bits=SCALE_BITS,
        security=model.params.security or 128,
        key_switching=model.program.relinearisation or RECORDS in model.layouts,
    )


@dataclass(frozen=True, eq=False)
class Predictor:
    """A `TrainedModel` ready to be evaluated encrypted; a `hosting.HostedModel`. Make it with `Predictor.of(trained)`.

    `model` is that of `trained`, under the parameters in use.
    """

    trained: TrainedModel
    model: Model
    flooded: bool = True
    queries: int = ANSWERS

    @classmethod
    def of(
        cls,
        trained: TrainedModel,
        *,
        flooded: bool = True,
        queries: int = ANSWERS,
        params: CKKSParams | None = None,
    ) -> Predictor:
        """Choose parameters for a model, or take `params`; `flooded` and `queries` are those of `Score.of`."""
        params = params or hosted_parameters(trained.model, flooded=flooded)
        return cls(trained, replace(trained.model, params=params), flooded, queries)

    # ---- the circuit -----------------------------------------------------------------------------

    def evaluate(self, evaluator: Evaluator, x: Ciphertext, layout: str) -> Ciphertext:
        """Return the encrypted scores of the rows in x: (K,) ciphertexts or (1,), as the layout has it.

        Rows are taken to come from the schema: only then do all values lie in [-1, 1].
        """
        y = self.model.program.evaluate(evaluator, x if layout == FEATURE_MAJOR else x[0], layout)
        return y if self.model.program.outputs > 1 else y[0]

    def finish(self, evaluator: Evaluator, y: Ciphertext) -> Ciphertext:
        """Return what `evaluate` returned at level 0: no more limbs than the answer needs."""
        return evaluator.drop(y, 0)

    def in_the_clear(self, table: Any, *, outside: Outside = "refuse") -> npt.NDArray[np.float64]:
        """Return the scores (rows, M) that an evaluation would give if encryption had no error."""
        return self.model.in_the_clear(table, outside=outside)

    def certain(self, table: Any, *, outside: Outside = "refuse") -> npt.NDArray[np.bool_]:
        """Return for which rows the encrypted label is sure to be the trained model's, whatever flooding adds."""
        errors = np.full(self.model.program.outputs, self.description.score_error)
        return self.model.certain_within(errors, table, outside=outside)

    # ---- what it needs ---------------------------------------------------------------------------

    @property
    def params(self) -> CKKSParams:
        """The parameters of keys and ciphertexts."""
        return self.model.params

    @cached_property
    def layouts(self) -> Mapping[str, Layout]:
        """Those of the model: all slots in use, features in [-1, 1]."""
        packing, relin = self.model.packing, self.model.program.relinearisation
        return {
            name: Layout(
                items=packing.features if name == FEATURE_MAJOR else 1,
                slots=packing.slots,
                bound=1.0,
                level=self.model.depth,
                relinearisation=relin,
                rotations=packing.rotations if name == RECORDS else (),
            )
            for name in self.model.layouts
        }

    @cached_property
    def flooding(self) -> Flooding | None:
        """Sized by the largest error of this model in any layout, rounded up to a multiple of four bits."""
        if not self.flooded:
            return None
        bits = max(one.log2_bound for one in self._rehearsals)
        return Flooding(_COARSE * math.ceil(bits / _COARSE), self.queries)

    @cached_property
    def _rehearsals(self) -> list[Rehearsal]:
        return [Rehearsal(self, name) for name in self.layouts]

    # ---- what is said about it -------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The model's name."""
        return self.trained.name

    @property
    def version(self) -> int:
        """The model's version."""
        return self.trained.version

    @cached_property
    def output(self) -> Output:
        """Values in [-1, 1], but for what encryption, flooding and polynomials move them by."""
        items, program = self.model.program.outputs, self.model.program
        answers = [one.answer(self.flooding, items) for one in self._rehearsals]
        (level, scale), *others = {(level, scale) for level, scale, _ in answers}
        assert not others, "all layouts lead to one level and scale"
        # Encoding rows and weights rounds; the model's own bound has that in it, and more.
        error = _rounded(max(error for _, _, error in answers) + self.model.encryption_error / program.scale)
        reach = 1 + error + self._polynomials / program.scale
        return Output(PREDICTIONS, -reach, reach, 0.0, error, level, scale, items)

    @property
    def _polynomials(self) -> float:
        """What polynomials in place of functions move a score by, rounded up."""
        return _rounded(float(self.model.program.error.max()))

    @cached_property
    def description(self) -> Description:
        """What a client is told of the model: its schema, and what the scores stand for."""
        model = self.model
        return Description(
            model.schema,
            model.output,
            model.params,
            model.packing,
            model.depth,
            model.program.relinearisation,
            model.program.scale,
            model.program.outputs,
            self._polynomials + model.program.scale * self.output.error,
        )

    def about(self) -> dict[str, object]:
        """Return the description, without the parameters that are there already, and the label's column."""
        described = self.description.to_dict()
        described.pop("parameters")
        return {"target": self.trained.target, "model": described}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the model, parameters and flooding: another digest, another result."""
        flooded = self.queries if self.flooded else 0
        text = json.dumps([self.trained.to_dict(), self.params.digest.hex(), flooded], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _rounded(size: float) -> float:
    """The next power of two; 0 for 0."""
    return 2.0 ** math.ceil(math.log2(size)) if size > 0 else 0.0

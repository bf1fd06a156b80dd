"""S6 and S7 at the service: answers tell their values, and nothing else of how these were computed.

Evaluated as a worker does, without sockets; the controls leave the protection out, and find what it hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from attacks.hosted import Floats, Host, Owner, both_parts, scores, unprotected
from attacks.models import numbers_model, random_rows
from attacks.weights import ratio, weight_of
from conftest import Figure
from scipy.stats import ks_2samp, kstest

from churn.circuit import FEATURE_MAJOR, LOGIT, PROBABILITY, RECORD, OutputKind, Score
from churn.hosting.work.rehearsal import OwnNumbers
from ckks.ring import RingPoly
from ckks.rlwe import PublicKey
from ckks.scheme.meta import meta_of
from ckks.scheme.serialization import to_bytes

KINDS: list[OutputKind] = [LOGIT, PROBABILITY]
ONE_SUM = ((6.0, -5.0, 0.0, 0.0), (4.0, 2.0, -4.0, -1.0))
"""Weights with one sum, one sum of magnitudes, and different sums of squares: of rows of four equal numbers they
make one output, with errors of different size."""


def _equal_rows(slots: int, seed: int) -> Floats:
    """Features (4, slots), the four of each row equal, such that no output leaves [-1, 1]."""
    return np.tile(np.random.default_rng(seed).uniform(-1, 1, slots), (4, 1))


def _small(weights: Sequence[float], kind: OutputKind) -> tuple[float, ...]:
    """A polynomial wants a narrow interval."""
    return tuple(np.array(weights) / (1 if kind == LOGIT else 8))


def _exact(score: Score, features: Floats) -> Floats:
    """Return the answers for features (rows, d), without any error of encryption."""
    return score.model.logits(features) if score.polynomial is None else score.in_the_clear(features)


@pytest.mark.parametrize("kind", KINDS)
def test_slots_without_a_row_hold_nothing(kind: OutputKind, tmp_path: Path, figure: Figure) -> None:
    model = numbers_model("five", [0.5, -0.25, 0.75, -0.5, 0.3], 0.4)
    (score,) = scores([model], kind)
    owner, host, worst, looked = Owner(score.params, tmp_path), Host([score]), 0.0, 0
    keys = owner.filed(owner.keys(score))
    for rows in (1, 3, score.params.slots // 2 + 1) if kind == LOGIT else (3,):
        features = random_rows(rows, 5, rows)
        _, body = owner.encrypt(score, np.ascontiguousarray(features.T))
        values = owner.slots(host.answer(score, body, owner.public, keys))
        assert np.abs(values[:rows] - _exact(score, features)).max() <= score.output.error
        worst = max(worst, float(np.abs(values[rows:] - score.output.unused).max()))
        looked += len(values) - rows
    assert worst <= score.output.error
    figure("S6", f"{kind}, {looked} slots without a row: largest value {worst:.1e} (declared {score.output.error:.1e})")


@pytest.mark.parametrize("kind", [LOGIT, pytest.param(PROBABILITY, marks=pytest.mark.slow)])
def test_a_record_leaves_no_partial_sums(kind: OutputKind, tmp_path: Path, figure: Figure) -> None:
    """Rotating and adding makes partial sums on the way; all slots of the answer hold the whole one."""
    model = numbers_model("five", [0.5, -0.25, 0.75, -0.5, 0.3], 0.4)
    (score,) = scores([model], kind)
    owner, host = Owner(score.params, tmp_path), Host([score])
    features = random_rows(1, 5, 1)
    _, body = owner.encrypt(score, features, RECORD)
    answer = host.answer(score, body, owner.public, owner.filed(owner.keys(score, RECORD)), RECORD)
    values = owner.slots(answer)
    worst = float(np.abs(values - _exact(score, features)).max())
    assert len(values) == 8 and worst <= score.output.error
    figure(
        "S6",
        f"{kind}, a record: {len(values)} slots hold the score, off by {worst:.1e} (declared {score.output.error:.1e})",
    )


def test_one_answer_does_not_give_the_weight(tmp_path: Path, figure: Figure) -> None:
    """S7 (a): c_1 of an answer over c_1 of the input; unflooded, it is the weight, exactly."""
    model = numbers_model("one", [0.7390851], 0.0)
    features = random_rows(50, 1, 1).T.copy()
    (unflooded,), (flooded,) = scores([model], LOGIT, flooded=False), scores([model], LOGIT)

    owner = Owner(unflooded.params, tmp_path)
    asked, body = owner.encrypt(unflooded, features)
    answer = Host([unflooded]).answer(unflooded, body, None)
    dropped = asked.basis.modulus // answer.basis.modulus
    unit = meta_of(answer).scale * dropped / meta_of(asked).scale
    found = weight_of(asked[0], answer, 44)
    assert found == round(0.7390851 * float(unit))  # the control: the attack works

    owner = Owner(flooded.params, tmp_path)
    asked, body = owner.encrypt(flooded, features)
    bare = flooded.evaluate(OwnNumbers(flooded.params), asked, FEATURE_MAJOR)
    assert np.abs(ratio(asked[0], bare)[1:]).max() == 0 and weight_of(asked[0], bare, 34) == round(0.7390851 * 2**32)
    finished = flooded.finish(OwnNumbers(flooded.params), bare)
    assert weight_of(asked[0], finished, 34) == round(0.7390851 * 2**32)  # rescaling alone hides nothing
    answer = Host([flooded]).answer(flooded, body, owner.public)
    assert weight_of(asked[0], answer, 34) is None
    figure("S7", "(a) logit, unflooded: one answer gives the weight to all of its 39 bits; flooded: no weight fits")


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_half_of_an_answer_is_fresh(kind: OutputKind, tmp_path: Path, figure: Figure) -> None:
    """S7 (a): the ratio is as uniform as the public key's own half; two answers to one request have nothing in common."""
    (score,) = scores([numbers_model("one", [0.7390851], 0.0)], kind)
    owner, host = Owner(score.params, tmp_path), Host([score])
    keys = owner.filed(owner.keys(score))
    asked, body = owner.encrypt(score, random_rows(50, 1, 1).T.copy())
    answers = [host.answer(score, body, owner.public, keys) for _ in range(2)]
    quotients = [*(ratio(asked[0], answer) for answer in answers), ratio(answers[0], answers[1])]
    least = min(float(np.abs(quotient).max()) for quotient in quotients)
    p = min(kstest(quotient, "uniform", (-0.5, 1)).pvalue for quotient in quotients)
    assert least > 0.49 and p > 1e-6
    assert not (answers[0].words[1] == answers[1].words[1]).any(axis=-1).all()
    figure("S7", f"(a) {kind}: c_1 out / c_1 in reaches {least:.3f} q, and is uniform (KS p = {p:.2f})")


@dataclass(frozen=True)
class Errors:
    """Of some answers, (answers, 2 slots) each, real and imaginary parts.

    found      the answers, less the exact ones
    carried    what the model makes of the errors of the inputs, which their owner knows
    bare       the errors of the same answers without protection: with all roundings, which depend on the weights too
    """

    found: Floats
    carried: Floats
    bare: Floats

    def correlations(self) -> list[float]:
        """Of the errors found with either prediction."""
        return [float(np.corrcoef(self.found.ravel(), other.ravel())[0, 1]) for other in (self.carried, self.bare)]


def _errors(owner: Owner, score: Score, host: Host, answers: int) -> Errors:
    keys, found, carried, bare = owner.keys(score), [], [], []
    file, weights = owner.filed(keys), score.model.weights
    for turn in range(answers):
        features = _equal_rows(score.params.slots, turn)
        asked, body = owner.encrypt(score, features)
        exact = _exact(score, features.T)
        found.append(both_parts(owner.slots(host.answer(score, body, owner.public, file)) - exact))
        bare.append(both_parts(owner.slots(unprotected(score, asked, keys)) - exact))
        expected = weights @ owner.errors(asked, features)
        if score.polynomial is not None:
            u, step = features.T @ weights, 1e-5
            expected *= (score.polynomial(u + step) - score.polynomial(u - step)) / (2 * step)
        carried.append(both_parts(expected))
    return Errors(*map(np.array, (found, carried, bare)))


@pytest.mark.parametrize(
    "kind, answers", [(LOGIT, 2), (PROBABILITY, 1), pytest.param(LOGIT, 50, marks=pytest.mark.slow)]
)
def test_errors_do_not_tell_models_apart(kind: OutputKind, answers: int, tmp_path: Path, figure: Figure) -> None:
    """S7 (b) and (c): two models of equal outputs, told apart by the errors of unflooded answers alone."""
    models = [numbers_model(f"m{k}", _small(weights, kind), 0.0) for k, weights in enumerate(ONE_SUM)]
    flooded = scores(models, kind)
    assert flooded[0].flooding == flooded[1].flooding and flooded[0].params == flooded[1].params
    owner, host = Owner(flooded[0].params, tmp_path), Host(flooded)
    for _ in range(3):  # p < 0.01 by chance once in a hundred; three times running, not
        samples = [_errors(owner, score, host, answers) for score in flooded]
        p = float(ks_2samp(samples[0].found.ravel(), samples[1].found.ravel()).pvalue)
        if p > 0.01:
            break
    else:
        pytest.fail(f"the errors of two models differ: KS p = {p:.2g}, for the third time")
    size = samples[0].found.size
    limit, correlations = 5 / np.sqrt(size), [c for sample in samples for c in sample.correlations()]
    assert max(map(abs, correlations)) < limit, correlations
    figure(
        "S7",
        f"(b) {kind}: {size} errors each, KS p = {p:.2f} (0.01); (c) correlation with the predicted error "
        f"{max(correlations, key=abs):+.4f} ({limit:.4f})",
    )


def test_without_flooding_errors_tell_models_apart(tmp_path: Path, figure: Figure) -> None:
    """The control of (b) and (c)."""
    models = [numbers_model(f"m{k}", weights, 0.0) for k, weights in enumerate(ONE_SUM)]
    unflooded = scores(models, LOGIT, flooded=False)
    owner, host = Owner(unflooded[0].params, tmp_path), Host(unflooded)
    samples = [_errors(owner, score, host, 4) for score in unflooded]
    p = float(ks_2samp(samples[0].found.ravel(), samples[1].found.ravel()).pvalue)
    carried, bare = np.array([sample.correlations() for sample in samples]).T
    assert p < 1e-6 and carried.min() > 0.2 and bare.min() > 1 - 1e-9
    figure(
        "S7", f"without flooding (the control): KS p = {p:.1e}, correlation {carried.min():.2f} and {bare.min():.2f}"
    )


def test_a_malformed_public_key_voids_it(tmp_path: Path, figure: Figure) -> None:
    """S8, said openly: who re-randomises with a key of one's own making gets c_1 as it was, and the weight from it."""
    (score,) = scores([numbers_model("one", [0.7390851], 0.0)], LOGIT)
    owner, host = Owner(score.params, tmp_path), Host([score])
    params = score.params
    monomial = RingPoly.from_integers(params.basis_qp, np.eye(1, params.ring_degree, 1, dtype=np.int64)[0]).to_ntt()
    forged = PublicKey.of(params, np.stack([monomial.residues] * 2), params.top_level, None)
    asked, body = owner.encrypt(score, random_rows(50, 1, 1).T.copy())
    answer = host.answer(score, body, owner.file(to_bytes(forged)))
    assert weight_of(asked[0], answer, 34) == round(0.7390851 * 2**32)
    figure("S8", "a client whose public key is the polynomial X gets the weight from one flooded answer: not promised")

"""Data sets that come with scikit-learn, at 128-bit parameters: held-out rows, encrypted and plain.

Labels agree wherever the margin exceeds the stated error, numbers within it; and for linear models that is every row.
"""

from __future__ import annotations

import pytest

from benchmarks.models import CASES, run

LINEAR = [case for case in CASES if not case.options]
SIZES = {
    "breast cancer, logistic": 143,
    "digits, softmax": 450,
    "wine, PCA and softmax": 45,
    "wine, linear SVM": 45,
    "diabetes, ridge": 111,
}


@pytest.mark.parametrize("case", LINEAR, ids=lambda case: case.title)
def test_linear_models_agree_on_every_row(case):
    result = run(case)
    assert result.model.params.security == 128 and result.model.depth == 1
    assert result.rows == result.certain == SIZES[case.title] and result.differ == 0
    assert result.measured <= min(result.stated, 16 * result.expected)
    assert result.encrypted_score == pytest.approx(result.plain_score, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case.options], ids=lambda case: case.title)
def test_the_others_agree_where_they_say_so(case):
    result = run(case)
    assert result.model.params.security == 128
    assert result.certain and result.differ_certain == 0
    assert result.measured <= result.stated


def test_linear_cases_are_all_there():
    assert {case.title for case in LINEAR} == set(SIZES)

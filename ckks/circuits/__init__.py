"""Circuits built from the public operations of `ckks.scheme`, as any user could.

polynomials   fits them and evaluates them at least depth
functions     any callable on an interval, by a polynomial, Newton's iteration or a narrowed interval
comparison    signs, maxima, by composites of odd polynomials
linear        matrices, sums, permutations, statistics, similarities
promises      the intervals that all of these rely on
"""

from __future__ import annotations

from ckks.circuits.functions.choice import describe, evaluate_function, fit
from ckks.circuits.functions.extension import Extension, extend
from ckks.circuits.functions.newton import Newton, refine
from ckks.circuits.linear.arranged import ArrangedProduct
from ckks.circuits.linear.matrix import LinearMap
from ckks.circuits.linear.products import MatrixProduct
from ckks.circuits.linear.slots import permutation, transposition
from ckks.circuits.polynomials.approximation import approximate, chebyshev_interpolant, least_squares, logistic, minimax
from ckks.circuits.polynomials.evaluation import (
    evaluate_normalised,
    evaluate_per_slot,
    evaluate_polynomial,
    evaluate_polynomials,
)
from ckks.circuits.polynomials.plan import EvaluationPlan, evaluation_plan
from ckks.circuits.polynomials.polynomial import Polynomial

__all__ = [
    "ArrangedProduct",
    "EvaluationPlan",
    "Extension",
    "LinearMap",
    "MatrixProduct",
    "Newton",
    "Polynomial",
    "approximate",
    "chebyshev_interpolant",
    "describe",
    "evaluate_function",
    "evaluate_normalised",
    "evaluate_per_slot",
    "evaluate_polynomial",
    "evaluate_polynomials",
    "evaluation_plan",
    "extend",
    "fit",
    "least_squares",
    "logistic",
    "minimax",
    "permutation",
    "refine",
    "transposition",
]

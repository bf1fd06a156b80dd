"""Circuits built from the public operations of `ckks.scheme`, as any user could.

polynomials   approximation fits them (remez, measure), polynomials is what they are; plan says how to evaluate one
              (powers, division, steps), walk and polynomial do it, propagation says what errors become
functions     functions chooses polynomials, Newton's iteration (newton) or a narrowed interval (extension) for any
              callable; catalogue has the named ones
comparison    comparison and deciding, by composites of odd polynomials (composite, degrees, odd_minimax)
linear        matrix has plaintext matrices (diagonals takes them apart, encoded keeps them), products encrypted
              ones, slots sums and permutations, statistics means and covariances, similarity scores of many vectors
promises      the intervals that all of these rely on
"""

from __future__ import annotations

from ckks.circuits.approximation import approximate, chebyshev_interpolant, least_squares, logistic, minimax
from ckks.circuits.extension import Extension, extend
from ckks.circuits.functions import describe, evaluate_function, fit
from ckks.circuits.matrix import LinearMap
from ckks.circuits.newton import Newton, refine
from ckks.circuits.plan import Plan, evaluation_plan
from ckks.circuits.polynomial import (
    evaluate_normalised,
    evaluate_per_slot,
    evaluate_polynomial,
    evaluate_polynomials,
)
from ckks.circuits.polynomials import Polynomial
from ckks.circuits.products import MatrixProduct
from ckks.circuits.slots import permutation, transposition

__all__ = [
    "Extension",
    "LinearMap",
    "MatrixProduct",
    "Newton",
    "Plan",
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

"""A small model to host, under parameters that are quick and not secure. Imports what a worker process needs, no more."""

from __future__ import annotations

from functools import cache
from math import ceil, log2

import numpy as np

from churn.circuit import PROBABILITY, OutputKind, Score
from churn.model import LinearModel, interval_for
from churn.schema import CategoricalColumn, NumericColumn, Schema
from ckks import CKKSParams

N = 32
DEPTH = 4


@cache
def insecure_params(value_range: float = 8.0, depth: int = DEPTH) -> CKKSParams:
    """16 slots; enough levels for a polynomial of degree 7; the last modulus has the room that `for_depth` gives it."""
    return CKKSParams.generate(
        ring_degree=N,
        depth=depth,
        scale_bits=40,
        base_bits=44 + ceil(log2(value_range)),
        num_special=2,
        special_bits=50,
        security=None,
        value_range=value_range,
    )


@cache
def linear_model(name: str = "toy", version: int = 1) -> LinearModel:
    """Two numbers and three categories: four features."""
    schema = Schema(
        (
            NumericColumn("age", mean=40.0, scale=10.0, lower=20.0, upper=64.0),
            NumericColumn("pay", mean=100.0, scale=8.0, lower=75.0, upper=125.0),
            CategoricalColumn("travel", ("Monthly", "Rare", "Weekly")),
        )
    )
    weights, bias = np.array([-0.4, -0.25, 0.3, 0.9]), -0.1
    return LinearModel(
        name=name,
        version=version,
        target="left",
        positive="Yes",
        schema=schema,
        weights=weights,
        bias=bias,
        logit_interval=interval_for(schema, weights, bias),
        observed_logit=1.0,
        salt="0" * 64,
    )


@cache
def insecure_flooded(output: OutputKind, depth: int = DEPTH) -> CKKSParams:
    """The chains that flooded answers have, over 16 slots."""
    chain = dict(depth=2, scale_bits=40, base_bits=48, num_special=1)
    if output == PROBABILITY:
        chain = dict(depth=depth, scale_bits=80, base_bits=90, num_special=2)
    return CKKSParams.generate(ring_degree=N, special_bits=50, security=None, value_range=8.0, **chain)


@cache
def score(output: OutputKind = PROBABILITY, name: str = "toy", *, flooded: bool = False) -> Score:
    """The model under insecure parameters; the polynomial has degree 7."""
    params = insecure_flooded(output) if flooded else insecure_params()
    return Score.of(linear_model(name), output, flooded=flooded, max_abs_error=0.003, params=params)

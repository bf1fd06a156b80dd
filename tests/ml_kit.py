"""What the tests of ckks.ml share: toy parameters, data sets, and both sides of a model in one call."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckks import CKKSParams
from ckks.ml import Client, Description, Model
from ckks.ring import Rng

FAR = 16
"""The worst of some thousand slots lies at about 7 times the expected error (`CKKSParams.for_depth`); toy rings, whose
few slots have variances of their own, get a factor of two on top."""


@cache
def insecure_params(depth: int = 1, n: int = 256, value_range: float = 1.0) -> CKKSParams:
    """A toy ring of 128 slots at 2^40, with as many levels as asked for."""
    return CKKSParams.generate(
        ring_degree=n,
        depth=depth,
        scale_bits=40,
        base_bits=50,
        num_special=2,
        special_bits=50,
        security=None,
        value_range=value_range,
    )


def table(rows: int, columns: int, seed: int = 0) -> NDArray[np.float64]:
    """Numbers of quite different sizes, as tables have them."""
    values = np.random.default_rng(seed)
    return values.uniform(-1, 1, (rows, columns)) * 10.0 ** values.integers(-2, 4, columns) + values.integers(
        -5, 6, columns
    )


def sides(model: Model, seed: int = 1, **options: Any) -> tuple[Client, Any]:
    """A client that knows the model's description as it went over the wire, and a server with a copy of the model."""
    described = Description.from_dict(json.loads(json.dumps(model.description.to_dict())), allow_insecure=True)
    copy = Model.from_dict(json.loads(json.dumps(model.to_dict())), allow_insecure=True)
    client = Client(described, rng=Rng(seed), **options)
    return client, copy.server(client.evaluation_keys)


def encrypted_scores(model: Model, X: Any, layout: str | None = None, **options: Any) -> NDArray[np.float64]:
    """The decrypted scores of an encrypted evaluation, everything sent as bytes."""
    client, server = sides(model, **options)
    rows = client.encrypt(X, layout=layout)
    answer = server.evaluate(server.receive(rows.frames(), rows=rows.rows, layout=rows.layout))
    return client.scores(client.receive(answer.frames(), rows=answer.rows, layout=answer.layout))

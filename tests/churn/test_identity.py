"""Name, version, salt and format of whatever a models folder holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_models import linear_model

from churn.errors import ModelError
from churn.identity import LAST_VERSION, check_format, check_identity, check_name, fresh_salt, is_digest
from churn.match.index import VectorIndex

SALT = "0123456789abcdef" * 4


@pytest.mark.parametrize("name", ["a", "0", "x" * 64, "hr.2024-q1_b"])
def test_names_that_can_be_asked_for(name: str) -> None:
    check_name(name, "model")


@pytest.mark.parametrize(
    "name", ["", "x" * 65, ".a", "-a", "_a", "A", "a b", "a/b", "..", "a@1", "a\n", "ä", None, 1, b"a"]
)
def test_names_that_cannot(name: object) -> None:
    with pytest.raises(ModelError, match="the index's name is"):
        check_name(name, "index")


def test_an_identity_has_all_three_parts() -> None:
    for version in (1, LAST_VERSION):
        check_identity("a", version, SALT, "model")
    for bad, word in [
        (("A", 1, SALT), "name"),
        *((("a", version, SALT), "version") for version in (0, -1, LAST_VERSION + 1, True, 1.0, "1", None)),
        *((("a", 1, salt), "salt") for salt in ("", SALT[1:], SALT + "0", SALT.upper(), SALT[:-1] + "\n", None)),
    ]:
        with pytest.raises(ModelError, match=f"the model's {word}"):
            check_identity(*bad, "model")


def test_formats_are_compared_whole() -> None:
    check_format("linear-model/1", "linear-model/1", "model")
    for bad in ("linear-model/2", "", None, 1):
        with pytest.raises(ModelError, match=r"format is .*'linear-model/1' is needed"):
            check_format(bad, "linear-model/1", "model")


def test_salts_are_digests_and_differ() -> None:
    salts = {fresh_salt() for _ in range(8)}
    assert len(salts) == 8 and all(map(is_digest, salts))


def test_models_and_indices_hold_to_it() -> None:
    """`tests/churn/test_trained.py` and `test_matching.py` ask it of what is read from files."""
    for change in ({"name": "A"}, {"version": 0}, {"salt": "00"}):
        with pytest.raises(ModelError, match=f"the model's {next(iter(change))}"):
            replace(linear_model(), **change)
    good = VectorIndex("a", 1, np.ones((2, 1)), Path("a.npy"), sha256=SALT, embedding=SALT, salt=SALT)
    for change in ({"sha256": "00"}, {"sha256": ""}, {"embedding": "00"}):
        with pytest.raises(ModelError, match="a digest of the index"):
            replace(good, **change)

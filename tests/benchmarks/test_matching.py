"""The benchmark of matching measures what it says, on small numbers; its page holds its table."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from benchmarks import matching
from churn.match.vectors import unit
from ckks.ring import Rng, uniform


def test_circuits_are_timed_and_checked():
    vectors = unit(np.random.default_rng(1).normal(size=(9000, 8))).astype(np.float32)
    rows = dict(matching.plain(vectors, 1))
    assert any(name.startswith("2 blocks of up to 8,192 items") for name in rows)
    assert rows["memory of the coefficients; of transforms made in advance"] == "524 kB; 2.1 MB"
    rows = dict(matching.encrypted(4, 1))
    assert rows["stored, an item: in memory; in a file, seeded"] == "128 bytes; 45 bytes"
    assert "128-bit" in rows["parameters"]


def test_transforms_made_in_advance_give_the_same_words():
    rng, params = np.random.default_rng(1), matching.index_parameters()
    small = matching.PlainVectors.encode(params, unit(rng.normal(size=(5, 3))))
    wide = matching.Transformed(**vars(small))
    turns = uniform(params.basis(1), Rng(1), (2, 2)).residues
    sums = [of.products(turns, slice(1, 3), 1, None) for of in (wide, small)]
    assert (sums[0] == sums[1]).all()
    assert (wide.products(turns, slice(1, 3), 1, sums[0]) == small.products(turns, slice(1, 3), 1, sums[1])).all()


@pytest.mark.service
def test_a_service_is_asked_and_held_against_the_clear():
    rows = dict(matching.hosted(matching.collections(40, 3, 6), Console(quiet=True)))
    assert rows["recall@10 over 3 résumés"] == "1.0000"
    assert rows["lists of 10 equal to the clear ones, up to ties within the stated error"] == "3 of 3"
    assert rows["vacancies, dimensions"] == "40 x 6"


@pytest.mark.service
def test_a_gallery_is_asked_and_held_against_the_clear():
    made = matching.collections(40, 3, 6)
    rows = dict(matching.gallery(made.vacancies.vectors, made.resumes.vectors, Console(quiet=True)))
    assert rows["recall@10 over 3 queries"] == "1.0000" and rows["vectors, dimensions"] == "40 x 6, in 1 blocks"
    stated, found = map(float, rows["error of a similarity, stated; found"].split("; "))
    assert found <= stated < 1e-4 and "128-bit" in rows["parameters"]


def test_the_page_holds_the_table():
    text = matching.PAGE.read_text(encoding="utf-8")
    start, end = (text.index(mark) for mark in matching.MARKS)
    assert "100,000 x 384" in text[start:end] and "128-bit" in text[start:end]

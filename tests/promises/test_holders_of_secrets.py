"""What holds a secret key or a seed shows, copies and pickles none of it either (L11); the key itself: rlwe/secret."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kit import Kit, make_kit
from params import insecure_small

from ckks import Decryptor, Encryptor, KeyGenerator
from ckks.ring import Rng

SEED = 20
KIT: Kit = make_kit(insecure_small(32), rotations=[], conjugation=False)
HOLDERS: dict[str, Any] = {
    "key": KIT.secret,
    "decryptor": Decryptor(KIT.params, KIT.secret),
    "encryptor": Encryptor(KIT.params, KIT.secret, Rng(SEED)),
    "key generator": KeyGenerator(KIT.params, Rng(SEED)),
    "generator": Rng(SEED),
}


def secrets() -> list[str]:
    """The key as rows of numbers, and the next seeds of the chain in hex and as Python writes bytes."""
    rows = [KIT.secret.coefficients().astype(int), *KIT.secret.ntt(KIT.params.basis_qp)[:, :6].astype(int)]
    seeds = [Rng(SEED).public_seed(), Rng(SEED).secret_seed()]
    return (
        [" ".join(map(str, row.tolist())) for row in rows] + [s.hex() for s in seeds] + [repr(s)[2:-1] for s in seeds]
    )


def shows(text: str) -> bool:
    numbers = " ".join(re.findall(r"-?\d+", text))
    return any(secret in text or secret in numbers for secret in secrets())


SHOWING: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": "{:}".format,
    "f-string": lambda x: f"{x!r:>80}",
    "pprint": pprint.pformat,
    "json with repr": lambda x: json.dumps(x, default=repr),
    "vars": lambda x: repr(getattr(x, "__dict__", None)),
    "slots": lambda x: repr([getattr(x, name, None) for name in getattr(type(x), "__slots__", ()) if name[:2] != "__"]),
}
LEAVING: dict[str, Callable[[Any], Any]] = {
    "pickle": pickle.dumps,
    "oldest pickle": lambda x: pickle.dumps(x, 0),
    "deepcopy": copy.deepcopy,
    "json": json.dumps,
    "bytes": bytes,
}


def test_the_search_finds_a_secret():
    assert shows(repr(KIT.secret.coefficients())) and shows(Rng(SEED).secret_seed().hex())
    assert not shows(repr(KIT.public)) and not shows(repr(np.arange(32)))


@pytest.mark.parametrize("what", SHOWING)
@pytest.mark.parametrize("holder", HOLDERS)
def test_nothing_shows(holder, what):
    assert not shows(SHOWING[what](HOLDERS[holder]))


@pytest.mark.parametrize("what", LEAVING)
@pytest.mark.parametrize("holder", [name for name in HOLDERS if name not in ("generator", "key generator")])
def test_nothing_leaves(holder, what):
    """A seeded generator is for tests, and no secret; whatever holds a key refuses."""
    with pytest.raises(TypeError) as caught:
        LEAVING[what](HOLDERS[holder])
    assert not shows(str(caught.value))


@pytest.mark.parametrize("holder", HOLDERS)
def test_tracebacks_with_locals(holder):
    held, text = HOLDERS[holder], ""

    def fails(inside: Any) -> None:
        raise ValueError(f"{inside}")

    try:
        fails(held)
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "inside = " in text and not shows(text)


def test_failing_calls_show_nothing(figure):
    """With locals captured in every frame of the library: the key and the values alike."""
    x = np.full((2, 99), 0.123456789)
    calls = [
        lambda: HOLDERS["decryptor"].decrypt(None),
        lambda: HOLDERS["decryptor"].decrypt(make_kit(insecure_small(64)).encrypt(np.zeros(4))),
        lambda: HOLDERS["encryptor"].encrypt(x),
        lambda: HOLDERS["encryptor"].encrypt(x[:, :4], level=99),
        lambda: HOLDERS["key generator"].galois_key(KIT.secret, 2),
        lambda: HOLDERS["key generator"].evaluation_keys(KIT.secret, rotations=["one"]),
    ]
    for call in calls:
        with pytest.raises(Exception) as caught:
            call()
        text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
        assert not shows(text)
        assert "0.123456789" not in str(caught.value)
    checks = len(HOLDERS) * (len(SHOWING) + 1) + 3 * len(LEAVING) + len(calls)
    figure(
        "L11",
        f"{len(HOLDERS)} kinds of object that hold secrets, {checks} ways to print, copy, pickle or crash: none shows one",
    )

"""No object is read as another kind, under other parameters, or as another version; and finding that out is free."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from functools import cache
from itertools import product
from math import prod
from typing import Any

import pytest
from wire import objects

from ckks import CKKSParams, Encoder, Encryptor, KeyGenerator, kernels
from ckks.errors import BasisMismatch, HEError, SerializationError
from ckks.ring import Rng
from ckks.rlwe.secret import secret_key_to_bytes
from ckks.scheme import serialization as scheme

SETS = {
    "own": CKKSParams.preset("S12"),
    "another value range": CKKSParams.preset("S12", value_range=2.0),
    "another ring": CKKSParams.preset("S13"),
}
"""Large enough that an array of words cannot be overlooked."""

Peak = Callable[[Callable[[], Any]], tuple[int, BaseException | None]]


@cache
def large(name: str) -> bytes:
    """An object of the first set."""
    params = SETS["own"]
    make = KeyGenerator(params, Rng(1))
    secret = make.secret_key()
    public = make.public_key(secret)
    made: dict[str, Callable[[], bytes]] = {
        "parameters": lambda: scheme.to_bytes(params),
        "public key": lambda: scheme.to_bytes(public),
        "switching key": lambda: scheme.to_bytes(make.relin_key(secret)),
        "evaluation keys": lambda: scheme.to_bytes(make.evaluation_keys(secret, rotations=[1])),
        "ciphertext": lambda: scheme.to_bytes(Encryptor(params, public, Rng(2)).encrypt(objects.VALUES)),
        "seeded ciphertext": lambda: scheme.seeded_to_bytes(
            *Encryptor(params, secret, Rng(2)).encrypt_seeded(objects.VALUES)
        ),
        "plaintext": lambda: scheme.to_bytes(Encoder(params).encode(objects.VALUES)),
        "model": lambda: scheme.model_to_bytes({"weights": [0.5] * 5000}, params),
        "secret key": lambda: secret_key_to_bytes(secret),
    }
    return made[name]()


def in_version(data: bytes, version: int) -> bytes:
    return objects.with_bytes(data, 8, struct.pack("<H", version))


@pytest.fixture
def peak_of(monkeypatch: pytest.MonkeyPatch) -> Peak:
    """Measures a call: the most memory that was in use at once, in bytes, and what was raised.

    Arrays of words come from blocks that are kept for reuse, which tracemalloc does not see: they are counted where
    they are asked for.
    """
    asked = 0
    real = kernels.empty

    def empty(shape: tuple[int, ...]) -> Any:
        nonlocal asked
        asked += 8 * prod(shape)
        return real(shape)

    monkeypatch.setattr(kernels, "empty", empty)

    def measure(call: Callable[[], Any]) -> tuple[int, BaseException | None]:
        nonlocal asked
        asked, raised = 0, None
        tracemalloc.start()
        try:
            call()
        except HEError as error:
            raised = error
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak + asked, raised

    return measure


TOGETHER = {("ciphertext", "seeded ciphertext"), ("seeded ciphertext", "ciphertext")}
"""Read by one function."""


def test_kinds_parameters_and_versions_never_mix(peak_of: Peak, figure: Any) -> None:
    refused, largest = 0, 0
    for name, wanted, under, version in product(objects.CASES, objects.CASES, SETS, (0, 1, 2)):
        data, load = in_version(large(name), version), objects.CASES[wanted].load
        peak, error = peak_of(lambda: load(data, SETS[under]))
        is_right = name == wanted or (name, wanted) in TOGETHER
        if is_right and version == 1 and (under == "own" or name == "parameters"):
            assert error is None
            continue
        refused, largest = refused + 1, max(largest, peak)
        assert isinstance(error, SerializationError if wanted != "secret key" else SerializationError | BasisMismatch)
        reason = (
            "magic"
            if (name == "secret key") != (wanted == "secret key")
            else f"version {version}"
            if version != 1
            else f"found {name}; needed"
            if not is_right
            else "parameters"
        )
        assert reason in str(error), (name, wanted, under, version)
    assert largest < 2**13, "something was allocated before the head was looked at"
    figure(
        "W4",
        f"{refused} pairs of kinds, 3 parameter sets, versions 0, 1, 2: refused, at most {largest} bytes allocated",
    )


def test_the_measure_sees_what_a_reader_allocates(peak_of: Peak) -> None:
    for name in set(objects.CASES) - {"parameters", "model", "secret key"}:
        data = large(name)
        peak, error = peak_of(lambda: objects.CASES[name].load(data, SETS["own"]))
        assert error is None and peak > len(data), name


@pytest.mark.parametrize("name", objects.CASES)
def test_impossible_lengths_are_refused_before_anything_is_allocated(name: str, peak_of: Peak) -> None:
    """A head that claims 2^63 bytes, a batch of 2^128 items, 65535 primes, N Galois keys."""
    data, case = large(name), objects.CASES[name]
    claims = (
        [(44, b"\xff" * 28)] if name == "secret key" else [(136, struct.pack("<Q", n)) for n in (2**63, 2**64 - 1, 0)]
    )
    if name in ("ciphertext", "seeded ciphertext", "plaintext"):
        claims.append((49, b"\4" + bytes(6) + b"\xff" * 16))
    if name == "evaluation keys":
        claims.append((52, struct.pack("<I", 4096)))
    if name == "parameters":
        claims.append((48, b"\xff" * 8))
    for offset, new in claims:
        changed = data[:offset] + new + data[offset + len(new) :]
        peak, error = peak_of(lambda: case.load(changed, SETS["own"]))
        assert isinstance(error, SerializationError | BasisMismatch) and peak < 2**13


@pytest.mark.parametrize("name", [name for name, case in objects.CASES.items() if case.kind is not None])
def test_unknown_versions_kinds_and_magic_are_named(name: str) -> None:
    data, load = objects.stored(name), objects.CASES[name].load
    for offset, numbers, text in ((8, (0, 2, 65535), "version"), (10, (0, 9, 65535), "kind")):
        for number in numbers:
            with pytest.raises(SerializationError, match=f"{text} {number}"):
                load(objects.with_bytes(data, offset, struct.pack("<H", number)), objects.tiny())
    with pytest.raises(SerializationError, match="magic"):
        load(objects.with_bytes(data, 0, b"CKKSSKEY"), objects.tiny())


def test_a_kind_of_the_table_is_not_forgotten() -> None:
    assert {case.kind for case in objects.CASES.values()} == {None, *scheme.Kind}

"""The library and a reader written from docs/wire-format.md alone say the same of the same bytes."""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire import golden, independent, independent_parts, objects
from wire.independent_parts import Refused

import ckks
from ckks.errors import HEError, SerializationError
from ckks.rlwe import Ciphertext, EvaluationKeys, Plaintext, PublicKey, SwitchingKey
from ckks.scheme import serialization as scheme

EVERY = {name: (under, data) for name, under, data in golden.everything()}
PAGE = (Path(ckks.__file__).parents[1] / "docs" / "wire-format.md").read_text(encoding="utf-8")


def parameters(name: str) -> independent_parts.Parameters:
    return independent_parts.read_parameters(EVERY[name][1])


def words_of(key: independent.Key) -> list[Any]:
    return [list(pair) for pair in key.pairs]


def compare_keys(theirs: Any, ours: PublicKey | SwitchingKey) -> None:
    expected = words_of(theirs)
    assert ours.words.tolist() == (expected[0] if isinstance(ours, PublicKey) else expected)
    assert ours.seed == theirs.seed


@pytest.mark.parametrize("name", EVERY)
def test_the_page_suffices_to_read_and_to_write(name: str, figure: Any) -> None:
    under, data = EVERY[name]
    library = golden.load(name, data, golden.load(under, EVERY[under][1], None))
    params = parameters(under)
    if name.startswith("parameters"):
        assert independent_parts.write_parameters(params) == data
        assert params.digest == library.digest and params.roots == library.basis_qp.roots
        assert params.scale is None or params.scales == list(library.scales)
        return
    if name == "secret-key":
        found = independent.read_secret(data, params)
        assert found == library.coefficients().tolist() and independent.write_secret(found, params) == data
        return
    theirs = independent.read(data, params)
    assert independent.write(theirs, params) == data
    if isinstance(theirs, dict):
        assert theirs == library
        return
    value = library[0] if isinstance(library, tuple) else library
    if isinstance(value, EvaluationKeys):
        keys = ([] if value.relin is None else [value.relin]) + list(value.galois.values())
        assert theirs.elements == list(value.galois) and len(theirs.keys) == len(keys)
        for mine, ours in zip(theirs.keys, keys):
            compare_keys(mine, ours)
    elif isinstance(value, PublicKey | SwitchingKey):
        compare_keys(theirs.keys[0], value)
    else:
        assert isinstance(value, Ciphertext | Plaintext)
        assert value.words.ravel().tolist() == np.array(theirs.items, dtype=object).ravel().tolist()
        assert theirs.meta is not None and (theirs.batch, theirs.level) == (value.shape, value.level)
        meta = objects.meta_of(value)
        assert theirs.meta["scale"] == meta.scale
        assert [theirs.meta[x] for x in ("slots", "length", "real")] == [meta.slots, meta.length, meta.real]
    if name == "seeded-ciphertext":
        figure(
            "W9", f"{len(EVERY)} objects read and written by a second reader, made from the page: equal words and bytes"
        )


def test_what_the_page_writes_the_library_reads() -> None:
    """A public key, a seeded ciphertext and a plaintext of numbers that the library never saw."""
    params, source = parameters("parameters"), random.Random(5)

    def poly(level: int, *, key: bool) -> list[list[int]]:
        return [[source.randrange(q) for _ in range(8)] for q, _ in params.limbs(level, key=key)]

    seed = source.randbytes(32)
    b = poly(2, key=True)
    a = independent_parts.expand_poly(seed, "public key", 0, 8, params.limbs(2, key=True))
    stored = independent.write(independent.Object(2, 2, keys=[independent.Key([(b, a)], seed)]), params)
    found = scheme.public_key_from_bytes(stored, objects.tiny())
    assert found.words.tolist() == [b, a] and scheme.to_bytes(found) == stored
    meta = dict(real=False, degree=0, slots=2, length=1, scale=independent_parts.from_text(b"15E-1".ljust(48, b"\0")))
    items = [[poly(1, key=False), poly(1, key=False)] for _ in range(6)]
    stored = independent.write(independent.Object(6, 1, batch=(2, 3), items=items, seed=seed, meta=meta), params)
    pair = objects.CASES["seeded ciphertext"].load(stored, objects.tiny())
    assert pair[0].words[:, :, 0].reshape(6, 2, 8).tolist() == [c0 for c0, _ in items]
    assert pair[0].words[1, 2, 1].tolist() == independent_parts.expand_poly(
        seed, "ciphertext", 5, 8, params.limbs(1, key=False)
    )
    assert objects.CASES["seeded ciphertext"].store(pair, objects.tiny()) == stored
    plain = [[poly(0, key=False)]]
    stored = independent.write(independent.Object(7, 0, items=plain, meta=meta), params)
    assert scheme.plaintext_from_bytes(stored, objects.tiny()).words.tolist() == plain[0][0]


def test_transform_order_and_roots_are_as_the_page_says() -> None:
    """c_0 + c_1 s, with s from the key file, is the plaintext and a small error: all by definition, in integers."""
    params = parameters("parameters")
    s = independent.read_secret(EVERY["secret-key"][1], params)
    plain = independent.read(EVERY["plaintext"][1], params)
    for name in ("ciphertext", "seeded-ciphertext"):
        stored = independent.read(EVERY[name][1], params)
        errors = []
        for i, (q, psi) in enumerate(params.limbs(2, key=False)):
            c0, c1, m = (independent_parts.coefficients(row, q, psi) for row in (stored.items[0][0][i], stored.items[0][1][i], plain.items[0][0][i]))  # fmt: skip
            phase = list(c0)
            for j, x in enumerate(c1):
                for k, y in enumerate(s):
                    phase[(j + k) % 8] += x * y * (-1) ** ((j + k) // 8)
            errors.append([(p - x + q // 2) % q - q // 2 for p, x in zip(phase, m)])
            assert independent_parts.ntt(c0, q, psi) == stored.items[0][0][i]
        assert errors[0] == errors[1] == errors[2]
        assert 0 < max(map(abs, errors[0])) < 2**10  # of a message of 2^30


def test_switching_keys_are_what_the_page_says() -> None:
    """b_d + a_d s = e_d + P g_d s^2, digit by digit."""
    params = parameters("parameters")
    s = independent.read_secret(EVERY["secret-key"][1], params)
    key = independent.read(EVERY["switching-key"][1], params).keys[0]
    limbs = params.limbs(1, key=True)
    for digit, (b, a) in enumerate(key.pairs):
        for limb, (q, psi) in enumerate(limbs):
            hat = independent_parts.ntt(s, q, psi)
            factor = params.special[0] if limb == 1 + digit else 0  # one prime a digit, after the special one
            rest = [(x + y * z - factor * z * z) % q for x, y, z in zip(b[limb], a[limb], hat)]
            error = independent_parts.coefficients(rest, q, psi)
            assert max(min(e, q - e) for e in error) <= 21


COMPARED: dict[str, tuple[int, int]] = {}


@pytest.mark.parametrize("name", EVERY)
def test_both_refuse_and_take_the_same(name: str, figure: Any) -> None:
    """Every bit of the head and some of the body flipped under a fitting checksum."""
    under, data = EVERY[name]
    theirs, ours = parameters(under), golden.load(under, EVERY[under][1], None)
    read: Callable[[bytes], Any] = lambda data: independent.read(data, theirs)  # noqa: E731
    if name.startswith("parameters"):
        read = independent_parts.read_parameters
    elif name == "secret-key":
        read = lambda data: independent.read_secret(data, theirs)  # noqa: E731
    head, end = 8 * (76 if name == "secret-key" else 144), 8 * (len(data) - 32)
    taken, bits = 0, [*range(head), *random.Random(name).sample(range(head, end), min(40, end - head))]
    for bit in bits:
        changed = objects.with_bytes(data, bit // 8, bytes([data[bit // 8] ^ 1 << bit % 8]))
        outcomes = []
        for reader, refusal in ((read, Refused), (lambda x: golden.load(name, x, ours), HEError)):
            try:
                reader(changed)
                outcomes.append(True)
            except refusal:
                outcomes.append(False)
        assert outcomes[0] == outcomes[1], (bit // 8, bit % 8)
        taken += outcomes[0]
    COMPARED[name] = len(bits), taken
    if len(COMPARED) == len(EVERY):
        changed_objects, all_taken = (sum(pair[i] for pair in COMPARED.values()) for i in (0, 1))
        figure("W7", f"{changed_objects} changed objects: both readers take the same {all_taken}")


def test_the_worked_example() -> None:
    """The hex of the page is what both readers say it is."""
    blocks = re.findall(r"(?:^    [0-9a-f]{2,64}(?: .*)?\n)+", PAGE, re.MULTILINE)
    data = [bytes.fromhex("".join(re.findall(r"^    ([0-9a-f]+)", block, re.MULTILINE))) for block in blocks]
    params = independent_parts.read_parameters(data[0])
    assert (len(data), params.n, params.primes, params.roots) == (2, 4, (12289,), (4043,))
    found = independent.read(data[1], params)
    assert found.items == [[[[427, 2809, 10725, 1970]], [[4894, 5667, 10573, 10447]]]]
    ours = scheme.params_from_bytes(data[0], allow_insecure=True)
    assert scheme.to_bytes(ours) == data[0]
    ct, seed = scheme.seeded_from_bytes(data[1], ours)
    assert scheme.seeded_to_bytes(ct, seed) == data[1] and ct.words.tolist() == found.items[0]


@pytest.mark.parametrize("x", [0.0, -0.0, 1.0, 0.1, -2.5, 1e15, 9999999999999998.0, 1e16, 1.5e16, 1e-4, 9.9e-5, 5e-324, 2**-1022, 1.7976931348623157e308, 123456.75, 1e22, 1e23, 2**-24, 5e-324 * 3, 2**0.5])  # fmt: skip
def test_numbers_have_the_text_that_the_page_describes(x: float) -> None:
    assert independent_parts.number(x) == repr(x) == json.dumps(x)


def test_random_numbers_too() -> None:
    source = np.random.default_rng(1)
    for x in source.integers(0, 2**64, 2000, dtype=np.uint64).view(np.float64).tolist():
        if np.isfinite(x):
            assert independent_parts.number(x) == repr(x)


def test_the_second_reader_uses_nothing_of_the_library() -> None:
    for module in (independent, independent_parts):
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not [name for name in names if name.split(".")[0] in ("ckks", "numpy", "churn")]


def test_the_second_reader_refuses_too() -> None:
    """Not a stub: it looks at what it is given."""
    params, data = parameters("parameters"), EVERY["ciphertext"][1]
    for changed in (data[:-1], b"X" + data[1:], objects.with_body(data, data[144:-32] + b"\0"), data[:-1] + b"\0"):
        with pytest.raises(Refused):
            independent.read(changed, params)
    with pytest.raises(SerializationError):
        scheme.ciphertext_from_bytes(data[:-1], objects.tiny())

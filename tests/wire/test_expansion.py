"""What seeds expand to: frozen words, from every source of kernels, the library's code and the page's alike."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from wire import independent_parts

from ckks.ring import RNSBasis, expand_uniform
from ckks.rlwe.seeds import CIPHERTEXT_LABEL, PUBLIC_KEY_LABEL, SWITCHING_KEY_LABEL

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data/wire/v1/expansion.json").read_text(encoding="utf-8")
)
BY_OPENSSL = {
    (30, 0): "decf85ae41ada6211b83a6c1e2e77cc2e248d073c9d81aa6a040ea4e950711c3",
    (30, 1): "85c6c9244a56cfe515b574cda230b88bbbf39cfbd87529bf7e467c151e86e4eb",
    (30, 2): "09cbe180f27ff1e3731454cea828bcc79abf0c4989d84ab92c34da409564cbb1",
    (60, 0): "7780eeb65d6cf4a787ffde9c000ba04229f9dd5855942b998aee6c508cd0b979",
    (60, 1): "d1ae988ced66ec6a78141b41765e132a52d43e328807f715148cf142b2aebcbf",
    (60, 2): "3dc8c9caad3d178707e3a26f26284f7bbc47b8cec64ed7b9673cf8bed89a3595",
}
"""Made with `openssl enc -aes-256-ctr` and integers, before there was a second reader."""


def check(words: list[int], vector: dict[str, Any]) -> None:
    assert words[:4] == vector["first_words"]
    whole = hashlib.sha256(b"".join(word.to_bytes(8, "little") for word in words)).hexdigest()
    assert whole == vector["sha256_of_words_as_u64"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['bits']}-{v['label']}")
def test_the_library_expands_to_the_vectors(backend: str, vector: dict[str, Any], figure: Any) -> None:
    basis, seed, batch = RNSBasis(vector["n"], [vector["q"]]), bytes.fromhex(vector["seed"]), vector["batch"]
    poly = expand_uniform(basis, seed, label=vector["label"], shape=(batch + 1,), first_limb=vector["limb"])
    check(poly.residues[batch, 0].tolist(), vector)
    if vector is VECTORS[-1]:
        figure("W9", f"{len(VECTORS)} vectors (primes of 30, 40, 50, 60, 61 bits): {backend} expands to them")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['bits']}-{v['label']}")
def test_the_page_expands_to_the_vectors(vector: dict[str, Any]) -> None:
    seed = bytes.fromhex(vector["seed"])
    words = independent_parts.expand(seed, vector["label"], vector["batch"], vector["limb"], vector["q"], vector["n"])
    check(words, vector)


def test_there_are_three_vectors_of_each_size_and_they_agree_with_openssl() -> None:
    by_size: dict[int, list[dict[str, Any]]] = {}
    for vector in VECTORS:
        by_size.setdefault(vector["bits"], []).append(vector)
        assert vector["q"].bit_length() == vector["bits"]
    assert {bits: len(found) for bits, found in by_size.items()} == dict.fromkeys((30, 40, 50, 60, 61), 3)
    for (bits, which), digest in BY_OPENSSL.items():
        assert by_size[bits][which]["sha256_of_words_as_u64"] == digest


def test_labels_are_frozen() -> None:
    assert (PUBLIC_KEY_LABEL, SWITCHING_KEY_LABEL, CIPHERTEXT_LABEL) == ("public key", "switching key", "ciphertext")

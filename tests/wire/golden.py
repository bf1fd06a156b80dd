"""Objects of every kind and shape for `tests/data/wire`: what a version of the format is remembered by.

    PYTHONPATH=tests python -m wire.golden tests/data/wire/v1

writes each object, and `contents.json`: for each file its SHA-256, the file of its parameters, how it is read, and the
SHA-256 of all words (expanded) or values that come out of it. Also `expansion.json`, words that seeds expand to, made by
the independent reader. Run once for a version; the files are then left alone.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from wire import independent_parts, objects

from ckks import Ciphertext, CKKSParams, EvaluationKeys, Evaluator, Plaintext
from ckks.arith import least_root
from ckks.ring import nearest_primes, ntt_primes
from ckks.rlwe import PublicKey, RLWEParams, SwitchingKey
from ckks.rlwe.secret import SecretKey, secret_key_to_bytes
from ckks.rlwe.serialization_params import params_to_bytes
from ckks.scheme import serialization as scheme


def parameter_sets() -> dict[str, RLWEParams]:
    """Every field of kind 1 in use somewhere."""
    q = ntt_primes(bits=30, count=5, n=16)
    pairs = CKKSParams.generate(
        ring_degree=16, depth=2, scale_bits=60, base_bits=70, num_special=2, security=None, value_range=12.5
    )
    roots = tuple(pow(least_root(16, x), 5, x) for x in (*q[4:], *q[:4]))
    own = RLWEParams.insecure(
        ring_degree=16,
        levels=((q[0],), (q[1], q[2]), (q[3],)),
        special_moduli=q[4:],
        digit_sizes=(1, 3),
        centred_digits=False,
        roots=roots,
    )
    least = CKKSParams.insecure(ring_degree=4, levels=((12289,),), scale=Decimal(1025), value_range=1e-5)
    return {
        "parameters": objects.tiny(),
        "parameters-pairs": pairs,
        "parameters-own-roots": own,
        "parameters-least": least,
        "parameters-secure": CKKSParams.preset("S12"),
    }


def everything() -> Iterator[tuple[str, str, bytes]]:
    """Yield (name, name of its parameters, bytes)."""
    for name, params in parameter_sets().items():
        stored = scheme.to_bytes(params) if isinstance(params, CKKSParams) else params_to_bytes(params)
        yield name, name, stored
    public, switching, keys = objects.public_key(), objects.switching_key(), objects.evaluation_keys(1)
    make, secret = objects.keygen(), objects.secret()
    relin_only = EvaluationKeys(objects.tiny(), make.relin_key(secret, 2))
    galois_only = make.evaluation_keys(secret, relin=False, rotations=[1, 2], level=0)
    two_levels = EvaluationKeys(objects.tiny(), make.relin_key(secret, 2), galois_only.galois)
    x = objects.encrypted()
    evaluator = Evaluator(objects.tiny(), relin_only)
    pair, batch = objects.seeded(), objects.seeded([[[0.5j, 1]], [[0.25, -1]], [[0, 0]]], level=1)
    some: dict[str, Any] = {
        "public-key": public,
        "public-key-full": objects.bare(public),
        "switching-key": switching,
        "switching-key-full": objects.bare(switching),
        "evaluation-keys": keys,
        "evaluation-keys-full": objects.bare(keys),
        "evaluation-keys-relin": relin_only,
        "evaluation-keys-relin-full": objects.bare(relin_only),
        "evaluation-keys-galois": galois_only,
        "evaluation-keys-galois-full": objects.bare(galois_only),
        "evaluation-keys-two-levels": two_levels,
        "evaluation-keys-none": EvaluationKeys(objects.tiny()),
        "ciphertext": x,
        "ciphertext-batch": objects.encrypted(np.linspace(-1, 1, 12).reshape(2, 3, 2), level=0, slots=2),
        "ciphertext-three-parts": evaluator.tensor(x, x),
        "ciphertext-degree-two": evaluator.multiply(x, x, rescale=False),
        "ciphertext-own-scale": x.with_(meta=objects.meta_of(x).but(scale=Decimal("1234567.875"))),
        "plaintext": objects.encoded(),
        "plaintext-complex": objects.encoded([[0.5j, 0.25, -1, 0.125 - 0.5j]] * 2, level=1),
    }
    for name, obj in some.items():
        yield name, "parameters", scheme.to_bytes(obj)
    yield "seeded-ciphertext", "parameters", scheme.seeded_to_bytes(*pair)
    yield "seeded-ciphertext-batch", "parameters", scheme.seeded_to_bytes(*batch)
    yield "model", "parameters", scheme.model_to_bytes(objects.DESCRIPTION, objects.tiny())
    yield "secret-key", "parameters", secret_key_to_bytes(secret)


def content(obj: Any) -> str:
    """SHA-256 of what an object means: words in NTT form, numbers, values."""
    hashed = hashlib.sha256()

    def add(item: Any) -> None:
        if isinstance(item, PublicKey | SwitchingKey | Ciphertext | Plaintext):
            hashed.update(np.ascontiguousarray(item.words).astype("<u8").tobytes())
        elif isinstance(item, EvaluationKeys):
            for g, key in (() if item.relin is None else ((0, item.relin),)) + tuple(item.galois.items()):
                hashed.update(str(g).encode())
                add(key)
        elif isinstance(item, RLWEParams):
            hashed.update(item.digest)
        elif isinstance(item, SecretKey):
            hashed.update(item.coefficients().tobytes())
        else:
            hashed.update(repr(item).encode())

    for part in obj if isinstance(obj, tuple) else (obj,):
        add(part)
    return hashed.hexdigest()


def load(name: str, data: bytes, params: Any) -> Any:
    """Read a file by its name."""
    if name == "parameters-own-roots":
        from ckks.rlwe.serialization_params import params_from_bytes

        return params_from_bytes(data, allow_insecure=True)
    kind = max((k for k in objects.CASES if name.startswith(k.replace(" ", "-"))), key=len)
    return objects.CASES[kind].load(data, params)


def store(name: str, obj: Any, params: Any) -> bytes:
    """Write what was read."""
    if name == "parameters-own-roots":
        return params_to_bytes(obj)
    kind = max((k for k in objects.CASES if name.startswith(k.replace(" ", "-"))), key=len)
    return objects.CASES[kind].store(obj, params)


def expansions() -> Iterator[dict[str, Any]]:
    """Three rows for each size of a prime near 3/4 2^bits, so that a quarter of the candidates is rejected."""
    places = (
        ("public key", 0, 0, bytes(32)),
        ("switching key", 1, 2, bytes(range(32))),
        ("ciphertext", 7, 3, b"\xff" * 32),
    )
    for bits in (30, 40, 50, 60, 61):
        q = next(nearest_primes(3 * 2 ** (bits - 2), n=64))
        for label, batch, limb, seed in places:
            words = independent_parts.expand(seed, label, batch, limb, q, 64)
            whole = hashlib.sha256(b"".join(word.to_bytes(8, "little") for word in words)).hexdigest()
            at = dict(bits=bits, q=q, n=64, label=label, batch=batch, limb=limb, seed=seed.hex())
            yield at | dict(first_words=words[:4], sha256_of_words_as_u64=whole)


def main(folder: Path) -> None:
    """Write all files."""
    contents, params = {}, parameter_sets()
    for name, under, data in everything():
        (folder / f"{name}.bin").write_bytes(data)
        loaded = load(name, data, params[under])
        contents[name] = {
            "parameters": under,
            "sha256": hashlib.sha256(data).hexdigest(),
            "content": content(loaded),
        }
    (folder / "expansion.json").write_text(json.dumps(list(expansions()), indent=1) + "\n", encoding="utf-8")
    (folder / "contents.json").write_text(json.dumps(contents, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

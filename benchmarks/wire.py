"""Measure how fast objects become bytes and come back: `python -m benchmarks.wire [--sets S13 S14 S15] [--json FILE]`.

One row for each object: its words in memory, its bytes stored, and the time to store and to load it as GB/s of either.
The last columns say what of that time the checksum takes, and the expansion of seeds (AES and rejection), each
measured alone on as many bytes or words: what loading cannot be faster than while these are there. CPU time of one
thread, the least of the repeats: on a busy machine it is what the work costs, not what the queue does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import clock, processor
from ckks import Ciphertext, CKKSParams, Encryptor, EvaluationKeys, KeyGenerator, kernels
from ckks.ring import expand_uniform
from ckks.scheme import serialization as scheme

FEATURES = 30


@dataclass(frozen=True)
class Row:
    """Figures of one object; seconds of one thread, and bytes."""

    name: str
    log_n: int
    limbs: int
    words: int
    stored: int
    store: float
    load: float
    checksum: float
    expansion: float

    def line(self) -> str:
        """Return the row of the table."""
        rates = [size / seconds / 1e9 for seconds in (self.store, self.load) for size in (self.words, self.stored)]
        shares = [100 * part / self.load for part in (self.checksum, self.expansion)]
        return (
            f"| {self.name} | 2^{self.log_n} | {self.limbs} | {self.words / 2**20:.2f} | {self.stored / 2**20:.2f} | "
            f"{self.stored / self.words:.2f} | {1e3 * self.store:.2f} | {rates[0]:.2f} | {rates[1]:.2f} | "
            f"{1e3 * self.load:.2f} | {rates[2]:.2f} | {rates[3]:.2f} | {shares[0]:.0f} % | {shares[1]:.0f} % |"
        )


HEAD = (
    "| object | N | limbs | words MiB | stored MiB | ratio | store ms | GB/s words | GB/s bytes | "
    "load ms | GB/s words | GB/s bytes | checksum of load | expansion of load |\n" + "|---" * 14 + "|"
)


def least(call: Callable[[], object], seconds: float) -> float:
    """Return the least CPU time of a call, in seconds, over at least five calls and `seconds` of them."""
    call()
    best, spent, count = float("inf"), 0.0, 0
    while spent < seconds or count < 5:
        start = time.thread_time()
        call()
        took = time.thread_time() - start
        best, spent, count = min(best, took), spent + took, count + 1
    return best


def objects(params: CKKSParams) -> Iterator[tuple[str, Any, Callable[[], bytes], Callable[[bytes], Any], Any]]:
    """Yield (name, object with words, store, load, (basis, batch shape) of what a seed stands for)."""
    keygen = KeyGenerator(params)
    secret = keygen.secret_key()
    public = keygen.public_key(secret)
    values = np.cos(np.arange(params.slots))
    ct, seed = Encryptor(params, secret).encrypt_seeded(values)
    full: Ciphertext = Encryptor(params, public).encrypt(values)
    basis, joint = params.basis(params.top_level), params.extended_basis(params.top_level)

    def load_ct(data: bytes) -> Ciphertext:
        return scheme.ciphertext_from_bytes(data, params)

    yield "seeded ciphertext", ct, lambda: scheme.seeded_to_bytes(ct, seed), load_ct, (basis, ())
    yield "full ciphertext", full, lambda: scheme.to_bytes(full), load_ct, None
    yield (
        "public key",
        public,
        lambda: scheme.to_bytes(public),
        lambda data: scheme.public_key_from_bytes(data, params),
        (joint, ()),
    )
    relin = EvaluationKeys(params, keygen.relin_key(secret))
    yield (
        "relinearisation key",
        relin,
        lambda: scheme.to_bytes(relin),
        lambda data: scheme.evaluation_keys_from_bytes(data, params),
        (joint, (len(params.digits(params.top_level)),)),
    )


def batch() -> tuple[CKKSParams, Any]:
    """Return parameters with N = 2^13 and three limbs, and a seeded and a full batch of 30 features under them."""
    params = CKKSParams.generate(
        ring_degree=2**13, depth=2, scale_bits=40, base_bits=44, num_special=1, special_bits=50
    )
    keygen = KeyGenerator(params)
    secret = keygen.secret_key()
    values = np.cos(np.arange(FEATURES * params.slots)).reshape(FEATURES, -1)
    ct, seed = Encryptor(params, secret).encrypt_seeded(values)
    full = Encryptor(params, keygen.public_key(secret)).encrypt(values)

    def load_ct(data: bytes) -> Ciphertext:
        return scheme.ciphertext_from_bytes(data, params)

    basis = params.basis(params.top_level)
    return params, (
        ("30 features, seeded", ct, lambda: scheme.seeded_to_bytes(ct, seed), load_ct, (basis, (FEATURES,))),
        ("30 features, full", full, lambda: scheme.to_bytes(full), load_ct, None),
    )


def measure(params: CKKSParams, item: Any, seconds: float) -> Row:
    """Return the figures of one object."""
    name, obj, store, load, expanded = item
    data = store()
    expansion = 0.0
    if expanded is not None:
        basis, shape = expanded
        expansion = least(lambda: expand_uniform(basis, bytes(32), shape=shape), seconds)
    return Row(
        name,
        params.ring_degree.bit_length() - 1,
        len(params.moduli),
        obj.nbytes,
        len(data),
        least(store, seconds),
        least(lambda: load(data), seconds),
        least(lambda: hashlib.sha256(data).digest(), seconds),
        expansion,
    )


def alone(seconds: float) -> str:
    """Return what the parts reach alone, on buffers of 1 MiB."""
    data = bytes(2**20)
    target = bytearray(2**20)

    def copy() -> None:
        target[:] = data

    copied, hashed = (least(call, seconds) for call in (copy, lambda: hashlib.sha256(data).digest()))
    return f"copy {2**20 / copied / 1e9:.1f} GB/s, SHA-256 {2**20 / hashed / 1e9:.2f} GB/s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.wire")
    parser.add_argument("--sets", nargs="*", default=["S13", "S14", "S15"], help="presets")
    parser.add_argument("--seconds", type=float, default=0.5, help="of CPU time for each figure")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    chosen = parser.parse_args()
    rows = []
    with kernels.threads(1):
        backend = kernels.active()
        print(
            f"{processor()}, {clock():.1f} ns a step; {backend.name} {backend.describe().get('variant', '')}; {alone(0.2)}"
        )
        print(HEAD)
        for name in ("batch", *chosen.sets):
            params, items = batch() if name == "batch" else (p := CKKSParams.preset(name), objects(p))
            for item in items:
                rows.append(measure(params, item, chosen.seconds))
                print(rows[-1].line(), flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

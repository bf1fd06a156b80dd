"""Keystreams against AES written out block by block; seeds that never repeat; no other source of randomness."""

from __future__ import annotations

import ast
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import process
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import ckks
from ckks.errors import ParameterError
from ckks.ring import Keystream, Rng, RNSBasis, error, ternary, uniform

SEED = bytes(range(32))


def block(seed: bytes, label: str, batch: int, limb: int, count: int) -> bytes:
    """16 bytes of the stream: AES-256 of one counter block, as the layout in `ckks.ring.csprng` has it."""
    key = hashlib.sha256(b"ckks keystream 1" + bytes(1) + label.encode() + bytes(1) + seed).digest()
    counter = (batch << 64 | limb << 32 | count).to_bytes(16, "big")
    ecb = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return ecb.update(counter) + ecb.finalize()


def stream(seed: bytes, label: str, batch: int, limb: int, nbytes: int) -> bytes:
    return b"".join(block(seed, label, batch, limb, i) for i in range(-(-nbytes // 16)))[:nbytes]


# ---- the layout ------------------------------------------------------------------------------------------------

# First 16 bytes; computed with another AES than the one the library calls, then frozen.
VECTORS = [
    (bytes(32), "", 0, 0, "e11037474d9d7a49c2a8f4522de7d7e7"),
    (SEED, "uniform", 0, 0, "5c547799d961663b9a2743229fbbd96c"),
    (SEED, "uniform", 1, 0, "7e3faa3f6c42a5f3634a483b24ca3829"),
    (SEED, "uniform", 0, 1, "f04cb30c6dbce52fc0cf108efbb05a22"),
    (SEED, "switching key", 2, 7, "9472889007cb275d5d5ae14590d05f1c"),
    (SEED, "error", 2**64 - 1, 2**32 - 1, "81f394f92bdb8ad549924888a68fc21a"),
    (bytes([255]) * 32, "ternary", 0, 0, "e451b4fb0f2addaf8d7a2de2d03e0ed9"),
]


@pytest.mark.parametrize(("seed", "label", "batch", "limb", "first"), VECTORS)
def test_frozen_vectors(seed, label, batch, limb, first):
    assert Keystream(seed, label, batch=batch, limb=limb).read(16).hex() == first
    assert stream(seed, label, batch, limb, 16).hex() == first


@pytest.mark.parametrize("nbytes", [0, 1, 15, 16, 17, 1000])
def test_streams_block_by_block(nbytes):
    assert Keystream(SEED, "uniform", batch=3, limb=5).read(nbytes) == stream(SEED, "uniform", 3, 5, nbytes)


@pytest.mark.parametrize("chunks", [[1] * 64, [16] * 4, [5, 0, 11, 17, 31], [64], [63, 1], [0, 64, 0]], ids=str)
def test_streams_do_not_depend_on_how_they_are_read(chunks):
    s = Keystream(SEED, "error")
    assert b"".join(s.read(n) for n in chunks) == stream(SEED, "error", 0, 0, 64)


@pytest.mark.parametrize("nbytes", [0, 1, 4096, 2**18, 2**18 + 8, 2**19 + 5])
def test_streams_into_memory(nbytes):
    """The same bytes, words and restarts as from streams of their own, whole pieces and ragged ones."""
    s, room = Keystream(SEED, "error"), np.full(nbytes + 16, 7, dtype=np.uint8)
    wanted = Keystream(SEED, "error", batch=2, limb=9).read(nbytes + 24)
    s.read(5)
    s.restart(batch=2, limb=9)
    s.read_into(room[8 : nbytes + 8])
    assert room[8 : nbytes + 8].tobytes() == wanted[:nbytes]
    assert (room[:8] == 7).all() and (room[nbytes + 8 :] == 7).all()
    words = np.zeros(3, dtype=np.uint64)
    s.read_words(words)
    assert words.tolist() == np.frombuffer(wanted[nbytes:], dtype="<u8").tolist()
    with pytest.raises(ParameterError, match="does not fit"):
        s.restart(limb=2**32)


def test_streams_are_apart():
    """Any one of seed, label, batch and limb makes another stream; none is another one shifted."""
    streams = [
        stream_of.read(4096)
        for stream_of in (
            Keystream(SEED, "uniform"),
            Keystream(bytes(32), "uniform"),
            Keystream(SEED, "error"),
            Keystream(SEED, "uniform2"),
            Keystream(SEED, "uniform", batch=1),
            Keystream(SEED, "uniform", limb=1),
            Keystream(SEED, "uniform", batch=1, limb=1),
            Keystream(SEED, "uniform", batch=2**32),
            Keystream(SEED, "uniform", batch=2**63),
            Keystream(SEED, "uniform", limb=2**31),
        )
    ]
    blocks = [s[i : i + 16] for s in streams for i in range(0, 4096, 16)]
    assert len(set(blocks)) == len(blocks)


def test_labels_and_seeds_cannot_be_confused():
    """The seed has a fixed length, so no label ends where another's seed begins."""
    a = Keystream(SEED, "a").read(16)
    assert all(a != Keystream(SEED, label).read(16) for label in ("", "a\0", "\0a", "A", "aa"))


@pytest.mark.parametrize("nbytes", [0, 16, 31, 33, 64])
def test_seeds_have_32_bytes(nbytes):
    with pytest.raises(ParameterError, match=f"seed of {nbytes} bytes; needed 32"):
        Keystream(bytes(nbytes), "uniform")


@pytest.mark.parametrize(("batch", "limb"), [(-1, 0), (2**64, 0), (0, -1), (0, 2**32)])
def test_indices_fit_their_fields(batch, limb):
    with pytest.raises(ParameterError, match="8 and 4 bytes"):
        Keystream(SEED, "uniform", batch=batch, limb=limb)


# ---- where seeds come from -------------------------------------------------------------------------------------


def test_the_system_never_repeats():
    """10^5 seeds: a repeated one among 32 random bytes has probability below 2^-220."""
    rng = Rng()
    assert not rng.deterministic
    seeds = [draw() for _ in range(50_000) for draw in (rng.public_seed, rng.secret_seed)]
    assert len(set(seeds)) == 100_000 and {len(seed) for seed in seeds} == {32}


def test_every_object_asks_the_system_anew(monkeypatch):
    asked = []
    real = os.urandom
    monkeypatch.setattr(os, "urandom", lambda n: asked.append(n) or real(n))
    rng, basis = Rng(), RNSBasis(8, (97,))
    assert asked == []
    for count, sample in enumerate((uniform, ternary, error, error), 1):
        sample(basis, rng)
        assert asked == [32] * count


def test_without_entropy_nothing_is_made(monkeypatch):
    def broken(n: int) -> bytes:
        raise OSError("no entropy")

    from params import insecure_small

    from ckks.rlwe.secret import KeyGenerator

    params = insecure_small()
    secret = KeyGenerator(params, Rng(1)).secret_key()
    monkeypatch.setattr(os, "urandom", broken)
    rng, basis, keygen = Rng(), RNSBasis(8, (97,)), KeyGenerator(params)
    for act in (
        rng.public_seed,
        rng.secret_seed,
        lambda: uniform(basis, rng),
        lambda: ternary(basis, rng),
        lambda: error(basis, rng),
        keygen.secret_key,
        lambda: keygen.public_key(secret),
        lambda: keygen.relin_key(secret),
    ):
        with pytest.raises(OSError, match="no entropy"):
            act()


def test_a_seed_of_ones_own_is_a_chain():
    def chain(rng: Rng) -> list[bytes]:
        return [rng.public_seed(), rng.secret_seed(), rng.secret_seed(), rng.public_seed()]

    for seed in (0, 20, -20, 2**300, b"", b"teaching"):
        assert Rng(seed).deterministic
        assert chain(Rng(seed)) == chain(Rng(seed))
        assert len(set(chain(Rng(seed)))) == 4
    different = [chain(Rng(seed))[0] for seed in (0, 1, -1, 20, 255, 256, -256, 2**64, b"", b"20")]
    assert len(set(different)) == len(different)


def test_public_and_secret_chains_share_nothing():
    """Also at the same step, and whatever is drawn in between."""
    for seed in range(50):
        public = [Rng(seed).public_seed(), *(Rng(seed).public_seed() for _ in range(3))]
        a, b = Rng(seed), Rng(seed)
        one, other = [a.public_seed() for _ in range(20)], [b.secret_seed() for _ in range(20)]
        assert not set(one) & set(other) and public[0] == one[0]


FIRST_SEEDS = (
    "955ee488a582cf7bbb506347c801f87fe1bd3c4331d948142b252efd774d73c5",
    "d79a88ccd1cb2cf7889a8bbc226eac6e538bc1ef72f29431f45f23e7eb431e4b",
)


def test_the_chain_is_frozen():
    """Golden words of whole operations follow from it."""
    assert Rng(20).public_seed().hex() == FIRST_SEEDS[0]
    assert Rng(20).secret_seed().hex() == FIRST_SEEDS[1]


@pytest.mark.parametrize("seed", [1.0, "20", True, False, [1], bytearray(32)], ids=repr)
def test_seeds_of_other_types(seed):
    with pytest.raises(ParameterError, match="needed an integer, bytes, or None"):
        Rng(seed)


def test_repr_shows_no_seed():
    assert repr(Rng(12345)) == "<Rng deterministic: tests only>"
    assert repr(Rng()) == "<Rng of the operating system>"


def test_threads_share_a_generator():
    """Eight threads: no seed twice, from the system or from a chain."""
    for rng in (Rng(), Rng(3)):
        with ThreadPoolExecutor(8) as pool:
            barrier = threading.Barrier(8)

            def draw(rng: Rng = rng, barrier: threading.Barrier = barrier) -> list[bytes]:
                barrier.wait()
                return [rng.secret_seed() for _ in range(500)]

            seeds = [seed for future in [pool.submit(draw) for _ in range(8)] for seed in future.result()]
        assert len(set(seeds)) == 4000


FORKS = """
import os
from ckks.ring import RNSBasis, Rng, uniform
rng, basis = Rng(), RNSBasis(16, (97, 193, 257))
rng.secret_seed()
words = set()
for _ in range({count}):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, rng.secret_seed() + uniform(basis, rng).residues.tobytes()[:128])
        os._exit(0)
    os.wait()
    got = os.read(read, 1000)
    assert len(got) == 160
    words |= {{got[:32], got[32:]}}
    os.close(read), os.close(write)
words |= {{rng.secret_seed(), uniform(basis, rng).residues.tobytes()[:128]}}
print(len(words))
"""


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_children_of_a_fork_draw_differently(tmp_path, count, figure):
    """From one generator, made and used before the fork; the parent differs from all of them too."""
    printed = process.output_of(FORKS.format(count=count), tmp_path, CKKS_BACKEND="reference")
    assert printed == f"{2 * (count + 1)}\n"
    figure("L8", f"{count} forks of one process: all seeds and all uniform elements differ")


# ---- no other source -------------------------------------------------------------------------------------------

SOURCES = sorted(Path(ckks.__file__).parent.rglob("*.py"))
ENTROPY = {"ring/csprng.py", "rlwe/secret/export.py"}
"""The files that may ask the operating system: seeds, and the salt and nonce of a sealed key file."""


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_no_other_generator_is_used():
    """No `random`, no `numpy.random`, by import or by attribute, anywhere in the library."""
    assert len(SOURCES) > 30
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        names = imports(tree)
        assert not [n for n in names if n.split(".")[0] in ("random", "secrets", "uuid") or "numpy.random" in n], path
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "random":
                pytest.fail(f"{path}:{node.lineno} reaches for a .random")


def test_the_system_is_asked_in_two_files_only():
    asking = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("urandom", "getrandom", "token_bytes"):
                asking.add(str(path.relative_to(Path(ckks.__file__).parent)))
    assert asking == ENTROPY


def test_the_static_test_sees_what_it_looks_for():
    """Guards the test above."""
    for code in ("import random", "from random import choice", "import numpy.random as r", "from numpy import random"):
        names = imports(ast.parse(code))
        assert [n for n in names if n.split(".")[0] == "random" or "numpy.random" in n], code

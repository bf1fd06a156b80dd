"""W6: reading bytes neither runs nor imports anything.

Three looks at it. The source: no module names anything that could execute what it reads, but for the few in `ALLOWED`. A fresh
process: serving loads no module of that kind beyond what Python's own libraries and numpy bring along. And at run
time: the interpreter's audit events, of which reading any bytes whatever raises none.

Said plainly: numpy imports pickle for its own use, so the module is in memory. What is checked is that no module of
ours calls it, and that what reads a client's bytes never reaches it. Worker processes are told their jobs in JSON.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from process import output_of

import ckks

ROOT = Path(ckks.__file__).resolve().parents[1]
OURS = [path.relative_to(ROOT).as_posix() for top in ("ckks", "churn") for path in sorted((ROOT / top).rglob("*.py"))]
ALLOWED = {
    "churn/hosting/work/child.py": {"subprocess"},
    "churn/process.py": {"subprocess"},
    "ckks/__init__.py": {"import_module"},
    "ckks/circuits/polynomials/remez.py": {"system"},
    "ckks/kernels/_numba/source.py": {"ctypes"},
    "ckks/ml/__init__.py": {"import_module"},
    "ckks/kernels/native_backend.py": {"importlib.import_module"},
}
"""Who starts processes of our own, by command lines that we make; who imports, or compiles, a module of our own by its
name; and a variable that stands for linear equations."""

EXECUTORS = {
    "pickle", "_pickle", "marshal", "shelve", "dbm", "dill", "cloudpickle", "joblib", "yaml",
    "zipfile", "tarfile", "gzip", "bz2", "lzma", "zlib", "zipimport",
    "subprocess", "ctypes", "runpy", "code", "codeop", "pty",
}  # fmt: skip
"""Modules that run, load or unpack what they are given. (No compression: a frame says its length, and has it.)"""
CALLS = {"eval", "exec", "compile", "__import__", "import_module", "load_module", "system", "popen", "fromstring"}
LOADERS = {"load", "loads"}
SPEAK_PLAIN = {"json.load", "json.loads"}


def executes(tree: ast.AST) -> Iterator[str]:
    """What in a module could run, import or unpickle bytes: one line each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            named = []
        yield from (f"line {node.lineno}: {m}" for m in named if EXECUTORS & {m, m.split(".")[0]})
        if isinstance(node, ast.Name) and node.id in CALLS:
            yield f"line {node.lineno}: {node.id}"
        if isinstance(node, ast.Attribute):
            text, base = ast.unparse(node), ast.unparse(node.value)
            dangerous = node.attr in CALLS and text != "re.compile"
            dangerous |= node.attr in LOADERS and text not in SPEAK_PLAIN and base in ("np", "numpy", *EXECUTORS)
            dangerous |= base == "os" and node.attr.startswith(("exec", "spawn", "posix_spawn"))
            if dangerous:
                yield f"line {node.lineno}: {text}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            yield f"line {node.value.lineno}: allow_pickle"


@pytest.mark.parametrize("path", OURS)
def test_nothing_executes_what_it_reads(path):
    found = {text.partition(": ")[2] for text in executes(ast.parse((ROOT / path).read_text(encoding="utf-8")))}
    assert found == ALLOWED.get(path, set())


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import multiprocessing.pool, marshal",
        "from os import system\nsystem(x)",
        "import os\nos.execv(a, b)",
        "eval(text)",
        "f = exec",
        "compile(text, '', 'exec')",
        "builtins.exec(text)",
        "np.load(path)",
        "from numpy import load\nnumpy.load(file, allow_pickle=False)",
        "np.lib.format.read_array(file, allow_pickle=flag)",
        "import zipfile as z",
        "import ctypes",
        "def f():\n    import yaml",
        "importlib.import_module(name)",
        "import subprocess",
    ],
)
def test_each_way_to_execute_is_found(source):
    assert list(executes(ast.parse(source)))


def test_harmless_words_are_not_found():
    source = "import re, json, struct\nre.compile(x)\njson.loads(y)\nstore.load(z)\nread_array(f, allow_pickle=False)\n"
    assert list(executes(ast.parse(source))) == []


def test_no_queue_or_pipe_that_pickles():
    """Those of multiprocessing unpickle what they receive; not even between our own processes."""
    users = set()
    for path in OURS:
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if {"multiprocessing", "ProcessPoolExecutor"} & {n.split(".")[0] for n in names}:
                users.add(path)
    assert not users


def test_a_serving_process_loads_no_loaders(tmp_path):
    """What import of the service leaves in memory: Python's and numpy's own uses of pickle, and nothing more."""
    pytest.importorskip("starlette")
    code = """
import json, sys
import churn.server
from ckks import kernels
kernels.warmup()
print(json.dumps(sorted(sys.modules)))
"""
    loaded = set(json.loads(output_of(code, tmp_path)))
    assert {"churn.hosting.app", "ckks.scheme.serialization"} <= loaded
    absent = {"shelve", "dill", "cloudpickle", "joblib", "yaml", "runpy", "code", "codeop", "pty", "tarfile", "dbm"}
    assert not absent & loaded


# ---- at run time -----------------------------------------------------------------------------------------------------

READING = r"""
import io, json, marshal, os, pickle, struct, sys
import numpy as np
import ckks
from ckks import errors
from ckks.ring import Rng
from ckks.rlwe import frame, header, serialization as wire, serialization_params
from ckks.scheme import serialization as s, serialization_model as model

rounds = ROUNDS
params = ckks.CKKSParams.generate(ring_degree=16, depth=1, scale_bits=40, base_bits=50, num_special=1, special_bits=50, security=None)
generator = ckks.KeyGenerator(params, Rng(1))
secret = generator.secret_key()
public, keys = generator.public_key(secret), generator.evaluation_keys(secret, rotations=[1])
ct = ckks.Encryptor(params, public, Rng(2)).encrypt([0.5])
half, seed = ckks.Encryptor(params, secret, Rng(3)).encrypt_seeded([0.5])
plain = ckks.Encoder(params).encode([0.5])
objects = [s.to_bytes(o) for o in (params, public, generator.relin_key(secret), keys, ct, plain)] + [
    s.seeded_to_bytes(half, seed), model.model_to_bytes({'name': 'm', 'bound': 1.5, 'layouts': [1, 2]}, params)]
readers = [
    lambda d: frame.read_head(d), lambda d: header.read_header(d, params), lambda d: s.legal_length(d, params),
    lambda d: s.params_from_bytes(d, allow_insecure=True), lambda d: s.params_length(d),
    lambda d: s.public_key_from_bytes(d, params), lambda d: s.switching_key_from_bytes(d, params),
    lambda d: s.evaluation_keys_from_bytes(d, params), lambda d: s.ciphertext_from_bytes(d, params),
    lambda d: s.seeded_from_bytes(d, params), lambda d: s.plaintext_from_bytes(d, params),
    lambda d: model.model_from_bytes(d, params),
    lambda d: wire.ciphertext_from_bytes(d, params), lambda d: serialization_params.params_from_bytes(d, allow_insecure=True),
]

class Evil:
    def __reduce__(self):
        return (os.system, ("true",))

array, archive = io.BytesIO(), io.BytesIO()
np.save(array, np.array([Evil()], dtype=object), allow_pickle=True)
np.savez(archive, a=np.arange(3))
hostile = [pickle.dumps(Evil(), p) for p in range(6)] + [
    marshal.dumps(compile("raise SystemExit(9)", "x", "exec")), array.getvalue(), archive.getvalue(),
    b"!!python/object/apply:os.system ['true']", b"__import__('os').system('true')", b"", bytes(4096), b"\xff" * 4096,
]
# The same inside frames that are otherwise right: in the body, and in every field of the head.
for good in list(objects):
    for bad in hostile[:8]:
        body = good[frame.HEAD_BYTES:-frame.CHECKSUM_BYTES]
        inner = (bad + body)[:len(body)]
        import hashlib
        whole = good[:frame.HEAD_BYTES] + inner
        hostile.append(whole + hashlib.sha256(whole).digest())
        hostile.append(bad + good), hostile.append(good + bad)
values = np.random.default_rng(5)
def mutated():
    data = bytearray(objects[int(values.integers(len(objects)))])
    for _ in range(int(values.integers(1, 4))):
        data[int(values.integers(len(data)))] = int(values.integers(256))
    return bytes(data[: int(values.integers(len(data) + 1))] if values.integers(4) == 0 else data)

def read(data):
    accepted = 0
    for reader in readers:
        try:
            reader(data)
            accepted += 1
        except errors.HEError:
            pass
    return accepted

for data in [*objects, *hostile]:  # once, so that what Python imports at first use is there
    read(data)

WATCHED = ("pickle.", "marshal.", "exec", "compile", "import", "subprocess.", "os.", "ctypes.", "code.", "open",
           "socket.", "shutil.", "mmap.")
seen, watching = [], False
def hook(event, arguments):
    if watching and event.startswith(WATCHED):
        seen.append(event)
sys.addaudithook(hook)

count = accepted = 0
inputs = [*objects, *hostile]
for i in range(rounds):
    data = inputs[i] if i < len(inputs) else mutated()
    watching = True
    accepted += read(data)
    watching = False
    count += len(readers)
during = list(seen)
seen.clear()
watching = True
pickle.loads(pickle.dumps(Evil()))  # shows that a pickle, once loaded, is seen
watching = False
print(json.dumps({"reads": count, "readers": len(readers), "accepted": accepted, "during": during[:20], "control": sorted(set(seen))}))
"""


@pytest.mark.parametrize("rounds", [1500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_reading_raises_no_audit_event(rounds, tmp_path, figure):
    """No import, no code object, no unpickling, no file, no process, whatever bytes come in."""
    found = json.loads(output_of(READING.replace("ROUNDS", str(rounds)), tmp_path))
    assert found["reads"] == rounds * found["readers"]
    assert found["accepted"] > 3 * 8, "eight objects are good, and every head of theirs"
    assert found["during"] == []
    assert {"pickle.find_class", "os.system"} <= set(found["control"])
    figure(
        "W6",
        f"{found['reads']:,} reads of hostile bytes by {found['readers']} readers: 0 imports, 0 unpickled, 0 executed, 0 files opened",
    )

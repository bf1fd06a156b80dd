"""The layers and their direction, read from the source: arith -> kernels -> ring -> rlwe -> scheme -> circuits -> hints -> vector
-> linear, comparisons, functions -> planning -> ml -> churn.

What no linter knows: which module may import which, what words a layer may use, what must not be imported at all.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from process import output_of

import ckks

ROOT = Path(ckks.__file__).resolve().parents[1]
LAYERS = (
    "arith", "kernels", "ring", "rlwe", "scheme", "circuits", "hints", "vector", "linear", "comparisons", "functions", "planning", "ml",
    "churn",
)  # fmt: skip
FACADE = ("ckks", "ckks.__main__")
"""The package itself names things of every layer; no layer may import it."""
THIRD_PARTY = {
    "numpy": tuple(f"ckks.{layer}" for layer in LAYERS[:-1]),
    "numba": ("ckks.kernels._numba", "ckks.kernels.numba_backend"),
    "llvmlite": ("ckks.kernels._numba",),
    "cffi": ("ckks.kernels.native_backend",),
    "sklearn": ("ckks.ml.estimators",),
    "cryptography": ("ckks.ring.csprng", "ckks.rlwe.secret.export"),
}
"""Which packages from outside the library uses, and where."""


def sources(package: str) -> dict[str, ast.Module]:
    """Module name -> syntax tree."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


CKKS, CHURN = sources("ckks"), sources("churn") if (ROOT / "churn").is_dir() else {}
EVERY = {**CKKS, **CHURN}


def imports(name: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(module, line) of every import, wherever it stands: in functions and under TYPE_CHECKING as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name if f"{name}.__init__" in _packages() else name.rpartition(".")[0]
                for _ in range(node.level - 1):
                    package = package.rpartition(".")[0]
                base = f"{package}.{base}".rstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                lazy = ckks._HOME.get(alias.name) if base == "ckks" else None
                yield (lazy or (inner if inner in EVERY else base)), node.lineno


def _packages() -> set[str]:
    return {f"{name}.__init__" for name in EVERY if any(other.startswith(name + ".") for other in EVERY)}


def layer(module: str) -> int | None:
    """Position in LAYERS; None for what lies outside; errors below everything."""
    parts = module.split(".")
    if parts[0] == "churn":
        return len(LAYERS) - 1
    if parts[0] != "ckks":
        return None
    if module in FACADE:
        return len(LAYERS) - 2
    return -1 if parts[1] == "errors" else LAYERS.index(parts[1])


@pytest.mark.parametrize("name", EVERY)
def test_imports_point_down(name):
    own = layer(name)
    up = []
    for module, line in imports(name, EVERY[name]):
        other = layer(module)
        if other is not None and (other > own or (module in FACADE and name not in FACADE and own < len(LAYERS) - 1)):
            up.append(f"line {line}: {module}")
    assert not up, f"{name} ({LAYERS[own]}) imports from above"


def test_every_layer_is_there():
    found = {module.split(".")[1] for module in CKKS if module.count(".")} - {"errors", "__main__", "_native"}
    assert found == set(LAYERS) - {"churn"}, "a new top-level module needs its place in LAYERS"


def _cycle(graph: dict[str, set[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str] | None:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        for other in sorted(graph.get(node, ())):
            if found := visit(other, [*path, node]):
                return found
        done.add(node)
        return None

    for start in graph:
        if found := visit(start, []):
            return found
    return None


def test_no_circular_imports():
    """At module level; an import inside a function, or for type checkers only, cannot go round at load time."""
    graph: dict[str, set[str]] = {}
    for name, tree in EVERY.items():
        top = ast.Module([n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], [])
        graph[name] = {module for module, _ in imports(name, top) if module in EVERY and module != name}
        # A package's own __init__ comes first anyway; what it imports of its parts is no cycle.
        graph[name] -= {parent for parent in graph[name] if name.startswith(parent + ".")}
    assert _cycle(graph) is None


@pytest.mark.parametrize("name", CKKS)
def test_outside_packages_stay_where_they_belong(name):
    wrong = []
    for module, line in imports(name, CKKS[name]):
        top = module.split(".")[0]
        if top in ("ckks", "__future__") or top in sys.stdlib_module_names:
            continue
        allowed = THIRD_PARTY.get(top, ()) if name not in FACADE else ("ckks",)
        if not any(name == place or name.startswith(place + ".") for place in allowed):
            wrong.append(f"line {line}: {module}")
    assert not wrong


def test_arithmetic_is_plain_python():
    """The lowest layer is for reading: integers, and nothing from outside."""
    for name, tree in CKKS.items():
        if name.startswith("ckks.arith"):
            outside = [m for m, _ in imports(name, tree) if m.split(".")[0] not in sys.stdlib_module_names | {"ckks"}]
            assert outside == [], name


# ---- words -----------------------------------------------------------------------------------------------------------


def identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Names that this module gives to things: functions, classes, parameters, variables, attributes it sets."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def words(identifier: str) -> set[str]:
    """`CKKSParams_of` -> {ckks, params, of}; double underscores are Python's business."""
    if identifier.startswith("__"):
        return set()
    return {w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", identifier)}


BELOW_THE_SCHEME = [name for name in CKKS if layer(name) in range(4)]


@pytest.mark.parametrize("name", BELOW_THE_SCHEME)
def test_lower_layers_know_neither_slots_nor_scales(name):
    """What builds CKKS has to serve BFV, BGV and schemes yet to come. (In kernels, to scale is to multiply.)"""
    forbidden = {"slot", "slots", "ckks", "embedding", "precision"}
    if layer(name) >= LAYERS.index("ring"):
        forbidden |= {"scale", "scales", "canonical"}
    found = [f"line {line}: {text}" for text, line in identifiers(CKKS[name]) if words(text) & forbidden]
    assert not found


def test_hosting_knows_no_employees():
    """The part of the service that any application could use takes of this one only its errors and its JSON reader."""
    hosting = {name: tree for name, tree in CHURN.items() if name.startswith("churn.hosting")}
    if not hosting:
        pytest.skip("no churn.hosting in this tree")
    shared = ("churn.hosting", "churn.errors", "churn.plain")
    for name, tree in hosting.items():
        inside = [m for m, _ in imports(name, tree) if m.split(".")[0] == "churn" and not m.startswith(shared)]
        assert inside == [], name
        found = [
            f"line {line}: {text}"
            for text, line in identifiers(tree)
            if words(text) & {"employee", "employees", "churn", "salary", "department", "leaver", "vacancy"}
        ]
        assert not found, name


@pytest.mark.parametrize("name", CHURN)
def test_the_application_uses_public_parts_only(name):
    """No module and no name with an underscore in front, of the library below."""
    private = []
    for node in ast.walk(CHURN[name]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "ckks":
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            private += [f"line {node.lineno}: {p}" for p in parts if p.startswith("_")]
    assert not private


# ---- what is not imported --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY)
def test_randomness_comes_from_one_place(name):
    """No `random`, no numpy.random: those streams are for simulations. Synthetic data is one."""
    found = [f"line {line}: {m}" for m, line in imports(name, EVERY[name]) if m == "random" or "numpy.random" in m]
    for node in ast.walk(EVERY[name]):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("np.random", "numpy.random")):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
    if name in ("churn.data", "churn.match.texts"):
        found = [text for text in found if "default_rng" not in text and not text.endswith(("np.random", "Generator"))]
    assert not found


@pytest.mark.parametrize("name", CKKS)
def test_entropy_is_asked_for_in_one_module(name):
    """os.urandom in ring.csprng, for seeds, and in the key file's salt and nonce."""
    users = [
        f"line {n.lineno}"
        for n in ast.walk(CKKS[name])
        if isinstance(n, ast.Attribute) and ast.unparse(n) in ("os.urandom", "secrets.token_bytes", "os.getrandom")
    ]
    assert not users or name in ("ckks.ring.csprng", "ckks.rlwe.secret.export")


@pytest.mark.parametrize(
    "module", ["churn.server", "churn.worker", "churn.hosting", "ckks.rlwe.serialization", "ckks.ml.server"]
)
def test_the_service_loads_nothing_that_decrypts(module, tmp_path):
    """A fresh process that can host models, or compute for one that does, holds no code that touches a secret key."""
    if module == "churn.server":
        pytest.importorskip("starlette")
    code = f"""
import sys, {module}
print(sorted(m for m in sys.modules if m.startswith(("ckks.rlwe.secret", "ckks.scheme.decryption"))))
"""
    assert output_of(code, tmp_path) == "[]\n"


def test_only_secret_modules_import_secret_modules():
    """Outside rlwe.secret, whatever needs a secret key says so inside the function that does (or for types only)."""
    for name, tree in CKKS.items():
        if name.startswith("ckks.rlwe.secret") or name == "ckks.scheme.decryption":
            continue
        top = ast.Module([n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], [])
        found = [m for m, _ in imports(name, top) if m.startswith(("ckks.rlwe.secret", "ckks.scheme.decryption"))]
        assert found == [], name

"""What the package offers: every name resolves, is documented, and loads no more than it needs."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import tomllib
from pathlib import Path

import pytest
from process import output_of

import ckks

ROOT = Path(ckks.__file__).parent
PUBLIC = [
    "ckks",
    "ckks.arith",
    "ckks.circuits",
    "ckks.comparisons",
    "ckks.errors",
    "ckks.functions",
    "ckks.kernels",
    "ckks.linear",
    "ckks.ml",
    "ckks.planning",
    "ckks.ring",
    "ckks.rlwe",
    "ckks.rlwe.secret",
    "ckks.scheme",
    "ckks.vector",
]
"""Where users import from: the packages, and the modules that stand on their own."""
SECRET_NAMES = {"Decryptor", "KeyGenerator", "SecretKey"}


def modules() -> list[str]:
    """Every module of the library whose name has no underscore in front, `__main__` left out."""
    found = ["ckks", *(m.name for m in pkgutil.walk_packages([str(ROOT)], "ckks."))]
    return [name for name in found if not any(part.startswith("_") for part in name.split("."))]


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLIC)
def test_public_modules_say_what_they_offer(name):
    module = importlib.import_module(name)
    assert module.__doc__ and module.__doc__.strip()
    assert list(module.__all__) == sorted(module.__all__, key=_as_ruff_sorts), "keep __all__ sorted"
    assert len(set(module.__all__)) == len(module.__all__)


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """CONSTANTS, then Classes, then functions."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


@pytest.mark.parametrize("name", modules())
def test_everything_in_all_resolves(name):
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", ()):
        assert getattr(module, public) is not None
        assert not public.startswith("_")


def test_the_top_level_offers_exactly_its_lazy_names():
    assert sorted(ckks.__all__) == sorted(ckks._HOME)
    for name, home in ckks._HOME.items():
        assert getattr(ckks, name) is getattr(importlib.import_module(home), name)
    assert set(ckks.__all__) <= set(dir(ckks))


def test_type_checkers_see_the_same_names():
    """The imports under TYPE_CHECKING, which tools read instead of __getattr__, are those of the table."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING")
    seen = [alias.name for node in block.body for alias in node.names]
    assert sorted(seen) == sorted(ckks.__all__)


def test_unknown_names_raise():
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = ckks.Nonsense
    from ckks import scheme

    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = scheme.Nonsense


def test_star_import():
    space: dict[str, object] = {}
    exec("from ckks import *", space)
    assert set(ckks.__all__) <= set(space)


def test_version_is_that_of_the_project():
    project = ROOT.parent / "pyproject.toml"
    if not project.is_file():
        pytest.skip("not run from the source tree")
    assert tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"] == ckks.__version__


def test_typing_marker():
    assert (ROOT / "py.typed").is_file()


# ---- documentation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", modules())
def test_everything_public_has_a_docstring(name):
    """Read from the source, so that it does not matter what could be imported."""
    path = ROOT.parent / Path(*name.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(source.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    missing = [where for where, node in _definitions(tree, name) if not ast.get_docstring(node)]
    assert missing == []


def _definitions(tree: ast.AST, where: str):
    """Public functions, classes and their methods; what is nested in a function is its own affair."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            overload = any("overload" in ast.unparse(d) or ".setter" in ast.unparse(d) for d in node.decorator_list)
            if not overload:
                yield f"{where}.{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from _definitions(node, f"{where}.{node.name}")


def test_parameters_are_annotated():
    """Public callables of the top level have full annotations: the package ships py.typed."""
    for name in ckks.__all__:
        thing = getattr(ckks, name)
        functions = (
            [thing]
            if inspect.isfunction(thing)
            else [f for key, f in vars(thing).items() if inspect.isfunction(f) and not key.startswith("_")]
        )
        for function in functions:
            for parameter in list(inspect.signature(function).parameters.values()):
                if parameter.name not in ("self", "cls"):
                    assert parameter.annotation is not parameter.empty, f"{name}.{function.__name__}({parameter})"
            assert inspect.signature(function).return_annotation is not inspect.Signature.empty


# ---- what is loaded ------------------------------------------------------------------------------------------------

LOADED = "import sys, json; print(json.dumps(sorted(sys.modules)))"
HEAVY = ("numba", "llvmlite", "cffi", "_cffi_backend", "ckks._native", "cryptography", "scipy", "ckks.rlwe.secret")


def loaded_by(code: str, tmp_path: Path, **environment: str) -> set[str]:
    return set(json.loads(output_of(f"{code}\n{LOADED}", tmp_path, **environment)))


def within(names: set[str], packages: tuple[str, ...]) -> list[str]:
    return sorted(n for n in names if any(n == p or n.startswith(p + ".") for p in packages))


def test_import_loads_next_to_nothing(tmp_path):
    """`import ckks` is the package's own file and the standard library: neither numpy nor any layer."""
    before, after = loaded_by("", tmp_path), loaded_by("import ckks", tmp_path)
    assert sorted(n for n in after if n.split(".")[0] == "ckks") == ["ckks"]
    assert within(after - before, (*HEAVY, "numpy")) == []


def test_names_of_an_evaluating_process_load_no_secrets(tmp_path):
    """Whatever one does without a secret key, the code that holds one is not loaded."""
    names = sorted(set(ckks.__all__) - SECRET_NAMES)
    after = loaded_by("import ckks\n" + "\n".join(f"ckks.{name}" for name in names), tmp_path)
    assert within(after, ("ckks.rlwe.secret", "ckks.scheme.decryption")) == []
    assert within(after, ("numba", "llvmlite")) == []


def test_evaluation_loads_no_secrets(tmp_path):
    """Not the names only: an evaluation on keys and ciphertexts that came from elsewhere."""
    code = """
import pickle, sys
from pathlib import Path
evaluator, ct, encryptor = pickle.loads(Path("sent").read_bytes())
result = evaluator.rotate(evaluator.multiply(ct, ct), 1)
evaluator.add(result, encryptor.encrypt([0.5]))
"""
    import pickle

    from kit import make_kit
    from params import insecure_small

    from ckks import Encryptor, Evaluator

    kit = make_kit(insecure_small(32))
    sent = Evaluator(kit.params, kit.keys), kit.encrypt([0.5]), Encryptor(kit.params, kit.public)
    (tmp_path / "sent").write_bytes(pickle.dumps(sent))
    after = loaded_by(code, tmp_path)
    assert within(after, ("ckks.rlwe.secret", "ckks.scheme.decryption")) == []


@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_secret_names_load_the_secret_package(name, tmp_path):
    assert within(loaded_by(f"import ckks\nckks.{name}", tmp_path), ("ckks.rlwe.secret",))


def test_only_the_backend_in_use_is_loaded(tmp_path):
    """numba costs a second and a hundred megabytes: it comes in with its kernels, not before."""
    code = "import ckks\nfrom ckks import kernels\nkernels.active()"
    assert within(loaded_by(code, tmp_path, CKKS_BACKEND="reference"), ("numba", "llvmlite", "ckks._native")) == []
    from ckks import kernels

    if "native" in kernels.available():
        assert within(loaded_by(code, tmp_path, CKKS_BACKEND="native"), ("numba", "llvmlite")) == []


def test_every_name_can_be_the_first(tmp_path):
    """Each public name loads in a process that has loaded none of the others: no order of imports is needed."""
    code = """
import sys, numpy, cryptography.hazmat.primitives.ciphers
for name in {names!r}:
    for module in [m for m in sys.modules if m == "ckks" or m.startswith("ckks.")]:
        del sys.modules[module]
    import ckks
    getattr(ckks, name)
print("done")
"""
    assert output_of(code.format(names=ckks.__all__), tmp_path, CKKS_BACKEND="reference") == "done\n"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_package_can_be_the_first(name, tmp_path):
    assert output_of(f"import {name}; print('done')", tmp_path) == "done\n"

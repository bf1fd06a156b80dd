"""`python -m ckks doctor` tells which kernels run here and checks them; `python -m ckks warmup` compiles them."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ckks", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    doctor = commands.add_parser("doctor", help="report backend, CPU features, threads, cache folder; run a self-test")
    doctor.add_argument("--json", action="store_true", help="print JSON instead of lines")
    commands.add_parser("warmup", help="compile every kernel of the active backend once, for containers")
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.print_help()
        return 2
    from ckks.errors import HEError

    try:
        if parsed.command == "warmup":
            return _warmup()
        report = examine()
    except HEError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(report, indent=2) if parsed.json else _as_lines(report))
    return 0 if report["self_test"]["passed"] else 1


def examine() -> dict[str, Any]:
    """Return the doctor's findings as a JSON-able dictionary."""
    import os

    import numpy

    import ckks
    from ckks import kernels

    active = kernels.active()
    described = active.describe()
    return {
        "ckks": ckks.__version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "machine": platform.machine(),
        "backend": active.name,
        "variant": described.get("variant"),
        "available": list(kernels.available()),
        "environment": {name: os.environ[name] for name in sorted(os.environ) if name.startswith("CKKS_")},
        "details": described,
        "threads": {"used": kernels.num_threads(), "cores": _cores()},
        "numba_cache": _numba_cache(),
        "self_test": self_test(),
    }


def self_test() -> dict[str, Any]:
    """Multiply two encrypted vectors and compare with the plain product, within the error bound."""
    import numpy as np

    import ckks

    start = time.perf_counter()
    params = ckks.CKKSParams.preset("S12")
    keygen = ckks.KeyGenerator(params)
    secret = keygen.secret_key()
    encryptor = ckks.Encryptor(params, keygen.public_key(secret))
    evaluator = ckks.Evaluator(params, keygen.evaluation_keys(secret))
    x = np.cos(np.arange(params.slots))
    y = np.sin(np.arange(params.slots) / 3)
    product = evaluator.multiply(encryptor.encrypt(x), encryptor.encrypt(y))
    error = float(np.abs(ckks.Decryptor(params, secret).decrypt(product) - x * y).max())
    bound = ckks.error_bound(product)
    return {
        "what": "encrypt, multiply, relinearise, rescale, decrypt at " + str(params),
        "largest_error": error,
        "error_bound": bound,
        "seconds": round(time.perf_counter() - start, 3),
        "passed": bool(error <= bound),
    }


def _cores() -> int:
    """The cores this process may use, or all where the system does not tell."""
    import os

    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _numba_cache() -> str | None:
    from ckks.errors import BackendError

    try:
        from ckks.kernels import numba_backend

        return str(numba_backend.cache_folder())
    except (BackendError, ImportError):
        return None


def _warmup() -> int:
    from ckks import kernels

    start = time.perf_counter()
    active = kernels.active()
    print(f"backend {active.name}: compiling kernels, if it has any to compile ...", flush=True)
    kernels.warmup()
    print(f"done in {time.perf_counter() - start:.1f} s")
    return 0


def _as_lines(report: dict[str, Any]) -> str:
    lines = []
    for key, value in report.items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {name}: {_plain(item)}" for name, item in value.items()]
        else:
            lines.append(f"{key}: {_plain(value)}")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


if __name__ == "__main__":
    sys.exit(main())

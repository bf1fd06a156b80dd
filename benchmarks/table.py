"""Measure the main operations and print the table of the README: `python -m benchmarks.table [--write]`.

Times are the median (and minimum) of repeated calls in this process, one thread, after a warm-up; both backends
alternate within each repetition, so that their ratio means something on a noisy machine.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import ckks
from benchmarks.machine import processor
from benchmarks.pages import README, write_between
from benchmarks.pages import table as markdown
from ckks import kernels
from ckks.errors import BackendError
from ckks.scheme import PRESETS

MARKS = "<!-- table: python -m benchmarks.table --write -->", "<!-- end of table -->"
ROWS = ("encode", "encrypt (public key)", "encrypt (secret key)", "decrypt + decode", "multiply", "rotate")


def measure(sets: list[str], backends: list[str], seconds: float) -> dict[tuple[str, str, str], list[float]]:
    """Return {(set, operation, backend): milliseconds of each call}."""
    times: dict[tuple[str, str, str], list[float]] = {}
    for name in sets:
        params = ckks.CKKSParams.preset(name)
        keygen = ckks.KeyGenerator(params)
        secret = keygen.secret_key()
        public, keys = keygen.public_key(secret), keygen.evaluation_keys(secret, rotations=[1])
        encryptor, seeded = ckks.Encryptor(params, public), ckks.Encryptor(params, secret)
        decryptor, evaluator = ckks.Decryptor(params, secret), ckks.Evaluator(params, keys)
        values = np.cos(np.arange(params.slots))
        plain, ct = encryptor.encoder.encode(values), encryptor.encrypt(values)
        calls: dict[str, Callable[[], object]] = {
            "encode": lambda e=encryptor, v=values: e.encoder.encode(v),
            "encrypt (public key)": lambda e=encryptor, p=plain: e.encrypt(p),
            "encrypt (secret key)": lambda e=seeded, p=plain: e.encrypt_seeded(p),
            "decrypt + decode": lambda d=decryptor, c=ct: d.decrypt(c),
            "multiply": lambda e=evaluator, c=ct: e.multiply(c, c),
            "rotate": lambda e=evaluator, c=ct: e.rotate(c, 1),
        }
        for operation, call in calls.items():
            print(f"  {name}: {operation}", file=sys.stderr, flush=True)
            for backend in backends:
                with kernels.use(backend):
                    call(), call()
            end = time.perf_counter() + seconds * len(backends)
            while time.perf_counter() < end or len(times[name, operation, backends[0]]) < 10:
                for backend in backends:
                    with kernels.use(backend):
                        start = time.perf_counter()
                        call()
                        elapsed = 1e3 * (time.perf_counter() - start)
                    times.setdefault((name, operation, backend), []).append(elapsed)
    return times


def table(sets: list[str], backends: list[str], times: dict[tuple[str, str, str], list[float]]) -> str:
    """Format the measurements as Markdown."""
    variants = {b: f"{b} ({kernels.load(b).describe()['variant']})" for b in backends}
    measured = []
    for operation in ROWS:
        cells = ["multiply + relinearise + rescale" if operation == "multiply" else operation]
        for name in sets:
            for backend in backends:
                t = times[name, operation, backend]
                cells.append(f"{statistics.median(t):.2f} ({min(t):.2f})")
        measured.append(cells)
    chosen = []
    for name in sets:
        params = ckks.CKKSParams.preset(name)
        sizes = params.sizes()
        stored = (f"{sizes[key] / 2**20:.2f} MiB" for key in ("ciphertext", "public_key", "switching_key"))
        chosen.append([name, str(params), *stored])
    lines = [
        f"Median (minimum) in milliseconds, one thread, {processor()}, {datetime.date.today().isoformat()}, "
        f"ckks {ckks.__version__}, Python {platform.python_version()}. Made by `python -m benchmarks.table`.",
        "",
        markdown(["operation", *(f"{name}, {variants[b]}" for name in sets for b in backends)], measured),
        "",
        markdown(
            [
                "set",
                "parameters",
                "in memory: ciphertext",
                "public key",
                "one switching key (relinearisation or rotation)",
            ],
            chosen,
        ),
        "",
        "Stored, keys and fresh ciphertexts take about a third: the bits of their primes, and a seed for the uniform half.",
        "",
        f"`import ckks` takes {import_time():.0f} ms more than `import numpy` (median of 11 fresh interpreters): names load on "
        "first use.",
    ]
    return "\n".join(lines)


def import_time(statement: str = "import ckks") -> float:
    """Return the milliseconds that a statement takes after `import numpy`: the median of 11 fresh interpreters."""
    script = f"import time, numpy; t = time.perf_counter(); {statement}; print(1e3 * (time.perf_counter() - t))"
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout)
        for _ in range(11)
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("--sets", nargs="+", default=["S13", "S14", "S15"], choices=sorted(PRESETS))
    parser.add_argument("--seconds", type=float, default=1.0, help="per operation and backend")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    backends = []
    for backend in ("native", "numba"):
        try:
            kernels.load(backend)
            backends.append(backend)
        except BackendError as error:
            print(f"left out: {backend}: {error}", file=sys.stderr)
    text = table(options.sets, backends, measure(options.sets, backends, options.seconds))
    print(text)
    if options.write:
        write_between(README, MARKS, text)


if __name__ == "__main__":
    main()

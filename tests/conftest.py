"""Fixtures shared by all tests: the backends, deterministic randomness, toy keys."""

from __future__ import annotations

import datetime
import importlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from ckks import kernels
from ckks.errors import BackendError
from ckks.ring import Rng

settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("long", parent=settings.get_profile("ci"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Toy arrays are split between threads like large ones, else no test would see it.
importlib.import_module("ckks.kernels.threads").SMALLEST = 1

BACKENDS = ("reference", "numba", "native-portable", "native-avx2", "native-ifma")
LARGEST_REFERENCE_N = 64


def _runnable(name: str) -> str | None:
    """Return None when the backend runs here, else the reason why not."""
    try:
        kernels.load(name)
    except BackendError as error:
        return str(error)
    return None


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on every backend of this machine; the others are skipped with the reason."""
    reason = _runnable(request.param)
    if reason is not None:
        pytest.skip(f"backend {request.param}: {reason}")
    with kernels.use(request.param):
        yield request.param


@pytest.fixture
def rng() -> Rng:
    """Deterministic cryptographic randomness."""
    return Rng(20)


@pytest.fixture
def values() -> np.random.Generator:
    """Deterministic test values."""
    return np.random.default_rng(20)


Figure = Callable[[str, str], None]
"""Called with the name of a promise in docs/security.md and the figure that the test reached."""

FIGURES = pytest.StashKey[list[dict[str, str]]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Report a figure: `figure("W2", "10,000 flips: 10,000 refused")`. The summary shows it, CKKS_FIGURES keeps it."""

    def report(promise: str, reached: str) -> None:
        record = {
            "promise": promise,
            "reached": reached,
            "test": request.node.nodeid,
            "date": datetime.date.today().isoformat(),
            "tier": "long" if request.config.getoption("--slow") else "quick",
        }
        request.config.stash.setdefault(FIGURES, []).append(record)
        if path := os.environ.get("CKKS_FIGURES"):
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    return report


def ring_degrees(backend: str, *degrees: int) -> tuple[int, ...]:
    """Return those of the ring degrees that a backend is asked for: the reference only small ones."""
    return tuple(n for n in degrees if backend != "reference" or n <= LARGEST_REFERENCE_N)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="long tier: run with --slow (benchmarks/long_tests.sh)")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skipped tests by reason: every one is explained, none is listed twice."""
    figures = terminalreporter.config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures, by promise of docs/security.md")
        for found in sorted(figures, key=lambda f: f["promise"]):
            terminalreporter.write_line(f"{found['promise']:5} {found['reached']}")
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    if reasons:
        terminalreporter.section("skipped, by reason")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count:6}  {reason}")


def pytest_report_header() -> list[str]:
    """Name the backends that run here, and why the others do not."""
    lines = [f"kernels: active {kernels.active().name} ({kernels.active().describe().get('variant')})"]
    for name in BACKENDS:
        reason = _runnable(name)
        lines.append(f"kernels: {name}: " + ("runs" if reason is None else f"left out: {reason}"))
    return lines

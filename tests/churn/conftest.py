"""Fixtures for the churn service: its event loop, kernels that suit rings of 32, and the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import anyio.abc
import pytest
from anyio.from_thread import start_blocking_portal
from churn_kit import Run, Service, score

from churn import cli
from ckks import kernels


@pytest.fixture
def reference_kernels() -> Iterator[None]:
    """Plain Python kernels: nothing to compile, and quick enough at N = 32."""
    with kernels.use("reference"):
        yield


@pytest.fixture(scope="session")
def portal() -> Iterator[anyio.abc.BlockingPortal]:
    """One event loop, in a thread of its own."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.fixture
def service(portal: anyio.abc.BlockingPortal, reference_kernels: None) -> Service:
    """The toy model, hosted with a store that is gone with it."""
    return Service(portal, [score()])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Run the command line in this process, in a folder of its own; return exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    before = kernels.num_threads()

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["churn", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err  # type: ignore[arg-type]

    yield call
    kernels.set_num_threads(before)

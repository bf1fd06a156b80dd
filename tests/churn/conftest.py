"""Fixtures for the churn service: its event loop, and kernels that suit rings of 32."""

from __future__ import annotations

from collections.abc import Iterator

import anyio.abc
import pytest
from anyio.from_thread import start_blocking_portal
from churn_kit import Service, score

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

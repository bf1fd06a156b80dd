"""`python -m ckks doctor`: what runs here, checked; and `warmup`."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from process import run_python

import ckks
from ckks import __main__ as command
from ckks import kernels

FAST = [name for name in kernels.available() if name != "reference"]
"""The self-test runs at N = 2^12, which is beyond the plain Python kernels' patience."""


def run(tmp_path, *arguments: str, **environment: str):
    code = f"import runpy, sys; sys.argv = ['ckks', *{arguments!r}]; runpy.run_module('ckks', run_name='__main__')"
    return run_python(code, tmp_path, **environment)


@pytest.mark.parametrize("name", FAST)
def test_doctor_reports_and_checks(name, tmp_path):
    done = run(tmp_path, "doctor", "--json", CKKS_BACKEND=name, CKKS_CHECK="0")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert set(report) == {
        "ckks",
        "python",
        "numpy",
        "machine",
        "backend",
        "variant",
        "available",
        "environment",
        "details",
        "threads",
        "numba_cache",
        "self_test",
    }
    assert report["ckks"] == ckks.__version__ and report["numpy"] == np.__version__
    assert report["backend"].partition("-")[0] == name.partition("-")[0]
    if "-" in name:
        assert report["variant"] == name.partition("-")[2]
    assert report["available"] == list(kernels.available())
    assert report["environment"] == {"CKKS_BACKEND": name, "CKKS_CHECK": "0"}
    assert 1 <= report["threads"]["used"] and report["threads"]["cores"] == len(os.sched_getaffinity(0))
    test = report["self_test"]
    assert test["passed"] is True
    assert 0 < test["largest_error"] <= test["error_bound"] < 2.0**-8
    assert test["seconds"] > 0 and "128-bit" in test["what"]


def test_doctor_in_words(tmp_path):
    done = run(tmp_path, "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for start in (
        "ckks: ",
        "backend: ",
        "available: ",
        "threads:",
        "self_test:",
        "  passed: True",
        "  largest_error: ",
    ):
        assert any(line.startswith(start) for line in lines), start


@pytest.mark.parametrize("subcommand", ["doctor", "warmup"])
@pytest.mark.parametrize("name", ["cuda", "Native", "native-avx9"])
def test_unknown_backends_are_one_line(subcommand, name, tmp_path):
    """Never a silent fallback: exit code 1, one line that lists what there is, nothing on standard output."""
    done = run(tmp_path, subcommand, CKKS_BACKEND=name)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"error: unknown backend {name!r}") and done.stderr.count("\n") == 1
    for known in ("reference", "numba", "native"):
        assert known in done.stderr


def test_backends_that_cannot_run_here_say_why(tmp_path):
    missing = [name for name in kernels.NAMES if name not in kernels.available()]
    if not missing:
        pytest.skip("every backend runs here")
    done = run(tmp_path, "doctor", CKKS_BACKEND=missing[0])
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_failed_self_test_is_exit_code_1(monkeypatch, capsys):
    monkeypatch.setattr(command, "self_test", lambda: {"passed": False, "largest_error": 1.0, "error_bound": 0.5})
    assert command.main(["doctor"]) == 1
    assert "passed: False" in capsys.readouterr().out


def test_the_self_test_notices_wrong_kernels(monkeypatch):
    """A backend whose product is off by one unit in one word fails it: the check is worth its time."""
    right = kernels.mul

    def wrong(plan, x, y, out=None):
        result = right(plan, x, y, out)
        result[..., 0, 0] ^= np.uint64(1)
        return result

    monkeypatch.setattr(kernels, "mul", wrong)
    assert command.self_test()["passed"] is False


def test_usage(tmp_path, capsys):
    assert command.main([]) == 2
    assert "doctor" in capsys.readouterr().out
    for arguments in (["nonsense"], ["doctor", "--nonsense"]):
        with pytest.raises(SystemExit) as caught:
            command.main(arguments)
        assert caught.value.code == 2
        assert "usage: python -m ckks" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        command.main(["--help"])
    assert caught.value.code == 0
    assert "doctor" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["reference", *(n for n in FAST if n.startswith("native"))][:2])
def test_warmup_where_nothing_is_compiled_at_run_time(name, capsys):
    with kernels.use(name):
        assert command.main(["warmup"]) == 0
    assert f"backend {name}" in capsys.readouterr().out

"""No kernel reads or writes beside its arrays (L2), on every source: guard pages around each operand and result.

The C kernels go through the sanitizers as well, with their own scratch memory: native/check.py.
"""

from __future__ import annotations

import sys

import process
import pytest
from conftest import BACKENDS, _runnable

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="guards are made with mprotect")

RUN = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from ckks import kernels
from ckks.kernels import reference
from kernels import compare
from promises.guards import Guarded
calls = 0
for low in (False, True):
    source = Guarded(kernels.load({name!r}), low=low)
    for n in {degrees}:
        plan = compare.mixed_plan(n)
        oracle = reference if n <= 64 else kernels.load({name!r})
        rng = np.random.default_rng(n)
        compare.transforms(source, oracle, plan, rng)
        if n > 64:
            continue
        compare.place_by_place(source, oracle, plan, rng, (1, 9))
        compare.conversions(source, oracle, n, rng)
        compare.permutations(source, oracle, plan, rng)
        compare.signed(source, oracle, plan, rng)
        compare.streams(source, oracle, rng)
    calls += source.calls
print(calls)
"""

BESIDE = """
import sys
sys.path.insert(0, {tests!r})
import ctypes
import numpy as np
from promises.guards import Guarded
class Bad:
    name = "bad"
    def read(self, x, out):
        out[0] = np.ctypeslib.as_array(ctypes.cast(x.ctypes.data + 8 * {offset}, ctypes.POINTER(ctypes.c_uint64)), (1,))[0]
x = np.zeros(4, dtype=np.uint64)
Guarded(Bad(), low={low}).read(x, x.copy())
print("read")
"""


@pytest.mark.parametrize("name", BACKENDS[1:])
@pytest.mark.parametrize(
    "degrees", [(8, 16), pytest.param((8, 16, 32, 64, 128, 1024, 2**13, 2**15), marks=pytest.mark.slow)]
)
def test_nothing_beside_the_arrays_is_touched(name, degrees, tmp_path, figure, request):
    if reason := _runnable(name):
        pytest.skip(f"backend {name}: {reason}")
    done = process.run_python(
        RUN.format(tests=str(request.config.rootpath / "tests"), name=name, degrees=degrees), tmp_path
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr}"
    figure("L2", f"{name}: {int(done.stdout):,} calls between guard pages, 0 accesses beside an array")


@pytest.mark.parametrize(("offset", "low", "ends"), [(3, False, 0), (4, False, -11), (0, True, 0), (-1, True, -11)])
def test_one_word_beside_would_be_found(offset, low, ends, tmp_path, request):
    code = BESIDE.format(tests=str(request.config.rootpath / "tests"), offset=offset, low=low)
    assert process.run_python(code, tmp_path).returncode == ends

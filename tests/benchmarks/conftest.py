"""The benchmarks are no part of the installed package: found where they lie, after everything that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))

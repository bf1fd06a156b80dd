"""Starting the workers of a service, before anything that takes time to import."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from churn.hosting.work.child import Launcher

__all__ = ["launch"]


def launch(models: Path, mode: str, flooded: bool, answers: int) -> Launcher:
    """Start a worker for the models of a folder; to be closed. What is wrong with them, it and the service both say."""
    command = [sys.executable, "-P", "-m", "churn.worker", "--models", str(models), "--mode", mode]
    command += ["--answers", str(answers), *([] if flooded else ["--unflooded"])]
    # The packages of this process, wherever it found them; nothing from the folder it happens to run in.
    package = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return Launcher(command, {**os.environ, "PYTHONPATH": path})

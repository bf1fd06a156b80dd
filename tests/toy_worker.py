"""A worker process with toy models, some of which misbehave. It has to find tests/ and the packages on its path."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
from toy_models import insecure_params, linear_model, score

from churn.circuit import LOGIT, Score
from churn.errors import ModelError
from churn.hosting.work.attend import attend
from ckks import kernels


class Misbehaving(Score):
    """A model that does something else when it is evaluated, as its name says."""

    def evaluate(self, evaluator: Any, x: Any, layout: str) -> Any:
        {
            "sleeps": lambda: time.sleep(600),
            "naps": lambda: time.sleep(0.3),
            "exits": lambda: os._exit(1),
            "fails": lambda: [][1],
            "hungry": lambda: np.ones(1 << 45),
        }[self.model.name]()
        return super().evaluate(evaluator, x, layout)


def toys() -> list[Score]:
    """One model that works, and those above."""
    names = ("sleeps", "naps", "exits", "fails", "hungry")
    return [score(LOGIT), *(Misbehaving(linear_model(name), None, insecure_params(), False) for name in names)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True)
    parser.add_argument("--broken", action="store_true")
    parser.add_argument("--stuck", action="store_true")
    given = parser.parse_args()

    def load() -> list[Score]:
        if given.stuck:
            time.sleep(600)
        if given.broken:
            raise ModelError("a toy is broken", "a whole one is needed", "Mend it")
        return toys()

    with kernels.use("reference"):
        attend(load, given.channel, given.memory)


if __name__ == "__main__":
    main()

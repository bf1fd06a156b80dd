"""A worker process of the service: `python -m churn.worker`, started by `churn.server` and by nobody else."""

from __future__ import annotations

import argparse
from pathlib import Path

from churn.circuit import LOGIT, PROBABILITY
from churn.hosting.work.attend import attend
from churn.offer import offer

__all__ = ["main"]


def main() -> None:
    """Load the models and work until the service ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--mode", choices=[LOGIT, PROBABILITY], required=True)
    parser.add_argument("--unflooded", action="store_true")
    parser.add_argument("--answers", type=int, required=True)
    parser.add_argument("--channel", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True)
    given = parser.parse_args()
    attend(
        lambda: offer(given.models, given.mode, flooded=not given.unflooded, queries=given.answers, evaluating=True),
        given.channel,
        given.memory,
    )


if __name__ == "__main__":
    main()

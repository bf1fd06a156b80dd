"""`python -m churn`: see `churn.cli`."""

from __future__ import annotations

from churn.cli import main

if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# The long tier: every test marked slow, hypothesis with many examples. Prints the figures it reached; takes hours.
set -euo pipefail
cd "$(dirname "$0")/.."
HYPOTHESIS_PROFILE=long python -m pytest --slow -m slow -s "$@"

#!/usr/bin/env bash
# The long tier: the numbers that docs/security.md is made with. Prints the figures it reached and keeps them in a file; takes hours.
#   benchmarks/long_tests.sh [pytest arguments]          every test marked slow, or those of the paths that are given
#   benchmarks/long_tests.sh fuzz|sanitize|mutants       what is not a test: a million inputs per kind, sanitizers, mutants
# Afterwards `python -m benchmarks.promises --write figures.jsonl` puts the figures into the page.
set -euo pipefail
cd "$(dirname "$0")/.."
export CKKS_FIGURES=${CKKS_FIGURES:-$PWD/figures.jsonl}
case "${1:-}" in
    fuzz) exec env PYTHONPATH=tests python -m wire.fuzz all --runs "${2:-1000000}" ;;
    sanitize) exec python native/check.py ;;
    mutants) exec python -m benchmarks.mutants ;;
esac
export HYPOTHESIS_PROFILE=long
exec python -m pytest --slow -m slow -s "$@"

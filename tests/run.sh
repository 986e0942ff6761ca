#!/bin/sh
# Sets everything up and runs all checks: style, types, import directions, tests.
cd "$(dirname "$0")/.." || exit 1
install='.[test]'; . .ci/environment.sh
PATH="$(cd "$SNIPROXY_VENV/bin" && pwd):$PATH"
export PATH
set -e
ruff check .
ruff format --check .
mypy
lint-imports
pytest -n 2 --dist loadfile "$@"

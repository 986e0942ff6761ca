#!/bin/sh
# Sets everything up and runs all checks: style, types, import directions, tests.
cd "$(dirname "$0")/.." || exit 1
. .ci/environment.sh '.[test]'
PATH="$(cd "$SNIPROXY_VENV/bin" && pwd):$PATH"
export PATH
set -e
ruff check .
ruff format --check .
mypy
lint-imports
pytest "$@"

#!/bin/sh
# Sets everything up and runs the demonstration: configs/site.toml.
cd "$(dirname "$0")/.." || exit 1
install=.; . .ci/environment.sh
exec "$SNIPROXY_VENV/bin/python" -m sniproxy -c configs/site.toml "$@"

# Makes the virtual environment that everything here runs in, and says where it is.
#
#     install='.[test]'; . .ci/environment.sh
#
# With constraints=FILE it has the versions in there.
#
# Needs python3 (3.11 or newer) and git. Debian's python3 comes without venv: where that is
# missing, and we may, apt brings it.

SNIPROXY_VENV=${SNIPROXY_VENV:-.venv}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

make_environment() {
    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "sniproxy needs Python 3.11 or newer, this is $(python3 --version)" >&2
        return 1
    fi
    if [ ! -x "$SNIPROXY_VENV/bin/pip" ]; then
        if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
            echo "python3-venv is missing: installing it with apt" >&2
            as_root apt-get update -qq && as_root apt-get install -y -qq python3-venv >&2 || return 1
        fi
        python3 -m venv "$SNIPROXY_VENV" || return 1
    fi
    "$SNIPROXY_VENV/bin/pip" install --quiet --disable-pip-version-check ${constraints:+-c "$constraints"} -e "$install"
}

make_environment || exit 1

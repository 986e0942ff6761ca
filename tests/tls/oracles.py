"""The nginx programs that can be asked, each with the dialect of its OpenSSL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pytest

from sniproxy.tls import dialects
from sniproxy.tls.errors import Dialect

from .real_nginx import NGINX

AS_4_0 = ("0A000092 0A000139", "0A000096 0A000139", "0A00010B 0A000139", "0A0001BB 0A000139")
"""Records that are too long, or of no TLS version, are told by 3.3 as by 4.0; 3.5 has its own
way of putting it, `packet length too long`, for what is no TLS at all too."""


@cache
def dialect_of_3_3() -> Dialect:
    """3.5's words with the few errors that OpenSSL 3.3 queues otherwise."""
    table = json.loads(
        files(dialects.__package__).joinpath("dialect_tables", "3.5.json").read_bytes()
    )
    queues = {codes: told for codes, told in table["queues"].items() if codes not in AS_4_0}
    return dialects.ReleaseDialect({**table, "release": "OpenSSL 3.3", "queues": queues})


@dataclass(frozen=True)
class Oracle:
    """One nginx: the wheel, or the one that the system has."""

    name: str
    command: str | None
    same_levels: bool
    """Whether its levels are those of nginx 1.31, which sniproxy follows."""

    @property
    def dialect(self) -> Dialect:
        release = self.openssl
        if release.startswith("3.3."):
            return dialect_of_3_3()
        for name in dialects.NAMES:
            if release.startswith(name):
                return dialects.find_dialect(name)
        raise AssertionError(f"no dialect for OpenSSL {release} of {self.command}")

    @property
    def openssl(self) -> str:
        """`3.0.19`: the release that the program runs with."""
        assert self.command is not None
        run = subprocess.run([self.command, "-V"], capture_output=True, text=True, check=True)
        found = re.findall(r"(?:built|running) with OpenSSL (\S+)", run.stderr)
        return str(found[-1])


WHEEL = Oracle("wheel", NGINX, same_levels=True)
INSTALLED = Oracle("installed", shutil.which("nginx"), same_levels=False)

ORACLES = [
    pytest.param(WHEEL, marks=pytest.mark.nginx, id="wheel"),
    pytest.param(INSTALLED, marks=pytest.mark.needs("nginx"), id="installed"),
]

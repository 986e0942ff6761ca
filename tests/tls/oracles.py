"""The available nginx programs, with the dialects of their OpenSSL."""

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
"""Errors about records that are too long or have no TLS version, which 3.3 reports like 4.0;
3.5 reports `packet length too long` for data that is not TLS, too.
"""


@cache
def dialect_of_3_3() -> Dialect:
    """3.5's dialect with the few errors that OpenSSL 3.3 queues differently."""
    table = json.loads(
        files(dialects.__package__).joinpath("dialect_tables", "3.5.json").read_bytes()
    )
    queues = {codes: reports for codes, reports in table["queues"].items() if codes not in AS_4_0}
    return dialects.ReleaseDialect({**table, "release": "OpenSSL 3.3", "queues": queues})


@dataclass(frozen=True)
class Oracle:
    """An nginx program: that of the wheel, or the system's."""

    name: str
    command: str | None
    same_levels: bool
    """Whether its log levels are those of nginx 1.31, which sniproxy follows."""

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
        """The release that the program uses, such as `3.0.19`."""
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

"""Placeholders in directives and commands of the catalog, and their values."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .groups import NO_LIVE_UPSTREAMS, ErrorGroup

_PLACEHOLDER = re.compile(r"\{(scheme|name|address|ca|certificate|key|crl|group|resolver|front)\}")
TEXT_DEFAULTS = {
    "scheme": "https",
    "name": "<the upstream's name>",
    "address": "<host:port>",
    "ca": "<authorities.pem>",
    "certificate": "<certificate.pem>",
    "key": "<key.pem>",
    "crl": "<lists.crl>",
    "group": "<upstream>",
    "resolver": "<dns server>",
    "front": "<our address:port>",
}
"""Placeholders' texts if their value is unknown."""
_SHELL_DEFAULTS = {
    "scheme": "https",
    "name": "NAME",
    "address": "HOST:PORT",
    "ca": "CA.pem",
    "certificate": "CERT.pem",
    "key": "KEY.pem",
    "crl": "LISTS.crl",
    "group": "GROUP",
    "resolver": "DNS",
    "front": "HOST:443",
}
"""The same in shell commands, where < and > are special."""


def fill(text: str, values: Mapping[str, str], *, command: bool = False) -> str:
    """Replace the placeholders in `text` by their values, or by descriptions of them."""
    others = _SHELL_DEFAULTS if command else TEXT_DEFAULTS
    return _PLACEHOLDER.sub(lambda match: values.get(match[1]) or others[match[1]], text)


def placeholders(group: ErrorGroup) -> dict[str, str]:
    """The values of placeholders known from a group's lines, if they are valid."""
    values: dict[str, str] = {}
    if group.upstream.startswith("http://"):
        values["scheme"] = "http"
    if group.signature.name == NO_LIVE_UPSTREAMS:
        return values  # the address is the name of an upstream block
    if re.fullmatch(r"[\w.:\[\]-]+", group.address) and not group.address.startswith("unix"):
        values["address"] = group.address
    return {**values, **group.known}


def is_dns_name(text: str) -> bool:
    """Whether `text` is a DNS name of several labels, which an upstream may have."""
    return re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", text) is not None

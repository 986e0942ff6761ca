"""Lines as people posted them, and what may be done to a line without changing its meaning."""

from __future__ import annotations

import json
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sniproxy.explain import Explanation, explain

SEVERAL = (
    {"verify-chain", "verify-depth"},
    {"sni-missing", "sni-wrong-name", "client-certificate-needed"},
    {"sni-missing", "plain-http-upstream"},
    {"connect-failed", "no-ipv6"},
    {"connect-failed", "ports-exhausted"},
    {"host-not-found-at-start", "unfilled-template"},
    {"keepalive", "early-response"},
    {"resolver", "resolver-unreachable"},
)
"""Causes that one and the same text is known to have: each may come second."""


@dataclass(frozen=True, slots=True)
class Case:
    line: str
    dialect: str
    side: str
    cause: str
    confirmed: str

    def is_right(self, explanation: Explanation | None) -> bool:
        """Whether the side is right, and the cause where one was found."""
        if explanation is None or explanation.side != self.side:
            return False
        if self.confirmed == "none":
            return True
        names = explanation.signature.cause_names
        shared = any({self.cause, names[0]} <= causes for causes in SEVERAL)
        return self.cause in names[: 2 if shared else 1]


def cases() -> list[Case]:
    with Path(__file__).with_name("field_cases.toml").open("rb") as file:
        table = tomllib.load(file)["case"]
    return [
        Case(entry["line"], entry["dialect"], entry["side"], entry["class"], entry["confirmed"])
        for entry in table
    ]


def read(line: str) -> Explanation | None:
    """What `explain` makes of a line that stands in a file in UTF-8."""
    return explain(line.encode().decode("latin-1"))


# --- before the line ---

PREFIXES = {
    "compose": "nginx-proxy-1  | ",
    "compose in colours": "\x1b[36mweb_1  |\x1b[0m ",
    "kubernetes": "2024-10-10T15:16:31.123456789Z stderr F ",
    "kubectl --prefix": "[pod/ingress-nginx-controller-7d5f/controller] ",
    "stern": "ingress-nginx-controller-7d5f controller ",
    "syslog": "<187>Oct 10 15:16:31 host nginx: ",
    "syslog with pid": "Oct 10 15:16:31 host nginx[1234]: ",
    "rfc 5424": "<187>1 2024-10-10T15:16:31.003Z host nginx 1234 - - ",
    "journald": "Okt 10 15:16:31 host.example nginx[77]: ",
    "grep": "/var/log/nginx/error.log.1:4711:",
    "quoted": "> ",
    "code": "    ",
}


def prefixed(line: str) -> Iterator[tuple[str, str]]:
    for name, prefix in PREFIXES.items():
        yield name, prefix + line


def as_json(line: str) -> Iterator[tuple[str, str]]:
    for key in ("log", "message", "msg"):
        yield (
            f"json {key}",
            json.dumps({"stream": "stderr", key: f"{line}\n", "time": "2024-10-10T15:16:31Z"}),
        )
    yield "json behind a prefix", f"fluentd: {json.dumps({'log': line})}"


# --- the line broken ---


def wrapped(line: str) -> Iterator[tuple[str, str]]:
    for width in (72, 80, 100, 120):
        pieces = [line[at : at + width] for at in range(0, len(line), width)]
        yield f"at column {width}", "\n".join(pieces)
        yield (
            f"at words before {width}",
            textwrap.fill(line, width, break_on_hyphens=False, break_long_words=False),
        )


def cut(line: str) -> Iterator[tuple[str, str]]:
    """Cut behind the phase: what is before tells all."""
    for field in (", client: ", ", server: ", ", request: ", ", upstream: ", ", host: "):
        at = line.find(field)
        # Without its upstream a line may have lost what tells its causes apart.
        if at > 0 and "upstream: " not in line[at:]:
            yield f"cut before{field.rstrip(': ')}", line[:at]
            yield f"cut in{field.rstrip(': ')}", line[: at + len(field) + 2]
    if (start := re.search(r"\[(?:error|info|crit|emerg|alert)\] \d+#\d+: ", line)) is not None:
        yield "cut before the level", line[start.start() :]
    if line.endswith('"') and line.count('"') % 2 == 0:
        yield "cut at the end", line[:-3]


# --- other words ---

_ALERTS = re.compile(r"\b(sslv3|ssl/tls|tls) alert ")
_OLD = re.compile(r"error:14([0-9A-F]{3})([0-9A-F]{3}):SSL routines:[^:]*:")
_NEW = re.compile(r"error:0A0?([0-9A-F]{5,6}):SSL routines::")


def other_dialects(line: str) -> Iterator[tuple[str, str]]:
    """The same error as other releases write it."""
    for words in ("sslv3", "ssl/tls", "tls"):
        if (other := _ALERTS.sub(f"{words} alert ", line)) != line:
            yield f"{words} alert", other
    # Functions tell the side, and only the old releases name them.
    if "while" in line or "upstream" in line:
        if (other := _OLD.sub(_as_new, line)) != line:
            yield "as 3.0", other
        if (other := _NEW.sub(_as_old, line)) != line:
            yield "as 1.1.1", other
    if "self-signed" in line or "self signed" in line:
        yield "self signed", line.replace("self-signed", "self signed")
    yield "musl", line.replace("Connection timed out", "Operation timed out")


def _as_new(old: re.Match[str]) -> str:
    return f"error:{20 << 23 | int(old[2], 16):08X}:SSL routines::"


def _as_old(new: re.Match[str]) -> str:
    return f"error:{20 << 24 | 0x123 << 12 | int(new[1], 16) & 0xFFF:08X}:SSL routines:func(291):"


# --- other names ---

_IPV4 = re.compile(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b")
_NAMED = re.compile(r"(server: |host: \")([a-z][\w-]*(?:\.[a-z][\w-]*)+)")
_REQUEST = re.compile(r'(request: ")[^"]*')


def other_names(line: str) -> Iterator[tuple[str, str]]:
    yield "other addresses", _IPV4.sub(lambda address: _moved(address[0]), line)
    yield "other names", _NAMED.sub(r"\g<1>xn--bcher-kva.example.org", line)
    yield "another request", _REQUEST.sub(r"\g<1>PUT /a, b: c?while=SSL HTTP/2.0", line)
    yield "another time", re.sub(r"\d{4}/\d\d/\d\d \d\d", "2031/12/31 23", line)
    yield "another process", re.sub(r"\b\d+#\d+: (?:\*\d+ )?", "7#7: *123456789 ", line)


def _moved(address: str) -> str:
    return address if address in ("0.0.0.0", "127.0.0.1") else f"198.51.100.{len(address)}"


Mutation = Callable[[str], Iterator[tuple[str, str]]]

MUTATIONS: dict[str, Mutation] = {
    "prefix": prefixed,
    "json": as_json,
    "wrapped": wrapped,
    "cut": cut,
    "dialect": other_dialects,
    "names": other_names,
}

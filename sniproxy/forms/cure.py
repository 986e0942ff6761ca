"""Read directives of nginx as settings of a connection to an upstream.

A setting is a row of `table.SETTINGS`; its values are what the placeholders of that table mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Words = tuple[str, ...]
"""A directive: its name and its arguments."""

UNKNOWN_CA = "<authorities.pem>"
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_LOCATOR = re.compile(r"(\w+)://(\[[^\]]*\]|<[^>]*>|[^:/]*)(?::(<[^>]*>|\d+))?")
_VERSIONS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


@dataclass(frozen=True, slots=True)
class Cure:
    """The settings with which a proxy reaches an upstream."""

    directives: tuple[Words, ...]
    """As nginx has them, without `proxy_pass`."""
    settings: tuple[str, ...]
    """The settings among them, as rows of `table.SETTINGS`."""
    values: Mapping[str, str]
    """What the placeholders stand for: `name`, `host`, `port`, `ca`, …"""
    unread: tuple[Words, ...] = ()
    """The directives that are no such settings."""
    url: str = ""
    url_changed: bool = False
    """Whether the fix has a `proxy_pass` with another URL."""
    system_ca: bool = False
    """Whether `ca` is the system's own list of authorities."""
    weakens: str = ""
    """What security the cure gives up; "" if none."""

    @property
    def tls(self) -> bool:
        return self.values["scheme"] == "https"


def parse_directive(text: str) -> Words:
    """The words of a directive such as `proxy_set_header Connection "";`."""
    words = _WORD.finditer(text.strip().removesuffix(";"))
    return tuple(
        found[2] if found[1] is None else re.sub(r"\\(.)", r"\1", found[1]) for found in words
    )


def read_cure(
    url: str,
    directives: Iterable[Words],
    *,
    host_header: str = "",
    system_ca: bool = False,
    weakens: str = "",
) -> Cure:
    """Read the directives of a fix for the upstream at `url`.

    `host_header` is the Host that was sent if no directive sets it, for programs that send another
    one by default than nginx.
    """
    all_words = list(directives)
    urls = [words[1] for words in all_words if words[0] == "proxy_pass"]
    rest = tuple(words for words in all_words if words[0] != "proxy_pass")
    url = urls[-1] if urls else url
    reading = _Reading(*_locate(url), host_header)
    for words in rest:
        reading.read(words)
    return Cure(
        directives=rest,
        settings=reading.finish(),
        values=reading.values,
        unread=tuple(reading.unread),
        url=url,
        url_changed=bool(urls),
        system_ca=system_ca,
        weakens=weakens,
    )


def _locate(url: str) -> tuple[str, str, str]:
    found = _LOCATOR.match(url)
    if found is None:
        return "https", "<host>", "<port>"
    scheme = found[1].lower()
    return scheme, found[2] or "<host>", found[3] or ("443" if scheme == "https" else "80")


class _Reading:
    """Collects settings and their values from directives."""

    def __init__(self, scheme: str, host: str, port: str, host_header: str) -> None:
        self.settings: set[str] = set()
        self.values: dict[str, str] = {
            "scheme": scheme,
            "host": host,
            "bare_host": host.strip("[]"),
            "port": port,
            "host_header": host_header,
            "ca": UNKNOWN_CA,
            "protocols": "TLSv1.2 TLSv1.3",
            "newest_envoy": "TLSv1_3",
        }
        self.unread: list[Words] = []

    def read(self, words: Words) -> None:
        name, args = words[0], words[1:]
        reader = _READERS.get(name)
        if reader is None or any("$" in arg for arg in args) or not reader(self, args):
            self.unread.append(words)

    def finish(self) -> Words:
        values = self.values
        values.setdefault("name", values["host"])
        if values["host_header"]:
            self.settings.add("host")
        # The name in the URL of a program that sends it as SNI and Host.
        site = values["name"] if "sni" in self.settings else values["host_header"]
        values["site"] = site or values["host"]
        tls, http2 = values["scheme"] == "https", "http2" in self.settings
        values["apache_scheme"] = ("h2" if tls else "h2c") if http2 else values["scheme"]
        values["backend_protocol"] = "GRPCS" if http2 else "HTTPS"
        if values["scheme"] == "https":
            self.settings.add("tls")
        return tuple(sorted(self.settings))

    def put(self, setting: str, **values: str) -> bool:
        self.settings.add(setting)
        self.values |= values
        return True


def _simple(setting: str, value: str) -> Callable[[_Reading, Sequence[str]], bool]:
    """A reader of a directive with one argument."""
    return lambda reading, args: reading.put(setting, **{value: args[0]})


def _seconds(setting: str) -> Callable[[_Reading, Sequence[str]], bool]:
    def read(reading: _Reading, args: Sequence[str]) -> bool:
        found = re.fullmatch(r"(\d+)(s|m|h|)", args[0])
        if found is None:
            return False
        unit = {"s": 1, "m": 60, "h": 3600, "": 1}[found[2]]
        return reading.put(setting, **{setting.replace("-", "_"): str(int(found[1]) * unit)})

    return read


def _server_name(reading: _Reading, args: Sequence[str]) -> bool:
    return args[0] == "on" and reading.put("sni")


def _set_header(reading: _Reading, args: Sequence[str]) -> bool:
    if args[0].lower() == "host":
        return reading.put("host", host_header=args[1])
    # The others are what these programs do by themselves: keep connections, pass upgrades on.
    return args[0].lower() in ("connection", "upgrade")


def _verify(reading: _Reading, args: Sequence[str]) -> bool:
    return reading.put("verify" if args[0] == "on" else "verify-off")


def _trusted(reading: _Reading, args: Sequence[str]) -> bool:
    return reading.put("verify", ca=args[0])


def _depth(reading: _Reading, args: Sequence[str]) -> bool:
    # Apache counts the root too.
    counted = str(int(args[0]) + 1) if args[0].isdigit() else args[0]
    return reading.put("depth", depth=args[0], depth_with_root=counted)


def _certificate(reading: _Reading, args: Sequence[str]) -> bool:
    return reading.put("client-certificate", certificate=args[0])


def _protocols(reading: _Reading, args: Sequence[str]) -> bool:
    chosen = [version for version in _VERSIONS if version in args]
    if not chosen:
        return False
    oldest, newest = chosen[0], chosen[-1]
    return reading.put(
        "protocols" if newest == "TLSv1.3" else "protocols-limited",
        protocols=" ".join(chosen),
        plus_protocols=" ".join(f"+{version}" for version in chosen),
        **_spellings("oldest", oldest),
        **_spellings("newest", newest),
    )


def _spellings(prefix: str, version: str) -> dict[str, str]:
    """A version of TLS as HAProxy (TLSv1.0), Envoy (TLSv1_0) and Go (VersionTLS10) spell it."""
    number = version.removeprefix("TLSv")
    number = f"{number}.0" if number == "1" else number
    return {
        prefix: f"TLSv{number}",
        f"{prefix}_envoy": f"TLSv{number.replace('.', '_')}",
        f"{prefix}_go": f"VersionTLS{number.replace('.', '')}",
    }


def _conf_command(reading: _Reading, args: Sequence[str]) -> bool:
    return list(args) == ["Options", "UnsafeLegacyServerConnect"] and reading.put("legacy")


def _http_version(reading: _Reading, args: Sequence[str]) -> bool:
    return reading.put("http2" if args[0] == "2" else "http1")


def _buffer_size(reading: _Reading, args: Sequence[str]) -> bool:
    found = re.fullmatch(r"(\d+)([kKmM]?)", args[0])
    if found is None:
        return False
    size = int(found[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[found[2].lower()]
    return reading.put("header-size", header_size=str(size), header_k=str(-(-size // 1024)))


def _implied(reading: _Reading, args: Sequence[str]) -> bool:
    return True


_READERS: Mapping[str, Callable[[_Reading, Sequence[str]], bool]] = {
    "proxy_ssl_server_name": _server_name,
    "proxy_ssl_name": _simple("sni", "name"),
    "proxy_set_header": _set_header,
    "proxy_ssl_verify": _verify,
    "proxy_ssl_trusted_certificate": _trusted,
    "proxy_ssl_verify_depth": _depth,
    "proxy_ssl_crl": _simple("crl", "crl"),
    "proxy_ssl_certificate": _certificate,
    "proxy_ssl_certificate_key": _simple("client-certificate", "key"),
    "proxy_ssl_protocols": _protocols,
    "proxy_ssl_ciphers": _simple("ciphers", "ciphers"),
    "proxy_ssl_conf_command": _conf_command,
    "proxy_http_version": _http_version,
    "proxy_connect_timeout": _seconds("connect-timeout"),
    "proxy_read_timeout": _seconds("read-timeout"),
    "proxy_send_timeout": _seconds("send-timeout"),
    "proxy_buffer_size": _buffer_size,
    "proxy_buffers": _implied,
    "proxy_busy_buffers_size": _implied,
}
"""Readers of directives; each returns whether it could read the arguments."""

"""`proxy_ssl_conf_command` and `ssl_conf_command`: OpenSSL configuration commands.

nginx passes them to SSL_CONF_cmd, which the Python binding lacks. Commands with an equivalent
function are executed here, with OpenSSL's error messages; others are rejected by name.
Source: SSL_CONF_cmd(3), "supported configuration file commands".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from OpenSSL import SSL

from ..models import ConfigError
from . import openssl
from .errors import NATIVE, Dialect, error_text

Command = tuple[str, str]
"""Name and value as configured."""

_BAD_VALUE = 0x0A000180
_UNKNOWN_NAME = 0x0A000182


def apply(
    context: SSL.Context,
    commands: Iterable[Command],
    *,
    directive: str = "ssl_conf_command",
    dialect: Dialect = NATIVE,
) -> None:
    """Apply `commands` to `context` in order, after all other settings.

    Raises `ConfigError`: `SSL_CONF_cmd("NAME", "VALUE") failed (SSL: …)` if OpenSSL rejects a
    command, or a message naming `directive` if the binding cannot execute it.
    """
    for name, value in commands:
        command = _COMMANDS.get(name.lower())
        failed = f'SSL_CONF_cmd("{name}", "{value}") failed'
        openssl.drain_error_queue()
        if command is None:
            if name.lower() in _UNSUPPORTED:
                raise ConfigError(f'"{directive}" can not do "{name}" in sniproxy')
            unknown = [openssl.queued_error(_UNKNOWN_NAME)]
            raise ConfigError(error_text(failed, unknown, dialect, {_UNKNOWN_NAME: f"cmd={name}"}))
        try:
            done = command(context, value)
        except _UnsupportedError as error:
            raise ConfigError(f'"{directive} {name}" can not do "{error}" in sniproxy') from None
        if not done:
            queue = [*openssl.drain_error_queue(), openssl.queued_error(_BAD_VALUE)]
            data = {_BAD_VALUE: f"cmd={name}, value={value}"}
            raise ConfigError(error_text(failed, queue, dialect, data))


class _UnsupportedError(Exception):
    """OpenSSL supports this but the binding does not; `str()` names it."""


_VERSIONS = {
    "None": 0,
    "SSLv3": 0x0300,
    "TLSv1": 0x0301,
    "TLSv1.1": 0x0302,
    "TLSv1.2": 0x0303,
    "TLSv1.3": 0x0304,
}
_DATAGRAMS = ("DTLSv1", "DTLSv1.2")
"""Accepted by OpenSSL but irrelevant for TLS."""


def _min_protocol(context: SSL.Context, value: str) -> bool:
    # OpenSSL may be built without SSLv3; as a lower bound it then means no bound.
    version = _VERSIONS.get("None" if value == "SSLv3" else value)
    if version is None:
        return value in _DATAGRAMS
    return openssl.set_min_proto_version(context, version)


def _max_protocol(context: SSL.Context, value: str) -> bool:
    version = _VERSIONS.get(value)
    if version is None:
        return value in _DATAGRAMS
    return openssl.set_max_proto_version(context, version)


def _text(setter: Callable[[SSL.Context, bytes], bool]) -> Callable[[SSL.Context, str], bool]:
    return lambda context, value: setter(context, value.encode("latin-1"))


# Options by name: the bit (SSL_OP_*), and whether setting the option clears it. The bits are
# part of OpenSSL's ABI since 3.0; the binding exports only some of them.
_OPTIONS = {
    "sessionticket": (1 << 14, True),
    "emptyfragments": (1 << 11, True),
    "bugs": (1 << 31 | 1 << 11 | 1 << 6 | 1 << 4, False),
    "compression": (0, True),  # no supported release has compression
    "serverpreference": (1 << 22, False),
    "noresumptiononrenegotiation": (1 << 16, False),
    "dhsingle": (0, False),
    "ecdhsingle": (0, False),
    "unsafelegacyrenegotiation": (1 << 18, False),
    "unsafelegacyserverconnect": (1 << 2, False),
    "clientrenegotiation": (1 << 8, False),
    "encryptthenmac": (1 << 19, True),
    "norenegotiation": (1 << 30, False),
    "allownodhekex": (1 << 10, False),
    "prefernodhekex": (1 << 35, False),
    "prioritizechacha": (1 << 21, False),
    "middleboxcompat": (1 << 20, False),
    "antireplay": (1 << 24, True),
    "extendedmastersecret": (1 << 0, True),
    "canames": (1 << 9, True),
    "ktls": (0, False),  # concerns kernel TLS only, which peers cannot observe
    "ktlstxzerocopysendfile": (0, False),
    "txcertificatecompression": (1 << 32, True),
    "rxcertificatecompression": (1 << 33, True),
    "ignoreunexpectedeof": (1 << 7, False),
}


def _options(context: SSL.Context, value: str) -> bool:
    for word in value.split(","):
        name = word.strip(" \t\n\v\f\r")
        enable = not name.startswith("-")
        found = _OPTIONS.get(name[name.startswith(("+", "-")) :].lower())
        if found is None:
            if name.lower().endswith("strictcertcheck"):
                raise _UnsupportedError(name)
            return False
        bits, cleared = found
        if enable is not cleared:
            openssl.set_options(context, bits)
        elif openssl.options(context) & bits:
            raise _UnsupportedError(name)
    return True


_COMMANDS: dict[str, Callable[[SSL.Context, str], bool]] = {
    "minprotocol": _min_protocol,
    "maxprotocol": _max_protocol,
    "cipherstring": _text(openssl.set_cipher_list),
    "ciphersuites": _text(openssl.set_ciphersuites),
    "groups": _text(openssl.set_groups),
    "curves": _text(openssl.set_groups),
    "signaturealgorithms": _text(openssl.set_signature_algorithms),
    "options": _options,
}

_UNSUPPORTED = frozenset(
    (
        "clientsignaturealgorithms", "ecdhparameters", "protocol", "verifymode", "certificate",
        "privatekey", "serverinfofile", "chaincapath", "chaincafile", "chaincastore",
        "verifycapath", "verifycafile", "verifycastore", "requestcafile", "requestcapath",
        "requestcastore", "clientcafile", "clientcapath", "clientcastore", "dhparameters",
        "recordpadding", "numtickets",
    )
)  # fmt: skip
"""Commands of OpenSSL that are not supported here."""

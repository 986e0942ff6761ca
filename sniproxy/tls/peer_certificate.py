"""A peer's certificate in nginx's text formats (`$ssl_client_…`).

Reads the DER directly, because certificates of peers may be invalid for stricter parsers.
Source: nginx's ngx_event_openssl.c, and OpenSSL's X509_NAME_print_ex(3) with XN_FLAG_RFC2253,
X509_NAME_oneline and i2a_ASN1_INTEGER.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from . import openssl
from .der import OBJECT, UTC_TIME, DERError, Field, first, object_name

_VERSION = 0xA0
_UTF8_STRING, _BMP_STRING, _UNIVERSAL_STRING = 12, 30, 28
_ONE_BYTE_STRINGS = frozenset((18, 19, 20, 22, 23, 24, 26))
"""Numeric, printable, teletex and IA5 strings, the two time types, visible strings."""

ShortName = Callable[[str], str | None]
"""OpenSSL's short name for an object identifier: `CN` for 2.5.4.3; None if it has none."""


class PeerCertificate:
    """A certificate; texts are computed on demand. Raises `DERError` if malformed."""

    def __init__(self, der: bytes, short_name: ShortName = openssl.short_name) -> None:
        self.der = der
        self._short_name = short_name

    @cached_property
    def _fields(self) -> list[Field]:
        """Serial number, algorithm, issuer, validity, subject, …"""
        found = list(first(first(self.der).content))
        return found[1:] if found and found[0].tag == _VERSION else found

    @property
    def pem(self) -> str:
        text = base64.b64encode(self.der).decode("ascii")
        lines = "\n".join(textwrap.wrap(text, 64))
        return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"

    @property
    def subject(self) -> str:
        """In RFC 2253 format: `CN=client,O=Ours`."""
        return rfc2253(self._name(4), self._short_name)

    @property
    def issuer(self) -> str:
        return rfc2253(self._name(2), self._short_name)

    @property
    def legacy_subject(self) -> str:
        """`/O=Ours/CN=client`."""
        return oneline(self._name(4), self._short_name)

    @property
    def legacy_issuer(self) -> str:
        return oneline(self._name(2), self._short_name)

    @property
    def serial(self) -> str:
        """Upper-case hexadecimal."""
        number = int.from_bytes(self._field(0).content, signed=True)
        digits = f"{abs(number):X}"
        return f"{'-' * (number < 0)}{'0' * (len(digits) % 2)}{digits}"

    @property
    def fingerprint(self) -> str:
        """SHA-1 in hexadecimal."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest()

    @property
    def not_before(self) -> datetime:
        return self._validity[0]

    @property
    def not_after(self) -> datetime:
        return self._validity[1]

    @property
    def _validity(self) -> list[datetime]:
        times = [_time(field) for field in self._field(3)]
        if len(times) != 2:
            raise DERError("a validity that is no two times")
        return times

    def _field(self, position: int) -> Field:
        if len(self._fields) <= position:
            raise DERError("a certificate without all its fields")
        return self._fields[position]

    def _name(self, position: int) -> list[list[NameAttribute]]:
        return [[_attribute(field) for field in names] for names in self._field(position)]


@dataclass(frozen=True, slots=True)
class NameAttribute:
    """An attribute of a name: its type and encoded value."""

    kind: str
    value: Field


def _attribute(field: Field) -> NameAttribute:
    parts = list(field)
    if len(parts) != 2 or parts[0].tag != OBJECT:
        raise DERError("a name without its parts")
    return NameAttribute(object_name(parts[0].content), parts[1])


def _time(field: Field) -> datetime:
    """Decode UTCTime or GeneralizedTime."""
    text = field.content.decode("ascii", "replace")
    if field.tag == UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    try:
        moment = datetime.strptime(text[:14].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        zone = text[14:].lstrip("0123456789.")
        if zone[:1] in ("+", "-"):
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
            moment -= offset if zone[0] == "+" else -offset
    except (ValueError, OverflowError):
        raise DERError("a time that is none") from None
    return moment


# --- names ----------------------------------------------------------------------------------


def rfc2253(name: Sequence[Sequence[NameAttribute]], short_name: ShortName) -> str:
    """Format a name: last component first, `,` between components, `+` within one."""
    return ",".join(
        "+".join(_rfc2253_attribute(attribute, short_name) for attribute in reversed(part))
        for part in reversed(name)
    )


def _rfc2253_attribute(attribute: NameAttribute, short_name: ShortName) -> str:
    known = short_name(attribute.kind)
    value = attribute.value
    characters = None if known is None else _characters(value)
    text = "#" + value.encoded.hex().upper() if characters is None else _escaped(characters)
    return f"{known or attribute.kind}={text}"


def _characters(value: Field) -> bytes | None:
    """Decode a string to UTF-8; None if it is not a string type."""
    tag, content = value.tag, value.content
    if tag == _UTF8_STRING:
        return content
    if tag in _ONE_BYTE_STRINGS:
        return content.decode("latin-1").encode()
    try:
        if tag == _BMP_STRING:
            return content.decode("utf-16-be").encode()
        if tag == _UNIVERSAL_STRING:
            return content.decode("utf-32-be").encode()
    except UnicodeError:
        return None
    return None


def _escaped(text: bytes) -> str:
    return "".join(
        _escaped_byte(chr(byte), position == 0, position == len(text) - 1)
        for position, byte in enumerate(text)
    )


def _escaped_byte(character: str, first: bool, last: bool) -> str:
    # A single character is treated as the last one.
    at_edge = (character == " " and (first or last)) or (character == "#" and first and not last)
    if at_edge or character in ',+"\\<>;':
        return "\\" + character
    if not " " <= character <= "~":
        return f"\\{ord(character):02X}"
    return character


def oneline(name: Sequence[Sequence[NameAttribute]], short_name: ShortName) -> str:
    """Format a name: components in order, each preceded by `/`, `+` within one."""
    return "".join(
        "/"
        + "+".join(
            f"{short_name(attribute.kind) or attribute.kind}={_printable(attribute.value.content)}"
            for attribute in part
        )
        for part in name
    )


def _printable(text: bytes) -> str:
    return "".join(_printable_byte(chr(byte)) for byte in text)


def _printable_byte(character: str) -> str:
    if character in "/+":
        return "\\" + character
    return character if " " <= character <= "~" else f"\\x{ord(character):02X}"

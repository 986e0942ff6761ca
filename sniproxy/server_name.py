"""The upstream name: which is sent as SNI, which is verified, and whether a certificate matches.

A proxied request to an `https` upstream starts from one text: `proxy_ssl_name` if it is set,
else the host of `proxy_pass` without its port (the *group's* name when that is an
`upstream {}`). From it nginx derives one name, used twice:

    text ── without its port ──► name ──► SNI, if `proxy_ssl_server_name on` and it is a name
                                     └──► what the certificate must match, if `proxy_ssl_verify on`

The name is not changed otherwise: case, a trailing dot and underscores are sent unchanged.
Source: the directives `proxy_ssl_name`, `proxy_ssl_server_name`, `proxy_ssl_verify`; RFC 6066
section 3 (no IP literals in SNI); RFC 6125 section 6.4 as OpenSSL's X509_check_host reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

NOT_VERIFIED = "not verified"


def without_port(text: str) -> str:
    """`text` up to its port: the first `:`, or the first one behind the `]` of an IPv6 literal."""
    host_end = text.find("]") if text.startswith("[") else 0
    colon = text.find(":", max(host_end, 0))
    return text if colon < 0 or host_end < 0 else text[:colon]


def ascii_name(text: str) -> str:
    """A host name with its international labels encoded (`bücher.test`: `xn--bcher-kva.test`).

    Raises ValueError for a name that has no such form. Only for names that users type: those in
    configurations and requests are sent as they are.
    """
    if text.isascii():
        return text
    import idna  # its tables take some milliseconds to load

    return idna.encode(text, uts46=True).decode("ascii")


def is_ipv4(text: str) -> bool:
    """Four decimal numbers of at most 255 with dots between, leading zeros allowed."""
    numbers = text.split(".")
    return len(numbers) == 4 and all(
        n.isascii() and n.isdigit() and int(n[-20:]) <= 255 for n in numbers
    )


def sent_server_name(name: str, *, proxy_ssl_server_name: bool) -> str | None:
    """The SNI to send for `name`, or None if nginx sends no SNI."""
    if not proxy_ssl_server_name or not name or name.startswith("[") or is_ipv4(name):
        return None
    return name


def why_not_sent(name: str, *, proxy_ssl_server_name: bool) -> str:
    """The reason why `sent_server_name` is None, as a phrase; "" if it is not."""
    if not proxy_ssl_server_name:
        return "proxy_ssl_server_name is off"
    if sent_server_name(name, proxy_ssl_server_name=True) is not None:
        return ""
    return f"{name} is an address" if name else "the name is empty"


def verified(name: str, *, proxy_ssl_verify: bool, trusted: str | None, depth: int) -> str:
    """What is verified, as a phrase; `trusted` is the CA file."""
    if not proxy_ssl_verify:
        return NOT_VERIFIED
    return f"{name or '(empty: never matches)'} by {trusted}, depth {depth}"


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """The names in a certificate, as used by X509_check_host."""

    dns: tuple[str, ...]
    """dNSName entries of the subjectAltName."""
    common: tuple[str, ...] = ()
    """Common names of the subject, in order."""

    @property
    def all(self) -> tuple[str, ...]:
        return self.dns or self.common


def certificate_names(certificate: x509.Certificate) -> CertificateNames:
    """The names of `certificate`; a malformed subjectAltName counts as empty."""
    try:
        alternative = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        alternative = []
    try:
        subject = certificate.subject
    except ValueError:
        return CertificateNames(tuple(alternative))
    common = [
        attribute.value if isinstance(attribute.value, str) else attribute.value.decode("latin-1")
        for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    ]
    return CertificateNames(tuple(alternative), tuple(common))


def check_host(names: CertificateNames, name: str) -> bool:
    """Whether a certificate with `names` is one for `name` (X509_check_host without flags).

    Common names are used only if there are no dNSName entries. IP entries are never used, but
    an address written as a DNS or common name matches. The empty name matches nothing;
    `.w.test` matches certificates for any name below `w.test`.
    """
    return bool(name) and any(pattern_matches(pattern, name) for pattern in names.all)


def pattern_matches(pattern: str, name: str) -> bool:
    """Whether one name of a certificate, perhaps with a wildcard, covers `name`."""
    if "\0" in pattern or "\0" in name:
        return False
    pattern, name = _ascii_lower(pattern), _ascii_lower(name)
    if len(name) > 1 and name.startswith("."):
        return pattern.endswith(name)
    wildcard = _WILDCARD.fullmatch(pattern)
    if wildcard is None:
        return pattern == name
    prefix, suffix = wildcard["prefix"] or "", wildcard["suffix"]
    whole_label = not prefix and suffix.startswith(".")
    if len(name) < len(prefix) + len(suffix) + whole_label:
        return False
    if not (name.startswith(prefix) and name.endswith(suffix)):
        return False
    covered = name[len(prefix) : len(name) - len(suffix)]
    if covered == "*":
        return True
    if not whole_label and name.startswith("xn--"):
        return False
    return _ONE_LABEL.fullmatch(covered) is not None


def _ascii_lower(text: str) -> str:
    # str.lower would fold letters beyond ASCII too, which OpenSSL leaves alone.
    return text.translate(_LOWER)


_LOWER = {ord(upper): ord(upper) + 32 for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

# What OpenSSL takes for a wildcard: one star, at the start or the end of the first label (at
# the end only of one that is not an IDNA label), and at least two more labels. A star
# anywhere else is a plain character.
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_WILDCARD = re.compile(
    rf"(?:(?P<prefix>(?!xn--){_LABEL})\*(?=\.)|\*)"
    rf"(?P<suffix>(?:[a-z0-9-]*[a-z0-9])?(?:\.{_LABEL}){{2,}})"
)
_ONE_LABEL = re.compile(r"[a-z0-9-]*")

"""The variables of nginx's http ssl module, read from the client's connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

from ..facts import ClientCertificate, ClientTLS, Facts
from .variable import Variable

DAY = 86400


def _server_name(facts: Facts) -> str | None:
    """The one that is there before the handshake is over: certificates are named by it."""
    tls = facts.connection.tls
    return (tls.server_name or None) if tls is not None else None


def _of(value: Callable[[ClientTLS], str]) -> Callable[[Facts], str | None]:
    def read(facts: Facts) -> str | None:
        tls = facts.connection.tls
        return (value(tls) or None) if tls is not None and tls.established else None

    return read


def _client(value: Callable[[ClientCertificate], str]) -> Callable[[Facts], str | None]:
    def read(tls: ClientTLS) -> str:
        certificate = tls.client_certificate
        return "" if certificate is None else value(certificate)

    return _of(read)


def _tabbed(pem: str) -> str:
    """Fit for a header: continued lines begin with a tab."""
    return pem.removesuffix("\n").replace("\n", "\n\t")


def _time(moment: datetime) -> str:
    """`Feb  3 00:55:52 2015 GMT`."""
    return f"{time.asctime(moment.timetuple())[4:]} GMT"  # asctime ignores the locale


def _days_left(certificate: ClientCertificate) -> str:
    left = int(certificate.not_after.astimezone(UTC).timestamp()) - int(time.time())
    return str(max(left // DAY, 0))


def _verify(tls: ClientTLS) -> str:
    if tls.client_certificate is None:
        return "NONE"
    return f"FAILED:{tls.verify_error()}" if tls.verify_result else "SUCCESS"


def _nothing(facts: Facts) -> None:
    """What nginx has with a newer OpenSSL, or with early data, alone."""


VARIABLES = (
    Variable("ssl_protocol", _of(lambda t: t.protocol), "the protocol, `TLSv1.3`"),
    Variable("ssl_cipher", _of(lambda t: t.cipher), "the cipher chosen"),
    Variable("ssl_ciphers", _of(lambda t: t.offered_ciphers), "the ciphers that the client offers"),
    Variable("ssl_curve", _of(lambda t: t.group), "the group of the key exchange"),
    Variable("ssl_curves", _of(lambda t: t.offered_groups), "the groups that the client offers"),
    Variable("ssl_sigalg", _nothing, "the signature algorithm chosen: never told"),
    Variable(
        "ssl_sigalgs",
        _of(lambda t: t.offered_signature_algorithms),
        "the signature algorithms that the client offers, in numbers",
    ),
    Variable("ssl_session_id", _of(lambda t: t.session_id.hex()), "the session's id"),
    Variable("ssl_session_reused", _of(lambda t: "r" if t.resumed else "."), "`r` or `.`"),
    Variable("ssl_early_data", _nothing, "`1` in early data, which is never taken"),
    Variable("ssl_server_name", _server_name, "the SNI received"),
    Variable("ssl_alpn_protocol", _of(lambda t: t.alpn), "the protocol chosen by ALPN"),
    Variable("ssl_ech_status", _nothing, "of encrypted hellos, which are not read"),
    Variable("ssl_ech_outer_server_name", _nothing, "of encrypted hellos, which are not read"),
    Variable("ssl_client_cert", _client(lambda c: _tabbed(c.pem)), "the certificate, for a header"),
    Variable("ssl_client_raw_cert", _client(lambda c: c.pem), "the client's certificate in PEM"),
    Variable(
        "ssl_client_escaped_cert",
        _client(lambda c: quote(c.pem, safe="")),
        "the client's certificate in PEM, percent-encoded",
    ),
    Variable("ssl_client_s_dn", _client(lambda c: c.subject), "its subject, as RFC 2253 has it"),
    Variable("ssl_client_i_dn", _client(lambda c: c.issuer), "its issuer, as RFC 2253 has it"),
    Variable("ssl_client_s_dn_legacy", _client(lambda c: c.legacy_subject), "`/O=…/CN=…`"),
    Variable("ssl_client_i_dn_legacy", _client(lambda c: c.legacy_issuer), "`/O=…/CN=…`"),
    Variable("ssl_client_serial", _client(lambda c: c.serial), "its serial number"),
    Variable("ssl_client_fingerprint", _client(lambda c: c.fingerprint), "its SHA-1"),
    Variable("ssl_client_verify", _of(_verify), "`SUCCESS`, `FAILED:…`, or `NONE` without one"),
    Variable(
        "ssl_client_v_start", _client(lambda c: _time(c.not_before)), "when it begins to hold"
    ),
    Variable("ssl_client_v_end", _client(lambda c: _time(c.not_after)), "when it ceases to hold"),
    Variable("ssl_client_v_remain", _client(_days_left), "days until then"),
    Variable("ssl_client_sigalg", _nothing, "how the client signed: never told"),
)

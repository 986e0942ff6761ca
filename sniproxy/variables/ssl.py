"""Variables of nginx's http ssl module, read from the client connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

from ..context import ClientCertificate, ClientTLSInfo, RequestContext
from .variable import Variable

DAY = 86400


def _server_name(ctx: RequestContext) -> str | None:
    """Available during the handshake already, because certificate names may contain it."""
    tls = ctx.connection.tls
    return (tls.server_name or None) if tls is not None else None


def _of(value: Callable[[ClientTLSInfo], str]) -> Callable[[RequestContext], str | None]:
    def read(ctx: RequestContext) -> str | None:
        tls = ctx.connection.tls
        return (value(tls) or None) if tls is not None and tls.established else None

    return read


def _client(value: Callable[[ClientCertificate], str]) -> Callable[[RequestContext], str | None]:
    def read(tls: ClientTLSInfo) -> str:
        certificate = tls.client_certificate
        return "" if certificate is None else value(certificate)

    return _of(read)


def _tabbed(pem: str) -> str:
    """PEM for use in a header field: continuation lines start with a tab."""
    return pem.removesuffix("\n").replace("\n", "\n\t")


def _time(moment: Callable[[ClientCertificate], datetime]) -> Callable[[ClientCertificate], str]:
    """`Feb  3 00:55:52 2015 GMT`. OpenSSL accepts certificates whose times are none."""

    def read(certificate: ClientCertificate) -> str:
        try:
            found = moment(certificate)
        except ValueError:
            return "Bad time value"
        return f"{time.asctime(found.timetuple())[4:]} GMT"  # asctime ignores the locale

    return read


def _days_left(certificate: ClientCertificate) -> str:
    try:
        ends = int(certificate.not_after.astimezone(UTC).timestamp())
    except ValueError:
        return ""
    return str(max((ends - int(time.time())) // DAY, 0))


def _verify(tls: ClientTLSInfo) -> str:
    if tls.client_certificate is None:
        return "NONE"
    if tls.verify_result:
        return f"FAILED:{tls.verify_error()}"
    return "SUCCESS" if tls.ocsp_error is None else f"FAILED:{tls.ocsp_error}"


def _nothing(ctx: RequestContext) -> None:
    """Not supported: requires a newer OpenSSL or early data."""


VARIABLES = (
    Variable("ssl_protocol", _of(lambda t: t.protocol), "TLS version, for example `TLSv1.3`"),
    Variable("ssl_cipher", _of(lambda t: t.cipher), "negotiated cipher"),
    Variable("ssl_ciphers", _of(lambda t: t.offered_ciphers), "ciphers offered by the client"),
    Variable("ssl_curve", _of(lambda t: t.group), "negotiated key exchange group"),
    Variable("ssl_curves", _of(lambda t: t.offered_groups), "groups offered by the client"),
    Variable("ssl_sigalg", _nothing, "signature algorithm; always empty"),
    Variable(
        "ssl_sigalgs",
        _of(lambda t: t.offered_signature_algorithms),
        "signature algorithms offered by the client, as numbers",
    ),
    Variable("ssl_session_id", _of(lambda t: t.session_id.hex()), "session ID"),
    Variable(
        "ssl_session_reused",
        _of(lambda t: "r" if t.resumed else "."),
        "`r` if the session was resumed, else `.`",
    ),
    Variable("ssl_early_data", _nothing, "`1` in early data, which is never accepted"),
    Variable("ssl_server_name", _server_name, "server name requested by the client (SNI)"),
    Variable("ssl_alpn_protocol", _of(lambda t: t.alpn), "protocol negotiated by ALPN"),
    Variable("ssl_ech_status", _nothing, "Encrypted Client Hello; always empty"),
    Variable("ssl_ech_outer_server_name", _nothing, "Encrypted Client Hello; always empty"),
    Variable(
        "ssl_client_cert",
        _client(lambda c: _tabbed(c.pem)),
        "client certificate in PEM, with tabs for use in a header field",
    ),
    Variable("ssl_client_raw_cert", _client(lambda c: c.pem), "client certificate in PEM"),
    Variable(
        "ssl_client_escaped_cert",
        _client(lambda c: quote(c.pem, safe="")),
        "client certificate in PEM, percent-encoded",
    ),
    Variable(
        "ssl_client_s_dn",
        _client(lambda c: c.subject),
        "subject of the client certificate (RFC 2253)",
    ),
    Variable(
        "ssl_client_i_dn",
        _client(lambda c: c.issuer),
        "issuer of the client certificate (RFC 2253)",
    ),
    Variable(
        "ssl_client_s_dn_legacy",
        _client(lambda c: c.legacy_subject),
        "subject of the client certificate, as `/O=…/CN=…`",
    ),
    Variable(
        "ssl_client_i_dn_legacy",
        _client(lambda c: c.legacy_issuer),
        "issuer of the client certificate, as `/O=…/CN=…`",
    ),
    Variable(
        "ssl_client_serial", _client(lambda c: c.serial), "serial number of the client certificate"
    ),
    Variable(
        "ssl_client_fingerprint",
        _client(lambda c: c.fingerprint),
        "SHA-1 fingerprint of the client certificate",
    ),
    Variable("ssl_client_verify", _of(_verify), "`SUCCESS`, `FAILED:…`, or `NONE` without one"),
    Variable(
        "ssl_client_v_start",
        _client(_time(lambda c: c.not_before)),
        "start of the client certificate's validity",
    ),
    Variable(
        "ssl_client_v_end",
        _client(_time(lambda c: c.not_after)),
        "end of the client certificate's validity",
    ),
    Variable(
        "ssl_client_v_remain", _client(_days_left), "days until the client certificate expires"
    ),
    Variable("ssl_client_sigalg", _nothing, "signature algorithm of the client; always empty"),
)

"""Upstreams that fail, each in its own way: status, line and level."""

from __future__ import annotations

from dataclasses import replace

from sniproxy.testing.upstreams import TLS, UpstreamSpec, catalog
from sniproxy.testing.upstreams.catalog import handshake_failed, sends_alert
from tests.conformance.scenario import Scenario, Table, get, request

SNI = "proxy_ssl_server_name on; proxy_ssl_name upstream.test;"
WRONG_SNI = "proxy_ssl_server_name on; proxy_ssl_name wrong.test;"
NO_PATIENCE = "proxy_connect_timeout 150ms;"
NO_READ_PATIENCE = "proxy_read_timeout 150ms;"
CLIENT = "proxy_ssl_certificate client.pem; proxy_ssl_certificate_key client.key;"
STRANGER = (
    "proxy_ssl_certificate client-stranger.pem; proxy_ssl_certificate_key client-stranger.key;"
)


def failing(upstream: UpstreamSpec, rule: str, directives: str = "", status: int = 502) -> Scenario:
    return Scenario(
        upstream.name, rule, directives, (upstream,), status=status, logs=(upstream.expected_log,)
    )


def picky(upstream: UpstreamSpec, rule: str, directives: str = "", status: int = 502) -> Scenario:
    """One that wants upstream.test, and gets another name."""
    row = failing(upstream, rule, f"{WRONG_SNI} {directives}", status)
    return replace(row, sni="wrong.test")


ALERTS = (
    (10, "0A0003F2", "ssl/tls alert unexpected message"),
    (20, "0A0003FC", "ssl/tls alert bad record mac"),
    (22, "0A0003FE", "tlsv1 alert record overflow"),
    (30, "0A000406", "ssl/tls alert decompression failure"),
    (40, "0A000410", "ssl/tls alert handshake failure"),
    (42, "0A000412", "ssl/tls alert bad certificate"),
    (43, "0A000413", "ssl/tls alert unsupported certificate"),
    (44, "0A000414", "ssl/tls alert certificate revoked"),
    (45, "0A000415", "ssl/tls alert certificate expired"),
    (46, "0A000416", "ssl/tls alert certificate unknown"),
    (47, "0A000417", "ssl/tls alert illegal parameter"),
    (48, "0A000418", "tlsv1 alert unknown ca"),
    (49, "0A000419", "tlsv1 alert access denied"),
    (50, "0A00041A", "tlsv1 alert decode error"),
    (51, "0A00041B", "tlsv1 alert decrypt error"),
    (70, "0A00042E", "tlsv1 alert protocol version"),
    (71, "0A00042F", "tlsv1 alert insufficient security"),
    (80, "0A000438", "tlsv1 alert internal error"),
    (86, "0A00043E", "tlsv1 alert inappropriate fallback"),
    (90, "0A000442", "tlsv1 alert user cancelled"),
    (109, "0A000455", "tlsv13 alert missing extension"),
    (110, "0A000456", "tlsv1 unsupported extension"),
    (112, "0A000458", "tlsv1 unrecognized name"),
    (113, "0A000459", "tlsv1 bad certificate status response"),
    (115, "0A00045B", "tlsv1 alert unknown psk identity"),
    (116, "0A00045C", "tlsv13 alert certificate required"),
    (120, "0A000460", "tlsv1 alert no application protocol"),
)


def alerted(number: int, code: str, reason: str) -> Scenario:
    logged = handshake_failed(code, f"{reason}:SSL alert number {number}")
    return failing(
        sends_alert(number, logged), f"alert {number} is told with code, words and number"
    )


PICKY = (
    Scenario(
        "sni-right",
        "with the right SNI an upstream that needs it answers",
        SNI,
        (catalog.NEEDS_SNI,),
        sni="upstream.test",
    ),
    Scenario(
        "sni-forgotten",
        "proxy_ssl_name alone sends no SNI: the classic 502",
        "proxy_ssl_name upstream.test;",
        (catalog.NEEDS_SNI,),
        status=502,
        logs=(catalog.UNRECOGNIZED_NAME,),
    ),
    picky(catalog.NEEDS_SNI, "alert 112 means that the name is unknown"),
    picky(catalog.NEEDS_SNI_40, "some refuse a name with handshake_failure"),
    picky(catalog.NEEDS_SNI_80, "some refuse a name with internal_error"),
    picky(catalog.NEEDS_SNI_CLOSES, "some refuse a name by closing"),
    picky(catalog.NEEDS_SNI_RESETS, "some refuse a name with a reset"),
    picky(catalog.NEEDS_SNI_SILENT, "some never answer to a wrong name", NO_PATIENCE, 504),
)

BEFORE = (
    failing(catalog.ABSENT, "nobody listens: 502"),
    failing(catalog.FULL, "a connect that leads nowhere ends in 504", NO_PATIENCE, 504),
    failing(catalog.PLAIN_HTTP, "plain HTTP in answer to a hello is a wrong version number"),
    failing(catalog.NOT_TLS, "garbage in answer to a hello is a wrong version number"),
    failing(catalog.CLOSES, "FIN after the hello is a connection closed in the handshake"),
    failing(catalog.RESETS, "a reset in the handshake is told with its errno"),
    failing(
        catalog.SILENT,
        "the handshake has proxy_connect_timeout for itself, then 504",
        NO_PATIENCE,
        504,
    ),
    Scenario(
        "protocol-too-old",
        "an upstream of TLS 1.2 refuses a hello of 1.3 with alert 70",
        "proxy_ssl_protocols TLSv1.3;",
        (catalog.GOOD_12,),
        status=502,
        logs=(handshake_failed("0A00042E", "tlsv1 alert protocol version:SSL alert number 70"),),
    ),
    Scenario(
        "protocol-too-new",
        "an upstream of TLS 1.3 refuses a hello of 1.2 with alert 70",
        "proxy_ssl_protocols TLSv1.2;",
        (catalog.GOOD_13,),
        status=502,
        logs=(handshake_failed("0A00042E", "tlsv1 alert protocol version:SSL alert number 70"),),
    ),
    Scenario(
        "no-common-cipher",
        "without a cipher in common the upstream sends alert 40",
        "proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;",
        (
            UpstreamSpec(
                "other-cipher",
                "knows one cipher",
                tls=TLS(max_version=catalog.TLS12, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"),
            ),
        ),
        status=502,
        logs=(catalog.HANDSHAKE_FAILURE,),
    ),
    Scenario("protocols-12", "only TLS 1.2 is offered", "proxy_ssl_protocols TLSv1.2;"),
    Scenario("protocols-13", "only TLS 1.3 is offered", "proxy_ssl_protocols TLSv1.3;"),
)

CLIENT_CERTIFICATES = (
    failing(catalog.WANTS_CLIENT_12, "in TLS 1.2 a missing client certificate ends the handshake"),
    failing(
        catalog.WANTS_CLIENT_13,
        "in TLS 1.3 a missing client certificate shows at the first read",
    ),
    Scenario(
        "client-certificate-1.2",
        "a client certificate is sent when asked for, in TLS 1.2",
        CLIENT,
        (catalog.WANTS_CLIENT_12,),
    ),
    Scenario(
        "client-certificate-1.3",
        "a client certificate is sent when asked for, in TLS 1.3",
        CLIENT,
        (catalog.WANTS_CLIENT_13,),
    ),
    Scenario(
        "client-certificate-unasked",
        "a client certificate that nobody asks for is not sent",
        CLIENT,
    ),
    Scenario(
        "client-stranger-1.2",
        "in TLS 1.2 an untrusted client certificate ends the handshake",
        STRANGER,
        (catalog.WANTS_CLIENT_12,),
        status=502,
        logs=(handshake_failed("0A000418", "tlsv1 alert unknown ca:SSL alert number 48"),),
    ),
    Scenario(
        "client-stranger-1.3",
        "in TLS 1.3 an untrusted client certificate shows at the first read",
        STRANGER,
        (catalog.WANTS_CLIENT_13,),
        status=502,
        logs=(
            "SSL_read() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:"
            f"SSL alert number 48){catalog.READING_HEAD}",
        ),
    ),
)

AFTER = (
    failing(catalog.CLOSES_ON_REQUEST, "an upstream that closes instead of answering: 502"),
    failing(
        catalog.CLOSES_ON_REQUEST_NO_CLOSE_NOTIFY,
        "it makes no difference whether close_notify came",
    ),
    failing(catalog.RESETS_REQUEST, "a reset instead of an answer"),
    failing(catalog.NO_RESPONSE, "no answer within proxy_read_timeout: 504", NO_READ_PATIENCE, 504),
    failing(catalog.CUT_HEAD, "closed inside the head: 502"),
    failing(catalog.CUT_BODY, "closed inside the body: the status has been sent", "", 200),
    failing(catalog.CUT_BODY_NO_CLOSE_NOTIFY, "the same without close_notify", "", 200),
    failing(
        catalog.STALLED_BODY, "a body that stops: the status has been sent", NO_READ_PATIENCE, 200
    ),
    failing(catalog.NOT_HTTP, "what is not HTTP is passed on as HTTP/0.9", "", 0),
    failing(catalog.BAD_HEADER, "a malformed header line: 502"),
    failing(catalog.DOUBLE_LENGTH, "two lengths: 502"),
)

PLAIN = (
    Scenario(
        "http-no-answer",
        "over plain HTTP too: closed instead of answering",
        upstreams=(replace(catalog.CLOSES_ON_REQUEST, tls=None),),
        proxy_pass="http://PEER",
        status=502,
        logs=(catalog.CLOSES_ON_REQUEST.expected_log,),
    ),
    Scenario(
        "http-hangs-up",
        "over plain HTTP: closed before the request was read",
        upstreams=(replace(catalog.HANGS_UP, tls=None),),
        proxy_pass="http://PEER",
        status=502,
        logs=(catalog.CLOSES_ON_REQUEST.expected_log,),
    ),
    Scenario(
        "http-resets-request",
        "over plain HTTP: a reset instead of an answer",
        upstreams=(replace(catalog.RESETS_REQUEST, tls=None),),
        proxy_pass="http://PEER",
        status=502,
        logs=(f"recv() failed (104: Connection reset by peer){catalog.READING_HEAD}",),
    ),
    Scenario(
        "http-cut-body",
        "over plain HTTP: closed inside the body",
        upstreams=(replace(catalog.CUT_BODY, tls=None),),
        proxy_pass="http://PEER",
        logs=(catalog.CUT_BODY.expected_log,),
    ),
    Scenario(
        "http-absent",
        "over plain HTTP: nobody listens",
        upstreams=(catalog.ABSENT,),
        proxy_pass="http://PEER",
        status=502,
        logs=(catalog.ABSENT.expected_log,),
    ),
    Scenario(
        "http-to-tls",
        "http:// to an upstream that speaks TLS, which closes",
        upstreams=(catalog.GOOD,),
        proxy_pass="http://PEER",
        status=502,
        logs=(catalog.CLOSES_ON_REQUEST.expected_log,),
    ),
)

OTHERS = (
    Scenario(
        "post-fails",
        "a POST is logged as a GET is",
        upstreams=(catalog.CLOSES,),
        requests=(request("POST", body="a=1"),),
        status=502,
        logs=(catalog.CLOSES.expected_log,),
    ),
    Scenario(
        "referrer",
        "the log tells the Referer, quotes and all",
        upstreams=(catalog.ABSENT,),
        requests=(get('Referer: http://a.test/"x"', 'User-Agent: t"est\\'),),
        status=502,
        logs=(catalog.ABSENT.expected_log,),
    ),
    Scenario(
        "no-host",
        "without Host the log has no host",
        upstreams=(catalog.ABSENT,),
        requests=("GET PATH HTTP/1.0\r\n\r\n",),
        status=502,
        logs=(catalog.ABSENT.expected_log,),
    ),
    Scenario(
        "uri-in-log",
        "the log tells the URI that was sent to the upstream",
        upstreams=(catalog.ABSENT,),
        proxy_pass="https://PEER/base/",
        requests=(get(path="PATH/a%20b?c=d"),),
        status=502,
        logs=(catalog.ABSENT.expected_log,),
    ),
    Scenario(
        "single-peer-never-disabled",
        "max_fails does not apply to a single peer",
        upstreams=(catalog.ABSENT,),
        repeat=3,
        status=502,
        logs=(catalog.ABSENT.expected_log,) * 3,
    ),
)

TABLE = Table(
    "failures",
    (
        *PICKY,
        *BEFORE,
        *(alerted(*row) for row in ALERTS),
        *CLIENT_CERTIFICATES,
        *AFTER,
        *PLAIN,
        *OTHERS,
    ),
)

"""Upstreams that depend on the SNI, and some that check the Host header too."""

from __future__ import annotations

from dataclasses import replace

from sniproxy.testing.upstreams.catalog.log_messages import (
    ACCESS_DENIED,
    CLOSED_IN_HANDSHAKE,
    HANDSHAKE_FAILURE,
    HANDSHAKE_TIMED_OUT,
    HANDSHAKING,
    INTERNAL_ERROR,
    SEND_SNI,
    SHORT_TIMEOUTS,
    UNRECOGNIZED_NAME,
    VERIFY,
    WRONG_VERSION,
    name_mismatch,
)
from sniproxy.testing.upstreams.certificates import GOOD_NAME
from sniproxy.testing.upstreams.spec import (
    TLS,
    Action,
    AfterSend,
    HandshakeFault,
    ReceivedRequest,
    Reply,
    UpstreamSpec,
    alert,
    echo,
    response,
)


def needs_sni(name: str, reaction: str, action: Action, expected_log: str) -> UpstreamSpec:
    """An upstream that requires the SNI GOOD_NAME, and performs `action` without it."""
    return UpstreamSpec(
        f"needs-sni-{name}",
        f"requires the SNI {GOOD_NAME}; without it, it {reaction}",
        expected_log,
        handshake_fault=HandshakeFault(action, allow_sni=(GOOD_NAME,)),
    )


NEEDS_SNI = needs_sni(
    "112", "sends the alert unrecognized_name", Action(alert(112)), UNRECOGNIZED_NAME
)
NEEDS_SNI_40 = needs_sni(
    "40", "sends the alert handshake_failure", Action(alert(40)), HANDSHAKE_FAILURE
)
NEEDS_SNI_49 = needs_sni("49", "sends the alert access_denied", Action(alert(49)), ACCESS_DENIED)
NEEDS_SNI_80 = needs_sni("80", "sends the alert internal_error", Action(alert(80)), INTERNAL_ERROR)
NEEDS_SNI_CLOSES = needs_sni("closes", "closes the connection", Action(), CLOSED_IN_HANDSHAKE)
NEEDS_SNI_RESETS = needs_sni(
    "resets",
    "resets the connection",
    Action(then=AfterSend.RESET),
    f"peer closed connection in SSL handshake (104: Connection reset by peer){HANDSHAKING}",
)
NEEDS_SNI_SILENT = replace(
    needs_sni("silent", "sends nothing", Action(then=AfterSend.SILENCE), HANDSHAKE_TIMED_OUT),
    directives=SHORT_TIMEOUTS,
    expected_status=504,
)
NEEDS_SNI_BAD_RECORD = needs_sni(
    "bad-record",
    "sends an alert in a record of an unknown TLS version",
    Action(alert(40, version=0x0200)),
    WRONG_VERSION,
)
NEEDS_SNI_CERTIFICATE = UpstreamSpec(
    "needs-sni-certificate",
    f"requires the SNI {GOOD_NAME}; without it, it presents the certificate of another host",
    name_mismatch(GOOD_NAME),
    VERIFY,
    tls=TLS(default_certificate="wrong-host"),
)

# Upstreams that check the Host header too.


def wants_host(status: str) -> UpstreamSpec:
    """An upstream that answers requests with `status` unless their Host is GOOD_NAME."""

    def reply(request: ReceivedRequest) -> bytes | Reply:
        if request.host == GOOD_NAME:
            return echo(request)
        return response(f"not {request.host}\n", status=status)

    return UpstreamSpec(
        f"wants-host-{status[:3]}",
        f"requires the Host {GOOD_NAME} too; it answers other requests with {status}",
        directives=SEND_SNI,
        expected_status=int(status[:3]),
        response=Action(reply, AfterSend.WAIT),
    )


WANTS_HOST_421 = wants_host("421 Misdirected Request")
WANTS_HOST_403 = wants_host("403 Forbidden")

"""Those that look at the SNI."""

from __future__ import annotations

from dataclasses import replace

from sniproxy.testing.zoo.animals.words import (
    ACCESS_DENIED,
    CLOSED_IN_HANDSHAKE,
    HANDSHAKE_FAILURE,
    HANDSHAKE_TIMED_OUT,
    HANDSHAKING,
    IMPATIENT,
    INTERNAL_ERROR,
    SENT,
    UNRECOGNIZED,
    VERIFY,
    WRONG_VERSION,
    name_missing,
)
from sniproxy.testing.zoo.behaviour import (
    TLS,
    Ending,
    Move,
    Question,
    Refusal,
    Upstream,
    alert,
    answer,
    echo,
)
from sniproxy.testing.zoo.wardrobe import GOOD_NAME


def needs_sni(name: str, does: str, move: Move, logged: str) -> Upstream:
    return Upstream(
        f"needs-sni-{name}",
        f"wants the SNI {GOOD_NAME}; to any other hello it {does}",
        logged,
        refuses=Refusal(move, unless=(GOOD_NAME,)),
    )


NEEDS_SNI = needs_sni("112", "answers unrecognized_name", Move(alert(112)), UNRECOGNIZED)
NEEDS_SNI_40 = needs_sni("40", "answers handshake_failure", Move(alert(40)), HANDSHAKE_FAILURE)
NEEDS_SNI_49 = needs_sni("49", "answers access_denied", Move(alert(49)), ACCESS_DENIED)
NEEDS_SNI_80 = needs_sni("80", "answers internal_error", Move(alert(80)), INTERNAL_ERROR)
NEEDS_SNI_CLOSES = needs_sni("closes", "answers by closing", Move(), CLOSED_IN_HANDSHAKE)
NEEDS_SNI_RESETS = needs_sni(
    "resets",
    "answers with a reset",
    Move(then=Ending.RESET),
    f"peer closed connection in SSL handshake (104: Connection reset by peer){HANDSHAKING}",
)
NEEDS_SNI_SILENT = replace(
    needs_sni("silent", "says nothing", Move(then=Ending.SILENCE), HANDSHAKE_TIMED_OUT),
    when=IMPATIENT,
    gives=504,
)
NEEDS_SNI_BARE = needs_sni(
    "bare",
    "answers with an alert record of no version of TLS",
    Move(alert(40, version=0x0200)),
    WRONG_VERSION,
)
NEEDS_SNI_CERTIFICATE = Upstream(
    "needs-sni-certificate",
    f"wants the SNI {GOOD_NAME}; to any other hello it shows the certificate of another host",
    name_missing(GOOD_NAME),
    VERIFY,
    tls=TLS(otherwise="wrong-host"),
)

# Those that look at the Host as well.


def wants_host(status: str) -> Upstream:
    def reply(question: Question) -> bytes:
        if question.host == GOOD_NAME:
            return echo(question)
        return answer(f"not {question.host}\n", status=status)

    return Upstream(
        f"wants-host-{status[:3]}",
        f"wants the Host {GOOD_NAME} as well; to any other request it answers {status}",
        when=SENT,
        gives=int(status[:3]),
        answers=Move(reply, Ending.WAIT),
    )


WANTS_HOST_421 = wants_host("421 Misdirected Request")
WANTS_HOST_403 = wants_host("403 Forbidden")

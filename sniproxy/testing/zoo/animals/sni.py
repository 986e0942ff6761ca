"""Those that look at the SNI."""

from __future__ import annotations

from sniproxy.testing.zoo.animals.words import (
    CLOSED_IN_HANDSHAKE,
    HANDSHAKE_FAILURE,
    HANDSHAKE_TIMED_OUT,
    HANDSHAKING,
    INTERNAL_ERROR,
    UNRECOGNIZED,
)
from sniproxy.testing.zoo.behaviour import Ending, Move, Refusal, Upstream, alert
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
NEEDS_SNI_80 = needs_sni("80", "answers internal_error", Move(alert(80)), INTERNAL_ERROR)
NEEDS_SNI_CLOSES = needs_sni("closes", "answers by closing", Move(), CLOSED_IN_HANDSHAKE)
NEEDS_SNI_RESETS = needs_sni(
    "resets",
    "answers with a reset",
    Move(then=Ending.RESET),
    f"peer closed connection in SSL handshake (104: Connection reset by peer){HANDSHAKING}",
)
NEEDS_SNI_SILENT = needs_sni(
    "silent", "says nothing", Move(then=Ending.SILENCE), HANDSHAKE_TIMED_OUT
)

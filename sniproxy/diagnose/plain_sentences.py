"""The first sentence of a conclusion: what happens, without a term of art (pure)."""

from __future__ import annotations

from ..explain import catalog
from .model import Attempt, Result

WORKS = "The server answers nginx as it is; nothing has to be changed."
WORKS_SLOWLY = "The server answers nginx as it is, slowly."
WORKS_WITH_ANSWER = "The server answers nginx, though not with a page."
WORKS_AS_OTHER = "The server answers nginx, and goes by another name than the one given."
SOMETIMES = "The server behind nginx answers some of the time, and fails the rest of the time."
ANONYMOUS = (
    "The server behind nginx does not prove who it is: any other machine could answer in its place."
)
UNCHECKED = "nginx reaches the server behind it, and does not check whether it is the real one."

NAME_MAY_BE_MISSING = (
    "nginx could not open an encrypted connection to the server behind it, perhaps because it did "
    "not say which site of that server it wanted."
)

_BY_CAUSE_AND_RESULT = {
    ("sni-missing", Result.RESPONSE): (
        "The server behind nginx answered as another site than the one meant, because nginx did "
        "not say which it wanted."
    ),
    ("timeout", Result.NO_SERVER_HELLO): (
        "The server behind nginx takes connections and does not answer."
    ),
    ("timeout", Result.NO_RESPONSE): (
        "The server behind nginx takes requests and does not answer in time."
    ),
    ("timeout", Result.BODY_STALLED): (
        "The server behind nginx begins an answer and does not finish it."
    ),
    ("upstream-closed", Result.BODY_CUT): (
        "The server behind nginx begins an answer and breaks off in its middle."
    ),
    ("plain-http-upstream", Result.NOT_TLS): (
        "The server behind nginx does not offer encrypted connections on this port."
    ),
    ("not-http1-upstream", Result.HTTP2): (
        "The server behind nginx speaks only a newer version of HTTP than nginx uses here."
    ),
    ("not-http1-upstream", Result.HTTP1): (
        "The server behind nginx speaks only an older version of HTTP than nginx uses here."
    ),
}
"""Where the sentence of the cause says less than what was seen."""


def sentence_for(cause: str, attempt: Attempt, *, works: bool) -> tuple[str, str]:
    """The sentence for a cause of the catalog, and one of background; "" for none.

    `attempt` is the one that shows best what happens; `works` is whether a fix was found.
    """
    if cause == "verify-not-configured":  # in the catalog nginx does not start
        return UNCHECKED, ""
    found = catalog().causes[cause]
    plain = _BY_CAUSE_AND_RESULT.get((cause, attempt.result), found.plain)
    if cause == "sni-missing" and not works:
        plain = NAME_MAY_BE_MISSING
    return plain, found.background

"""Who gets the page that explains itself, and in which form (`error_detail`, ours).

A client on this machine or on a private network gets nginx's page of a failed upstream with the
lines of the error log, their causes and cures behind it; to any other the page is nginx's own.
"""

from __future__ import annotations

import re

from ..config.cidr import Network, parse_ip, parse_network
from ..facts import Facts
from ..http import pages
from ..logs.error import ConnectionLog
from ..message import Level, Response
from . import explained

STATUSES = frozenset((502, 504))
"""500 is our own side's failure: its lines name keys and their files."""

NOT_LOCAL = (
    '"error_detail" tells nothing to a client that is neither on a loopback nor on a private'
    " address"
)


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(found[0] for text in texts if (found := parse_network(text)) is not None)


LOCAL = _networks(
    "127.0.0.0/8",
    "::1",
    "10.0.0.0/8",  # RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",  # RFC 3927, link-local
    "fc00::/7",  # RFC 4193
    "fe80::/10",  # RFC 4291, link-local
)


def is_local(address: str) -> bool:
    """Whether a client's address is of this machine or of a private network.

    `address` is `Connection.client_address`: without port, `unix:` for a UNIX socket.
    """
    if address == "unix:":
        return True
    ip = parse_ip(address)
    return ip is not None and any(ip in network for network in LOCAL)


_HTML, _JSON, _TEXT = "text/html", "application/json", "text/plain"
_FORMS = {_HTML: _HTML, _JSON: _JSON, _TEXT: _TEXT, "text/*": _TEXT, "*/*": _TEXT}
_QUALITY = re.compile(r"q\s*=\s*(0(?:\.\d*)?|1(?:\.0*)?)", re.IGNORECASE)


def wanted(accept: str) -> str:
    """The media type of ours that an Accept field (RFC 9110, section 12.5.1) likes best.

    Text for people who say nothing or anything (`*/*`, as curl does). Of two that are liked
    alike the one that is named has it, and then the first.
    """
    best, most = _TEXT, (0.0, False)
    for media_range in accept.split(","):
        name, *parameters = (part.strip() for part in media_range.lower().split(";"))
        form = _FORMS.get(name)
        liking = (_quality(parameters), not name.endswith("*"))
        if form is not None and liking[0] > 0 and liking > most:
            best, most = form, liking
    return best


def _quality(parameters: list[str]) -> float:
    """1 where there is no `q`, 0 for one that cannot be read."""
    for parameter in parameters:
        if parameter.partition("=")[0].rstrip() == "q":
            match = _QUALITY.fullmatch(parameter)
            return float(match[1]) if match is not None else 0.0
    return 1.0


def with_detail(
    page: Response, lines: tuple[str, ...], facts: Facts, log: ConnectionLog
) -> Response:
    """nginx's own `page` of a failed upstream, with what is known of the failure's `lines`.

    It holds these lines and what `explain` has for them, nothing else of the request, the
    configuration or the upstream. Status and headers stay, but for Content-Type and -Length. A
    client that is not near gets `page`, and the log tells so once a connection.
    """
    if page.status not in STATUSES:
        return page
    connection = facts.connection
    if not is_local(connection.client_address):
        if not connection.detail_refused:
            connection.detail_refused = True
            log.write(Level.WARN, NOT_LOCAL)
        return page
    accept = ",".join(value for name, value in facts.request.headers if name.lower() == "accept")
    form = wanted(accept)
    detail = explained.Detail.of(lines)
    if form == _HTML:
        assert isinstance(page.body, bytes)
        body = explained.html(page.body, detail)
    elif form == _JSON:
        body = explained.json(page.status, detail)
    else:
        server = pages.server_field(facts.location.core.server_tokens)
        body = explained.text(pages.status_line(page.status), server, detail)
        form = "text/plain; charset=utf-8"
    return page._replace(body=body, content_type=form, content_length=len(body))

"""The table of statuses, and the pages that nginx makes itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..version import NGINX_VERSION

SERVER: Final = f"nginx/{NGINX_VERSION}"


@dataclass(frozen=True, slots=True)
class Status:
    """How nginx speaks of a status."""

    reason: str
    """The words after the number in the status line; "" if nginx writes the number alone."""
    title: str = ""
    """Title of the built-in page; "" if there is none."""
    remark: str = ""
    """The second line of the page, for the inner statuses."""
    closes: bool = False
    """Whether the connection is closed after nginx answers so on its own account."""


def _same(words: str, closes: bool = False) -> Status:
    return Status(words, words, closes=closes)


def _inner(remark: str, closes: bool = True) -> Status:
    return Status("Bad Request", "Bad Request", remark, closes)


STATUSES: Final[dict[int, Status]] = {
    200: Status("OK"),
    201: Status("Created"),
    202: Status("Accepted"),
    204: Status("No Content"),
    206: Status("Partial Content"),
    301: _same("Moved Permanently"),
    302: Status("Moved Temporarily", "Found"),
    303: _same("See Other"),
    304: Status("Not Modified"),
    307: _same("Temporary Redirect"),
    308: _same("Permanent Redirect"),
    400: _same("Bad Request", closes=True),
    401: Status("Unauthorized", "Authorization Required"),
    402: _same("Payment Required"),
    403: _same("Forbidden"),
    404: _same("Not Found"),
    405: _same("Not Allowed"),
    406: _same("Not Acceptable"),
    407: _same("Proxy Authentication Required"),
    408: _same("Request Time-out"),
    409: _same("Conflict"),
    410: _same("Gone"),
    411: _same("Length Required"),
    412: _same("Precondition Failed"),
    413: _same("Request Entity Too Large", closes=True),
    414: _same("Request-URI Too Large", closes=True),
    415: _same("Unsupported Media Type"),
    416: _same("Requested Range Not Satisfiable"),
    421: _same("Misdirected Request"),
    429: _same("Too Many Requests"),
    494: _inner("Request Header Or Cookie Too Large", closes=False),
    495: _inner("The SSL certificate error"),
    496: _inner("No required SSL certificate was sent"),
    497: _inner("The plain HTTP request was sent to HTTPS port"),
    498: Status("", "Not Found"),
    500: _same("Internal Server Error", closes=True),
    501: _same("Not Implemented", closes=True),
    502: _same("Bad Gateway"),
    503: _same("Service Temporarily Unavailable"),
    504: _same("Gateway Time-out"),
    505: _same("HTTP Version Not Supported"),
    507: _same("Insufficient Storage"),
}

_UNKNOWN: Final = Status("")

_INNER: Final = range(494, 498)
_CANCELED: Final = 498

_PADDING: Final = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" * 6


def shown_status(status: int) -> int:
    """The status that a client sees: 400 for the inner 494 to 497."""
    return 400 if status in _INNER else status


def reason(status: int) -> str:
    """The words after the number; "" where nginx writes the number alone."""
    return STATUSES.get(status, _UNKNOWN).reason


def status_line(status: int) -> str:
    """`404 Not Found`; a status without words keeps the space (`418 `)."""
    return f"{shown_status(status):03} {reason(status)}"


def closes_connection(status: int) -> bool:
    """Whether nginx closes a kept connection after it answered `status` on its own account."""
    return STATUSES.get(status, _UNKNOWN).closes


def server_field(server_tokens: str) -> str:
    """What `server_tokens` (`on`, `off` or `build`) lets a client see of the server."""
    return "nginx" if server_tokens == "off" else SERVER


def error_page(
    status: int,
    *,
    server_tokens: str = "on",
    user_agent: str | None = None,
    msie_padding: bool = True,
) -> bytes:
    """nginx's own page, `text/html`; b"" where it has none: an empty body without a type.

    With `msie_padding` the pages of errors (not of redirects) are padded to more than 512 bytes
    for browsers that would else show a page of their own, told by the `user_agent`.
    """
    row = STATUSES.get(status, _UNKNOWN)
    if not row.title:
        return b""
    number = 404 if status == _CANCELED else shown_status(status)
    lines = (
        "<html>",
        f"<head><title>{number} {row.remark or row.title}</title></head>",
        "<body>",
        f"<center><h1>{number} {row.title}</h1></center>",
        *([f"<center>{row.remark}</center>"] if row.remark else []),
        f"<hr><center>{server_field(server_tokens)}</center>",
        "</body>",
        "</html>",
        "",
    )
    page = "\r\n".join(lines).encode("ascii")
    if msie_padding and status >= 400 and _wants_padding(user_agent or ""):
        page += _PADDING
    return page


def _wants_padding(user_agent: str) -> bool:
    if "Opera" in user_agent:
        return False
    if 0 <= user_agent.find("MSIE ") < len(user_agent) - len("MSIE 4."):
        return True
    return "Chrome/" in user_agent and "Gecko/" not in user_agent

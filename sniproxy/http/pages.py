"""HTTP statuses, and nginx's built-in error pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..version import NGINX_VERSION

SERVER: Final = f"nginx/{NGINX_VERSION}"


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """How nginx presents a status."""

    reason: str
    """Reason phrase in the status line; "" if nginx sends the number alone."""
    title: str = ""
    """Title of the built-in page; "" if there is none."""
    remark: str = ""
    """Second line of the page; nginx's internal statuses have one."""
    closes: bool = False
    """Whether nginx closes the connection after a response of its own with this status."""


def _one_text(words: str, closes: bool = False) -> StatusInfo:
    return StatusInfo(words, words, closes=closes)


def _internal(remark: str, closes: bool = True) -> StatusInfo:
    return StatusInfo("Bad Request", "Bad Request", remark, closes)


STATUSES: Final[dict[int, StatusInfo]] = {
    200: StatusInfo("OK"),
    201: StatusInfo("Created"),
    202: StatusInfo("Accepted"),
    204: StatusInfo("No Content"),
    206: StatusInfo("Partial Content"),
    301: _one_text("Moved Permanently"),
    302: StatusInfo("Moved Temporarily", "Found"),
    303: _one_text("See Other"),
    304: StatusInfo("Not Modified"),
    307: _one_text("Temporary Redirect"),
    308: _one_text("Permanent Redirect"),
    400: _one_text("Bad Request", closes=True),
    401: StatusInfo("Unauthorized", "Authorization Required"),
    402: _one_text("Payment Required"),
    403: _one_text("Forbidden"),
    404: _one_text("Not Found"),
    405: _one_text("Not Allowed"),
    406: _one_text("Not Acceptable"),
    407: _one_text("Proxy Authentication Required"),
    408: _one_text("Request Time-out"),
    409: _one_text("Conflict"),
    410: _one_text("Gone"),
    411: _one_text("Length Required"),
    412: _one_text("Precondition Failed"),
    413: _one_text("Request Entity Too Large", closes=True),
    414: _one_text("Request-URI Too Large", closes=True),
    415: _one_text("Unsupported Media Type"),
    416: _one_text("Requested Range Not Satisfiable"),
    421: _one_text("Misdirected Request"),
    429: _one_text("Too Many Requests"),
    494: _internal("Request Header Or Cookie Too Large", closes=False),
    495: _internal("The SSL certificate error"),
    496: _internal("No required SSL certificate was sent"),
    497: _internal("The plain HTTP request was sent to HTTPS port"),
    498: StatusInfo("", "Not Found"),
    500: _one_text("Internal Server Error", closes=True),
    501: _one_text("Not Implemented", closes=True),
    502: _one_text("Bad Gateway"),
    503: _one_text("Service Temporarily Unavailable"),
    504: _one_text("Gateway Time-out"),
    505: _one_text("HTTP Version Not Supported"),
    507: _one_text("Insufficient Storage"),
}

_UNKNOWN: Final = StatusInfo("")

_INTERNAL: Final = range(494, 498)
_CANCELED: Final = 498

_PADDING: Final = b"<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n" * 6


def displayed_status(status: int) -> int:
    """The status sent to the client: 400 for nginx's internal statuses 494 to 497."""
    return 400 if status in _INTERNAL else status


def reason(status: int) -> str:
    """Reason phrase; "" if nginx sends the number alone."""
    return STATUSES.get(status, _UNKNOWN).reason


def status_line(status: int) -> str:
    """`404 Not Found`; without a reason phrase the space is kept (`418 `)."""
    return f"{displayed_status(status):03} {reason(status)}"


def closes_connection(status: int) -> bool:
    """Whether nginx closes the connection after responding with `status` itself."""
    return STATUSES.get(status, _UNKNOWN).closes


def server_field(server_tokens: str) -> str:
    """The Server field for a value of `server_tokens` (`on`, `off` or `build`)."""
    return "nginx" if server_tokens == "off" else SERVER


def error_page(
    status: int,
    *,
    server_tokens: str = "on",
    user_agent: str | None = None,
    msie_padding: bool = True,
    remark: str = "",
) -> bytes:
    """nginx's built-in page as `text/html`; b"" if there is none.

    `remark` is a line of HTML, where nginx's page has none.

    With `msie_padding`, error pages are padded to more than 512 bytes for browsers that would
    otherwise show pages of their own, recognized by `user_agent`.
    """
    row = STATUSES.get(status, _UNKNOWN)
    if not row.title:
        return b""
    number = 404 if status == _CANCELED else displayed_status(status)
    lines = (
        "<html>",
        f"<head><title>{number} {row.remark or row.title}</title></head>",
        "<body>",
        f"<center><h1>{number} {row.title}</h1></center>",
        *([f"<center>{text}</center>"] if (text := row.remark or remark) else []),
        f"<hr><center>{server_field(server_tokens)}</center>",
        "</body>",
        "</html>",
        "",
    )
    page = "\r\n".join(lines).encode("latin-1")
    if msie_padding and status >= 400 and _wants_padding(user_agent or ""):
        page += _PADDING
    return page


def _wants_padding(user_agent: str) -> bool:
    if "Opera" in user_agent:
        return False
    if 0 <= user_agent.find("MSIE ") < len(user_agent) - len("MSIE 4."):
        return True
    return "Chrome/" in user_agent and "Gecko/" not in user_agent

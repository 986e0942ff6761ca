"""`error_detail` (a sniproxy extension): error pages that explain why the upstream failed.

Clients on this machine or on a private network get nginx's 502 or 504 page followed by the
error log lines of the failure, their likely causes and the fixes, as HTML, plain text or JSON.
Other clients get nginx's page alone. The page contains the log lines (which include the request
line and the referrer) and their explanation, and nothing else of the request or the
configuration. Names in the lines may be chosen by an attacker: control characters are escaped
for terminals, and HTML is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..config.cidr import Network, parse_ip, parse_network
from ..context import RequestContext
from ..explain import ErrorGroup, ErrorGroups, render_text, to_dict
from ..explain.groups import NO_LIVE_UPSTREAMS
from ..explain.render import MAX_DETAILED, subject
from ..forms import SECURITY_HEADING
from ..http import pages
from ..logs.error import ConnectionLog
from ..models import Level, Response
from ..terminal import escape_control

STATUSES = frozenset((502, 504))
"""Not 500: its log lines may name private key files."""

ERROR_DETAIL_REFUSED = '"error_detail" is limited to clients with loopback or private addresses'


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
    """Whether the client is on this machine or a private network.

    `address` is `Connection.client_address`: without port, `unix:` for a UNIX socket.
    """
    if address == "unix:":
        return True
    ip = parse_ip(address)
    return ip is not None and any(ip in network for network in LOCAL)


_HTML, _JSON, _TEXT = "text/html", "application/json", "text/plain"
_FORMS = {_HTML: _HTML, _JSON: _JSON, _TEXT: _TEXT, "text/*": _TEXT, "*/*": _TEXT}
_QUALITY = re.compile(r"q\s*=\s*(0(?:\.\d*)?|1(?:\.0*)?)", re.IGNORECASE)


def negotiate_media_type(accept: str) -> str:
    """Choose between HTML, JSON and plain text by the Accept field (RFC 9110, section 12.5.1).

    Plain text is the default, also for `*/*` (curl). With equal quality, a type that is named
    explicitly is preferred, then the first.
    """
    best, best_preference = _TEXT, (0.0, False)
    for media_range in accept.split(","):
        name, *parameters = (part.strip() for part in media_range.lower().split(";"))
        form = _FORMS.get(name)
        preference = (_quality(parameters), not name.endswith("*"))
        if form is not None and preference[0] > 0 and preference > best_preference:
            best, best_preference = form, preference
    return best


def _quality(parameters: list[str]) -> float:
    """The value of `q`: 1 if missing, 0 if invalid."""
    for parameter in parameters:
        if parameter.partition("=")[0].rstrip() == "q":
            match = _QUALITY.fullmatch(parameter)
            return float(match[1]) if match is not None else 0.0
    return 1.0


def with_detail(
    page: Response, lines: tuple[str, ...], ctx: RequestContext, log: ConnectionLog
) -> Response:
    """Add the log `lines` of a failure and their explanation to nginx's error `page`.

    Status and header fields are unchanged except for Content-Type and Content-Length. Clients that
    are not local get `page`; this is logged once per connection.
    """
    if page.status not in STATUSES:
        return page
    connection = ctx.connection
    if not is_local(connection.client_address):
        if not connection.detail_refused:
            connection.detail_refused = True
            log.write(Level.WARN, ERROR_DETAIL_REFUSED)
        return page
    accept = ",".join(value for name, value in ctx.request.headers if name.lower() == "accept")
    form = negotiate_media_type(accept)
    detail = FailureDetail.from_log_lines(lines)
    if form == _HTML:
        assert isinstance(page.body, bytes)
        body = html_page(page.body, detail)
    elif form == _JSON:
        body = json_page(page.status, detail)
    else:
        server = pages.server_field(ctx.location.core.server_tokens)
        body = text_page(pages.status_line(page.status), server, detail)
        form = "text/plain; charset=utf-8"
    return page._replace(body=body, content_type=form, content_length=len(body))


_CODE = re.compile("`([^`]+)`")

NO_EXPLANATION = "No known cause matches this log line."


@dataclass(frozen=True, slots=True)
class FailureDetail:
    """Log lines of a failure and their explanations."""

    lines: tuple[str, ...]
    """The last line is the failure that determined the status."""
    groups: tuple[ErrorGroup, ...]
    """One group per meaning, beginning with the last line; mere consequences come last."""

    @classmethod
    def from_log_lines(cls, lines: Sequence[str]) -> FailureDetail:
        found = ErrorGroups()
        for line in lines:
            found.feed(line)
            found.flush()  # lines are complete records
        by_sign: dict[str, ErrorGroup] = {}
        for group in reversed(list(found)):
            by_sign.setdefault(group.signature.name, group)
        groups = sorted(
            by_sign.values(), key=lambda group: group.signature.name == NO_LIVE_UPSTREAMS
        )
        return cls(tuple(lines), tuple(groups))


def text_page(status: str, server: str, detail: FailureDetail) -> bytes:
    """The page as plain text in UTF-8: the explanations of `sniproxy explain`.

    These quote their log line, so lines are listed only if there are several or no explanation.
    """
    parts = [f"{status}\n{server}\n"]
    if len(detail.lines) > 1 or not detail.groups:
        parts.append("".join(f"{escape_control(line)}\n" for line in detail.lines))
    parts += map(render_text, detail.groups)
    if not detail.groups:
        parts.append(f"{NO_EXPLANATION}\n")
    return "\n".join(parts).encode()


def json_page(status: int, detail: FailureDetail) -> bytes:
    """`{"status": 502, "lines": […], "groups": […]}`; groups as in `sniproxy explain --json`."""
    value = {
        "status": status,
        "lines": [escape_control(line) for line in detail.lines],
        "groups": [to_dict(group) for group in detail.groups],
    }
    return (json.dumps(value, indent=2) + "\n").encode("ascii")


STYLE = """\
<style>
.detail { max-width: 52em; margin: 2em auto; padding: 0 1em; color: #222;
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
.detail h2 { margin: 1.6em 0 .2em; font-size: 1.45em; line-height: 1.25 }
.detail h3 { margin: 1.4em 0 .3em; font-size: 1em }
.detail p, .detail ul { margin: .4em 0 }
.detail pre { margin: .4em 0 .8em; padding: .6em .9em; border-left: 3px solid #2a7d46;
  background: #f1f6f2; font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap }
.detail pre.log { border-color: #b3372b; background: #faf2f1 }
.detail pre.command { border-color: #777; background: #f4f4f4 }
.detail details { margin: .7em 0; padding: .5em 1em; border: 1px solid #ddd; border-radius: 6px }
.detail summary { font-weight: 600; cursor: pointer }
.detail small { color: #666 }
.detail .beware { padding: .5em .9em; border-left: 3px solid #c98a00; background: #fdf8ea }
</style>
"""


def html_page(page: bytes, detail: FailureDetail) -> bytes:
    """nginx's page with the explanation appended to its body; ASCII."""
    head, in_head, rest = page.partition(b"</head>")
    body, in_body, end = rest.rpartition(b"</body>")
    block = "\n".join(_block(detail)) + "\n"
    return b"".join((
        head, STYLE.encode("ascii"), in_head,
        body, block.encode("ascii", "xmlcharrefreplace"), in_body, end,
    ))  # fmt: skip


def _block(detail: FailureDetail) -> Iterator[str]:
    log = _pre("log", [escape_control(line) for line in detail.lines])
    yield '<div class="detail">'
    if not detail.groups:
        yield log
        yield _p(NO_EXPLANATION)
    for number, group in enumerate(detail.groups):
        value = to_dict(group)
        yield f"<h2>{escape(value['details'][0]['title'])}</h2>"
        yield f"<p><small>{escape(subject(group))}</small></p>"
        if number == 0:
            yield log
        yield from _group(value)
    yield "</div>"


def _group(value: Mapping[str, Any]) -> Iterator[str]:
    causes = value["details"]
    yield _p(value["plain"])
    if value["background"]:
        yield _p(value["background"])
    yield "<h3>Likely causes</h3>"
    for number, cause in enumerate(causes[:MAX_DETAILED], 1):
        yield '<details open="">' if number == 1 else "<details>"
        yield f"<summary>{number}. {escape(cause['title'])}</summary>"
        yield from _cause(cause, value["meaning"] if number == 1 else "")
        yield "</details>"
    if others := causes[MAX_DETAILED:]:
        yield _p(f"Less likely: {'; '.join(cause['title'] for cause in others)}.")
    if value["hint"]:
        yield _p(value["hint"])
    if value["distinguish"]:
        yield "<h3>To tell them apart</h3>"
        yield _p(value["distinguish"])
    yield "<h3>Proof</h3>"
    yield _pre("command", causes[0]["proof"])
    if causes[0]["misconception"]:
        yield f'<p class="beware"><b>Beware:</b> {escape(causes[0]["misconception"])}</p>'


def _cause(cause: Mapping[str, Any], meaning: str) -> Iterator[str]:
    """The fixes of a cause, then the reasons."""
    yield from _fixes(cause)
    if meaning:
        yield _p(meaning)
    yield _p(cause["explains"])
    yield "<ul>"
    for way in cause["likely"]:
        yield f"<li>{escape(way)}</li>"
    yield "</ul>"


def _fixes(cause: Mapping[str, Any]) -> Iterator[str]:
    weakens = False
    for cure in cause["fixes"]:
        if cure["weakens"] and not weakens:
            weakens = True
            yield f'<p class="beware"><b>{escape(SECURITY_HEADING)}</b></p>'
        when = f"Or, {cure['when']}" if cure["optional"] else _capitalize(cure["when"])
        if cure["instruction"]:
            yield _p(f"{when}: {cure['instruction']}")
            continue
        kind = cure["context"] if cure["kind"] == "directive" else cure["kind"]
        yield f"<p>{escape(when)} <small>({escape(kind)})</small></p>"
        if cure["weakens"]:
            yield _p(f"Lost: {cure['weakens']}")
        yield _pre("cure", cure["directives"])


def _p(text: str) -> str:
    marked = _CODE.sub(r"<code>\1</code>", escape(text))
    return f"<p>{marked}</p>"


def _pre(kind: str, lines: Sequence[str]) -> str:
    return f'<pre class="{kind}">{escape(chr(10).join(lines))}</pre>'


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]

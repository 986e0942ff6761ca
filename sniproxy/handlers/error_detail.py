"""`error_detail` (a sniproxy extension): error pages that explain why the upstream failed.

Clients on this machine or on a private network get the error log lines of the failure, their
likely causes and the fixes, as HTML, plain text or JSON. Other clients get nginx's page alone. The
page contains the log lines (which include the request line and the referrer) and their
explanation, in whose fixes the location's own names are filled in, and nothing else of the request
or the configuration. Names in the lines may be chosen by an attacker: control characters are
escaped for terminals, and HTML is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..config.cidr import Network, parse_ip, parse_network
from ..config.directives.proxy import ProxySettings
from ..context import RequestContext
from ..explain import ErrorGroup, ErrorGroups, render_text, to_dict
from ..explain.groups import NO_LIVE_UPSTREAMS
from ..explain.placeholders import is_dns_name
from ..http import pages
from ..logs.error import ConnectionLog
from ..models import Level, Response
from ..server_name import sent_server_name, without_port
from ..terminal import escape_control
from .error_detail_html import NO_EXPLANATION, html_page

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
    are not local, by either address if there are two, get `page`; this is logged once per
    connection.
    """
    if page.status not in STATUSES:
        return page
    connection = ctx.connection
    # With `real_ip` the address is what the client of a trusted proxy has sent, or a proxy has.
    itself = ctx.proxy_connection or connection
    if not (is_local(connection.client_address) and is_local(itself.client_address)):
        if not itself.detail_refused:
            itself.detail_refused = True
            log.write(Level.WARN, ERROR_DETAIL_REFUSED)
        return page
    accept = ",".join(value for name, value in ctx.request.headers if name.lower() == "accept")
    form = negotiate_media_type(accept)
    detail = FailureDetail.from_log_lines(lines, ctx.location.proxy)
    if form == _HTML:
        assert isinstance(page.body, bytes)
        body = html_page(page.body, detail.lines, detail.groups)
    elif form == _JSON:
        body = json_page(page.status, detail)
    else:
        server = pages.server_field(ctx.location.core.server_tokens)
        body = text_page(pages.status_line(page.status), server, detail)
        form = "text/plain; charset=utf-8"
    return page._replace(body=body, content_type=form, content_length=len(body))


@dataclass(frozen=True, slots=True)
class FailureDetail:
    """Log lines of a failure and their explanations."""

    lines: tuple[str, ...]
    """The last line is the failure that determined the status."""
    groups: tuple[ErrorGroup, ...]
    """One group per meaning, beginning with the last line; mere consequences come last."""

    @classmethod
    def from_log_lines(
        cls, lines: Sequence[str], proxy: ProxySettings | None = None
    ) -> FailureDetail:
        """Explain the lines; `proxy` are the settings of the location, whose names fixes have."""
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
        if proxy is not None:
            for group in groups:
                group.known = known_values(proxy, group)
        return cls(tuple(lines), tuple(groups))


def known_values(proxy: ProxySettings, group: ErrorGroup) -> dict[str, str]:
    """Values of placeholders in the fixes of a group that the location itself has.

    The name is that of `proxy_set_header Host`, of `proxy_ssl_name`, or the host of `proxy_pass`:
    the first that is a DNS name. A name that failed already is not proposed as its own fix.
    """
    current = _current_name(proxy)
    sent = sent_server_name(current, proxy_ssl_server_name=proxy.ssl_server_name)
    sets_name = any(
        directive.startswith("proxy_ssl_name ")
        for fix in group.causes[0].fixes
        for directive in fix.directives
    )
    has_failed = sets_name and (sent is not None or proxy.ssl_verify)
    names = [name for name in (_constant_host(proxy), current) if is_dns_name(name)]
    names = [name for name in names if not (has_failed and name == current)]
    return {"name": names[0]} if names else {}


def _current_name(proxy: ProxySettings) -> str:
    """The name that SNI and verification are derived from now; "" if a request determines it."""
    name, target = proxy.ssl_name, proxy.proxy_pass
    if name is not None:
        return without_port(name.source) if name.is_constant else ""
    return target.address.host if target is not None and target.address is not None else ""


def _constant_host(proxy: ProxySettings) -> str:
    """The Host field that the location sets; "" if there is none or a request determines it."""
    for field in proxy.proxy_set_header:
        if field.name.lower() == "host" and field.value.is_constant:
            return without_port(field.value.source)
    return ""


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

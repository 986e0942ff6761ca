"""Make a `RequestHead` of the fields of an HTTP/2 request, with nginx's errors (pure).

`ngx_http_v2_state_process_header` and `ngx_http_v2_run_request` of nginx.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Final

from . import header_fields
from .request_fields import HeadRules, RequestHeadBuilder, RulesOf
from .request_head import ParsedHead
from .uri import URIError, normalise, split_target

_METHOD: Final = re.compile("[A-Z_-]+")
_SCHEME: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]*")
_PATH: Final = re.compile(r"/[^\x00-\x20\x7f]*")
_REFUSED_NAME: Final = re.compile(r"[\x00-\x20\x7f:A-Z]")
_REFUSED_VALUE: Final = re.compile(r"[\x00\r\n]")

_CONNECTION_FIELDS: Final = (
    ("connection", "Connection"),
    ("keep-alive", "Keep-Alive"),
    ("transfer-encoding", "Transfer-Encoding"),
    ("upgrade", "Upgrade"),
)
"""Fields about an HTTP/1 connection, in the order in which nginx checks them."""


def read_http2_head(
    fields: Sequence[tuple[str, str]],
    length: int,
    rules: HeadRules,
    rules_of: RulesOf | None,
    *,
    ended: bool,
) -> ParsedHead:
    """Parse the fields of a header block of `length` bytes. Raises `BadRequestError`.

    `ended` is whether the request has no body.
    """
    reader = _FieldReader(rules, rules_of)
    draft = reader.draft
    draft.length = length
    for name, value in fields:
        reader.take(name, value)
    reader.finish(sum(len(name) + len(value) for name, value in fields))
    draft.judge()
    request = draft.request()
    if request.content_length and ended:
        raise draft.refusal("client prematurely closed stream")
    return ParsedHead(
        request._replace(
            chunked=request.content_length is None and not ended,
            expects_continue=False,
            keepalive=True,
        ),
        length,
        tuple(draft.notes),
    )


@functools.lru_cache(maxsize=256)
def _is_refused_name(name: str) -> bool:
    return _REFUSED_NAME.search(name.removeprefix(":")) is not None


class _FieldReader:
    """Takes the fields one after the other, as nginx decodes them."""

    def __init__(self, rules: HeadRules, rules_of: RulesOf | None) -> None:
        self.draft = RequestHeadBuilder(rules, rules_of)
        self.draft.version = 20
        self.draft.protocol = "HTTP/2.0"
        self._scheme = ""
        self._authority: str | None = None
        self._cookies: list[str] = []

    def take(self, name: str, value: str) -> None:
        draft = self.draft
        if _is_refused_name(name):
            raise draft.refusal(f'client sent invalid header name: "{name}"')
        if _REFUSED_VALUE.search(value):
            raise draft.refusal(f'client sent header "{name}" with invalid value: "{value}"')
        if name.startswith(":"):
            if draft.line:
                raise draft.refusal("client sent out of order pseudo-headers")
            take = _PSEUDO_FIELDS.get(name)
            if take is None:
                raise draft.refusal(f'client sent unknown pseudo-header "{name}"')
            take(self, value)
            return
        if not draft.line:
            self._make_line()
        if draft.rules.ignore_invalid_headers and header_fields.is_invalid_name(
            name, draft.rules.underscores_in_headers
        ):
            draft.note(f'client sent invalid header: "{name}"')
        elif name == "cookie":
            self._cookies.append(value)
        elif name == "proxy-connection":
            raise draft.refusal('client sent "Proxy-Connection" header')
        else:
            draft.take((name, value))

    def finish(self, size: int) -> None:
        """Check what needs all fields; `size` is the length of their names and values."""
        draft = self.draft
        count, largest = draft.rules.large_client_header_buffers
        if size > count * largest:
            raise draft.refusal("client sent too large header", 494)
        if not draft.line:
            self._make_line()
        names = dict(draft.headers)
        for name, label in _CONNECTION_FIELDS:
            if name in names:
                raise draft.refusal(f'client sent "{label}" header')
        if names.get("te", "trailers") != "trailers":
            raise draft.refusal('client sent invalid "TE" header')
        if self._authority is None and draft.host is None:
            raise draft.refusal('client sent neither ":authority" nor "Host" header')
        if self._authority is not None:
            if draft.host is not None and draft.host.lower() != self._authority.lower():
                raise draft.refusal(
                    'client sent ":authority" and "Host" headers with different values'
                )
            if draft.host is None:
                draft.take(("host", self._authority))
        if self._cookies:
            draft.take(("cookie", "; ".join(self._cookies)))

    def _make_line(self) -> None:
        draft = self.draft
        for label, value in (
            ("method", draft.method),
            ("scheme", self._scheme),
            ("path", draft.target),
        ):
            if not value:
                raise draft.refusal(f"client sent no :{label} header")
        draft.line = f"{draft.method} {draft.target} HTTP/2.0"

    def _take_method(self, value: str) -> None:
        draft = self.draft
        self._check("method", draft.method, value)
        if not _METHOD.fullmatch(value):
            raise draft.refusal(f'client sent invalid method: "{value}"')
        draft.method = value

    def _take_scheme(self, value: str) -> None:
        self._check("scheme", self._scheme, value)
        if not _SCHEME.fullmatch(value):
            raise self.draft.refusal(f'client sent invalid :scheme header: "{value}"')
        self._scheme = value

    def _take_path(self, value: str) -> None:
        draft = self.draft
        self._check("path", draft.target, value)
        if not _PATH.fullmatch(value):
            raise draft.refusal(f'client sent invalid :path header: "{value}"')
        path, args = split_target(value)
        try:
            draft.path = normalise(path, draft.rules.merge_slashes)
        except URIError:
            raise draft.refusal("client sent invalid request") from None
        draft.target, draft.args = value, args

    def _take_authority(self, value: str) -> None:
        draft = self.draft
        if self._authority is not None:
            raise draft.refusal('client sent duplicate ":authority" header')
        name = header_fields.valid_host(value)
        if name is None:
            raise draft.refusal('client sent invalid ":authority" header')
        self._authority = value
        draft.choose(name)

    def _check(self, label: str, previous: str, value: str) -> None:
        if previous:
            raise self.draft.refusal(f"client sent duplicate :{label} header")
        if not value:
            raise self.draft.refusal(f"client sent empty :{label} header")


_PSEUDO_FIELDS: Final[dict[str, Callable[[_FieldReader, str], None]]] = {
    ":method": _FieldReader._take_method,
    ":scheme": _FieldReader._take_scheme,
    ":path": _FieldReader._take_path,
    ":authority": _FieldReader._take_authority,
}

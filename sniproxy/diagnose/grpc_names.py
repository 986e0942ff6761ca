"""Name what was found about a `grpc_pass` by the directives of the grpc module (pure).

The two modules have the same directives of TLS; only the prefix differs.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .directives import SuggestedDirective

_DIRECTIVE = re.compile(r"\bproxy_(?=ssl_|set_header|buffer_size)")
_ONLY_PROXY = frozenset(("proxy_buffers", "proxy_http_version"))


def grpc_text(text: str) -> str:
    """A sentence with the names of the grpc module."""
    return _DIRECTIVE.sub("grpc_", text)


def grpc_url(url: str) -> str:
    """The URL for `grpc_pass`."""
    return re.sub("^http(s?)://", r"grpc\1://", url)


def grpc_directives(found: tuple[SuggestedDirective, ...]) -> tuple[SuggestedDirective, ...]:
    """The directives of the grpc module, without those that it lacks."""
    return tuple(
        replace(one, name=grpc_text(one.name), reason=grpc_text(one.reason))
        for one in found
        if one.name not in _ONLY_PROXY
    )

"""The catalog's texts for upstreams of other modules than proxy: `grpc_ssl_name`, not
`proxy_ssl_name`.

Servers of `stream {}` have a proxy module of their own, with fewer directives.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cache

from .catalog import Cause, Fix

MODULES = {
    "grpc": "grpc_",
    "grpcs": "grpc_",
    "uwsgi": "uwsgi_",
    "suwsgi": "uwsgi_",
    "fastcgi": "fastcgi_",
    "scgi": "scgi_",
    "memcached": "memcached_",
}
"""The prefix of a module's directives, by the scheme in its log lines."""
STREAM = "stream"
"""Stands for a scheme: the upstreams of `stream {}` have none in log lines."""
_STREAM_NAMES = {"proxy_read_timeout": "proxy_timeout", "proxy_send_timeout": "proxy_timeout"}
"""What directives are called in `stream {}`."""
_DIRECTIVE = re.compile(r"\bproxy_(\w+)")
_ABOUT_GRPC = "grpc_pass"
"""Causes that mention it compare modules: they stay as they are."""


def cause_in_module(cause: Cause, scheme: str) -> Cause:
    """The cause with the directives of the module that has such upstreams."""
    if scheme == STREAM:
        return _in_stream(cause.name, cause)
    return cause if scheme not in MODULES else _renamed(cause.name, scheme, cause)


@cache
def _in_stream(name: str, cause: Cause) -> Cause:
    renamed = _renamed(name, STREAM, cause)
    fixes = []
    for fix in renamed.fixes:
        addressed = [text.replace("{scheme}://{name}", "{address}") for text in fix.directives]
        directives = tuple(dict.fromkeys(filter(_is_of_stream, addressed)))
        if directives or not fix.directives:
            fixes.append(dataclasses.replace(fix, directives=directives))
    return dataclasses.replace(renamed, fixes=tuple(fixes) or renamed.fixes)


def _is_of_stream(directive: str) -> bool:
    """Whether a directive, as a whole line, may stand in `stream {}`."""
    from ..config.directives.stream_registry import STREAM_BY_NAME

    name = directive.split()[0].rstrip(";")
    return name in STREAM_BY_NAME or name in ("#", "upstream")


@cache
def _renamed(name: str, scheme: str, cause: Cause) -> Cause:
    texts = (cause.explains, cause.misconception, *cause.likely, *_texts(cause.fixes))
    if scheme != STREAM and any(_ABOUT_GRPC in text for text in texts):
        return cause
    grpc = " --grpc" if scheme.startswith("grpc") else ""
    return dataclasses.replace(
        cause,
        explains=text_in_module(cause.explains, scheme),
        likely=tuple(text_in_module(text, scheme) for text in cause.likely),
        misconception=text_in_module(cause.misconception, scheme),
        fixes=tuple(_fix(fix, scheme) for fix in cause.fixes),
        proof=tuple(_command(command, grpc) for command in cause.proof),
        proof_plain=tuple(_command(command, grpc) for command in cause.proof_plain),
    )


def _texts(fixes: tuple[Fix, ...]) -> list[str]:
    return [text for fix in fixes for text in (fix.when, fix.instruction, *fix.directives)]


def _fix(fix: Fix, scheme: str) -> Fix:
    return dataclasses.replace(
        fix,
        when=text_in_module(fix.when, scheme),
        instruction=text_in_module(fix.instruction, scheme),
        directives=tuple(text_in_module(text, scheme) for text in fix.directives),
        weakens=text_in_module(fix.weakens, scheme),
    )


def _command(command: str, option: str) -> str:
    return command + option if " diagnose http" in command else command


def text_in_module(text: str, scheme: str) -> str:
    """Replace the proxy module's directives in a text by those of the scheme's module.

    Those that the module lacks stay.
    """
    if scheme == STREAM:
        return _DIRECTIVE.sub(lambda match: _STREAM_NAMES.get(match[0], match[0]), text)
    prefix = MODULES.get(scheme)
    return text if prefix is None else _DIRECTIVE.sub(lambda match: _named(match, prefix), text)


def _named(match: re.Match[str], prefix: str) -> str:
    # Imported here: most logs have only upstreams of `proxy_pass`.
    from ..config.directives.registry import BY_NAME

    name = prefix + match[1]
    return name if name in BY_NAME or match[1] == "ssl_" else match[0]

"""The registry of all directives."""

from __future__ import annotations

from . import (
    access,
    charset,
    core,
    files,
    filters,
    gateways,
    gzip,
    headers,
    http2,
    ignored,
    limits,
    log,
    main,
    maps,
    proxy,
    real_ip,
    rewrite,
    ssl,
    unsupported,
    upstream,
    upstream_modules,
)
from .directive import Context, Directive, Settings, Status

MAIN_SETTINGS: tuple[type[Settings], ...] = (main.Main, main.Events)
SERVER_SETTINGS: tuple[type[Settings], ...] = (core.CoreServer, ssl.Ssl, http2.Http2)
LOCATION_SETTINGS: tuple[type[Settings], ...] = (
    core.CoreLocation,
    log.Log,
    *upstream_modules.UPSTREAM_MODULES,
    limits.RequestLimits,
    real_ip.RealIP,
    limits.ConnectionLimits,
    rewrite.Rewrite,
    files.Files,
    headers.Headers,
    access.Access,
    gzip.Gzip,
    *filters.FILTER_SETTINGS,
)
GROUP_SETTINGS: tuple[type[Settings], ...] = (upstream.UpstreamGroup,)

DIRECTIVES: tuple[Directive, ...] = (
    *(
        directive
        for settings in (*MAIN_SETTINGS, *SERVER_SETTINGS, *LOCATION_SETTINGS, *GROUP_SETTINGS)
        for directive in settings.DIRECTIVES
    ),
    *main.DIRECTIVES,
    *core.DIRECTIVES,
    *access.DIRECTIVES,
    *log.DIRECTIVES,
    *proxy.DIRECTIVES,
    *gateways.DIRECTIVES,
    *charset.DIRECTIVES,
    *limits.DIRECTIVES,
    *upstream.DIRECTIVES,
    *maps.DIRECTIVES,
    *ignored.DIRECTIVES,
    *unsupported.DIRECTIVES,
)


def _index() -> dict[str, tuple[Directive, ...]]:
    index: dict[str, tuple[Directive, ...]] = {}
    for directive in DIRECTIVES:
        index[directive.name] = (*index.get(directive.name, ()), directive)
    return index


BY_NAME = _index()


def _supported_modules() -> frozenset[str]:
    supported = {row.module for row in DIRECTIVES if row.status in (Status.WORKS, Status.NO_EFFECT)}
    return frozenset(supported - {row.module for row in DIRECTIVES if row.status is Status.NOT_YET})


SUPPORTED_MODULES = _supported_modules()
"""The nginx modules of which no directive is missing."""


def find(name: str, context: Context) -> Directive | None:
    """The directive `name` that is allowed in `context`, or None."""
    if context in Context.IN_STREAM:
        # Imported here: most configurations have no `stream {}`.
        from .stream_registry import STREAM_BY_NAME

        return next((row for row in STREAM_BY_NAME.get(name, ()) if context in row.contexts), None)
    for directive in BY_NAME.get(name, ()):
        if context in directive.contexts:
            return directive
    return None


def is_known(name: str) -> bool:
    """Whether a directive of this name is allowed anywhere."""
    if name in BY_NAME:
        return True
    from .stream_registry import STREAM_BY_NAME

    return name in STREAM_BY_NAME

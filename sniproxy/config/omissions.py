"""What a configuration uses and sniproxy lacks: refused, or left out (`unsupported warn`).

Readers, slots and checks report everything that is missing to one `Omissions` object. It raises
`UnsupportedError` as long as nothing may be left out, and otherwise collects what was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .tree import COMMAND_LINE, Place

_CONTENT = re.compile(
    r"""content_by_\w+ | \w+_content | \w+_pass | perl | echo(_\w+)? | stub_status | empty_gif
    | random_index | \w+_status_display | nchan_(pub|sub)\w+ | push_stream_(pub|sub)\w+
    | rtmp_(stat|control) | hls | vod | upload_progress_\w+ | report_uploads | api | dashboard
    | postgres_query | passenger_enabled""",
    re.VERBOSE,
)
"""Directives of nginx and of other modules that make the content of a location."""

_GUARDS = re.compile(
    r"""access_by_\w+ | rewrite_by_\w+ | js_access | auth_\w+ | modsecurity\w* | secure_link\w*
    | valid_referers | limit_\w+ | set_real_ip_from | real_ip_\w+ | testcookie\w*
    | (Main|Basic|Check|Deny)(Rule|Rules)\w* | ssl_(client|ocsp)\w*""",
    re.VERBOSE,
)
"""Directives that may keep requests out."""


_OTHERS = re.compile(
    r"""(brotli|zstd|js|lua|geoip2|more|vhost_traffic|modsecurity|pagespeed|passenger|nchan|otel
    |opentracing|zipkin|push_stream|rtmp|echo|vod|fancyindex|subs_filter|naxsi|upload|cache_purge
    |proxy_cache_purge|set_misc|array|headers_in|dav_ext|auth_pam|auth_ldap|testcookie|sticky|fair
    |check|health_check|status_zone|api|match|zone_sync|keyval|mgmt|app_protect|acme)(_\w+)?
    | \w+_by_lua(_block|_file)?""",
    re.VERBOSE,
)
"""Directives of other modules that people use."""


def is_of_another_module(name: str) -> bool:
    """Whether a directive is of a well-known module that is not nginx's."""
    patterns = (_OTHERS, _CONTENT, _GUARDS)
    return any(pattern.fullmatch(name) for pattern in patterns)


_WORD = re.compile(r"[a-zA-Z]\w{1,63}|")


def makes_content(name: str) -> bool:
    """Whether a location with this directive, which sniproxy lacks, has no content without it."""
    return _CONTENT.fullmatch(name) is not None


@dataclass(slots=True)
class _Omission:
    places: list[Place]
    effect: str
    is_word: bool = True
    """Whether the name of the directive is a word."""


class Omissions:
    """What one configuration uses and sniproxy lacks."""

    def __init__(self, *, list_all: bool = False) -> None:
        """With `list_all` everything is left out, whatever the configuration says."""
        self.allowed = list_all
        """Whether it may be left out."""
        self._list_all = list_all
        self._found: dict[str, _Omission] = {}

    def allow(self, allowed: bool) -> None:
        """Set whether what follows may be left out (`unsupported`)."""
        self.allowed = allowed or self._list_all

    def add(
        self, message: str, place: Place, name: str = "", *, effect: str = "it is left out"
    ) -> None:
        """Leave out what `message` names. Raises `UnsupportedError` where that is not allowed.

        `name` is the directive, and `effect` says what is done instead.
        """
        if not self.allowed:
            error = place.unsupported(message)
            error.is_known = not message.startswith("unknown") or is_of_another_module(name)
            raise error
        if _GUARDS.fullmatch(name):
            effect += ", and requests that it would refuse are served"
        is_word = _WORD.fullmatch(name) is not None
        self._found.setdefault(message, _Omission([], effect, is_word)).places.append(place)

    def add_variable(self, name: str) -> None:
        """Note a variable that does not exist and is empty; only where that is allowed."""
        self._found.setdefault(f'unknown "{name}" variable', _Omission([], "it is empty"))

    def warnings(self) -> tuple[str, ...]:
        """A message for each thing left out, with all its places."""
        return tuple(
            f"{message}: {omission.effect}{_in(omission.places)}"
            for message, omission in self._found.items()
        )

    def messages(self) -> tuple[str, ...]:
        """The messages alone, each with the places of the directive; not about binary data."""
        return tuple(
            f"{message}{_in(omission.places)}"
            for message, omission in self._found.items()
            if omission.places and omission.is_word
        )


NOTHING_LEFT_OUT = Omissions()
"""Refuses everything that sniproxy lacks."""


def _in(places: list[Place]) -> str:
    """` in FILE:7, 9 and OTHER:3`: the lines of each file."""
    lines: dict[str, list[str]] = {}
    for place in places:
        numbers = lines.setdefault(place.file, [])
        if str(place.line) not in numbers:
            numbers.append(str(place.line))
    texts = [
        str(Place(file, 0)) if file == COMMAND_LINE else f"{file}:{', '.join(numbers)}"
        for file, numbers in lines.items()
    ]
    return f" in {' and '.join(texts)}" if texts else ""

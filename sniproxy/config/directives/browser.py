"""Directives of nginx's browser module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, cast

from .core import HSL
from .directive import Args, Repeat, Settings, at_least, between, directive, settings
from .slots import string

MODULE = "ngx_http_browser_module"
UNLISTED = "unlisted"
NETSCAPE4 = "netscape4"
UNREACHABLE = 4_001_000_000
"""A version that no browser has."""


@dataclass(frozen=True, slots=True)
class BrowserMask:
    """Where the version of a browser is in the User-Agent field."""

    skip: int
    """Position from which `text` is searched."""
    text: str
    length: int
    """Number of characters from the start of `text` to the version."""


MASKS: Mapping[str, BrowserMask] = {
    "opera": BrowserMask(0, "Opera", len("Opera ")),
    "msie": BrowserMask(len("Mozilla/4.0 (compatible; "), "MSIE ", len("MSIE ")),
    "gecko": BrowserMask(len("Mozilla/5.0 ("), "rv:", len("rv:")),
    "safari": BrowserMask(len("Mozilla/5.0 ("), "Safari/", len("Safari/")),
    "konqueror": BrowserMask(len("Mozilla/5.0 (compatible; "), "Konqueror/", len("Konqueror/")),
}
"""By name, in the order in which they are looked for: others may contain the text of MSIE."""


@dataclass(frozen=True, slots=True)
class ModernBrowser:
    """`modern_browser NAME VERSION`: a browser that is modern from a version on."""

    mask: BrowserMask
    version: int
    """Millions for the first number, ten thousands for the second, hundreds for the third."""


def modern_browser(args: Args) -> ModernBrowser | str:
    """A browser, or `unlisted`."""
    if len(args.words) == 1:
        if args.first != UNLISTED:
            args.fail(f'invalid parameter "{args.first}"')
        return UNLISTED
    name, text = args.words
    mask = MASKS.get(name.lower())
    if mask is None:
        args.fail(f'unknown browser name "{name}"')
    version, scale = 0, 1_000_000
    for number in text.split("."):
        if number.strip("0123456789"):
            args.fail(f'invalid browser version "{text}"')
        version, scale = version + int(number or 0) * scale, scale // 100
    return ModernBrowser(mask, version)


@settings(MODULE)
class Browsers(Settings):
    """Which browsers are modern, and which ancient."""

    modern_browser: tuple[ModernBrowser | str, ...] = directive(
        HSL,
        modern_browser,
        "a browser that is modern from a version on, or `unlisted` for all others",
        arity=between(1, 2),
        repeat=Repeat.APPENDED,
    )
    ancient_browser: tuple[tuple[str, ...], ...] = directive(
        HSL,
        lambda args: args.words,
        "texts in User-Agent that show an ancient browser",
        arity=at_least(1),
        repeat=Repeat.APPENDED,
    )
    modern_browser_value: str = directive(
        HSL, string, "value of $modern_browser", default="1", repeat=Repeat.REPLACED
    )
    ancient_browser_value: str = directive(
        HSL, string, "value of $ancient_browser", default="1", repeat=Repeat.REPLACED
    )

    @classmethod
    def resolve(cls, *levels: Mapping[str, Any]) -> Self:
        *nested, http = levels or ({},)
        inherited: Self = cast(Any, cls)().merge(http)
        # As in nginx names of browsers in the http block are ignored: any browser is the first.
        found = [
            replace(one, mask=BrowserMask(list(MASKS.values()).index(one.mask), "", 0))
            for one in inherited.modern_browser
            if isinstance(one, ModernBrowser)
        ]
        if found:
            listed = [one for one in inherited.modern_browser if one == UNLISTED]
            inherited = replace(inherited, modern_browser=(*found, *listed))
        for level in reversed(nested):
            inherited = inherited.merge(level)
        return inherited

    @property
    def takes_unlisted(self) -> bool:
        """Whether browsers that are not listed are modern."""
        return UNLISTED in self.modern_browser

    @property
    def modern(self) -> tuple[ModernBrowser, ...]:
        """The modern browsers in the order in which they are looked for."""
        found = [one for one in self.modern_browser if isinstance(one, ModernBrowser)]
        if found and all(one.mask.text for one in found):
            opera = MASKS["opera"]
            if all(one.mask != opera for one in found):
                found.append(ModernBrowser(opera, UNREACHABLE))
            order = list(MASKS.values())
            found.sort(key=lambda one: order.index(one.mask))
        return tuple(found)

    @property
    def ancient(self) -> tuple[str, ...]:
        return tuple(word for words in self.ancient_browser for word in words if word != NETSCAPE4)

    @property
    def has_netscape4(self) -> bool:
        return any(NETSCAPE4 in words for words in self.ancient_browser)

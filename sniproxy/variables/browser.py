"""Variables of nginx's browser module: whether the client's browser is modern."""

from __future__ import annotations

import re

from ..config.directives.browser import Browsers
from ..context import RequestContext
from .variable import Variable

_MSIE = re.compile(r"MSIE ...", re.DOTALL)
_NETSCAPE4 = re.compile(r"Mozilla/[1-4].{5}", re.DOTALL)
_WRAP = 2**64


def is_modern(agent: str | None, browsers: Browsers) -> bool:
    """Whether a User-Agent field is that of a modern browser."""
    if agent is None:
        return browsers.takes_unlisted
    modern = browsers.modern
    for one in modern:
        mask = one.mask
        if mask.skip >= len(agent):
            continue
        at = agent.find(mask.text, mask.skip)
        if at < 0 or at + mask.length >= len(agent):
            continue
        return is_at_least(agent[at + mask.length :], one.version)
    if modern and not browsers.takes_unlisted:
        return False
    if browsers.has_netscape4 and len(agent) > len("Mozilla/4.72 ") and _NETSCAPE4.match(agent):
        return False
    if any(text in agent for text in browsers.ancient):
        return False
    return browsers.takes_unlisted


def is_at_least(text: str, least: int) -> bool:
    """Whether the version at the start of `text` is at least `least`."""
    version = number = 0
    scale = 1_000_000
    for character in text:
        if "0" <= character <= "9":
            number = (number * 10 + int(character)) % _WRAP
        elif character == ".":
            version = (version + number * scale) % _WRAP
            if version > least:
                return True
            number, scale = 0, scale // 100
        else:
            break
    return (version + number * scale) % _WRAP >= least


def _modern_browser(ctx: RequestContext) -> str:
    browsers = ctx.location.filters.browsers
    modern = is_modern(ctx.request.header("user-agent"), browsers)
    return browsers.modern_browser_value if modern else ""


def _ancient_browser(ctx: RequestContext) -> str:
    browsers = ctx.location.filters.browsers
    modern = is_modern(ctx.request.header("user-agent"), browsers)
    return "" if modern else browsers.ancient_browser_value


def _msie(ctx: RequestContext) -> str:
    agent = ctx.request.header("user-agent") or ""
    return "1" if "Opera" not in agent and _MSIE.search(agent) else ""


VARIABLES = (
    Variable(
        "modern_browser",
        _modern_browser,
        "`modern_browser_value` if the client's browser is modern",
        changeable=True,
    ),
    Variable(
        "ancient_browser",
        _ancient_browser,
        "`ancient_browser_value` if the client's browser is ancient",
        changeable=True,
    ),
    Variable("msie", _msie, "`1` if the client's browser is MSIE", changeable=True),
)

"""Variables of nginx's secure_link module: whether a link has the right signature."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from functools import partial

from ..config.directives.secure_link import SecureLink
from ..context import CheckedLink, RequestContext
from ..template import VariableLookup
from .variable import Variable

_LONGEST_HASH = 24
"""Maximum length of an MD5 hash in Base64, with padding."""
_MAX_TIME = 2**63 - 1


def secure_link(ctx: RequestContext, values: VariableLookup) -> str | None:
    """The value of `$secure_link`, which is computed once for a request."""
    if ctx.checked_link is None:
        settings, target = ctx.location.filters.secure_link, ctx.request.target
        ctx.checked_link = check_link(settings, target, values, partial(_note_expires, ctx))
    return ctx.checked_link.value


def _note_expires(ctx: RequestContext, expires: str) -> None:
    """Remember when the link expires: `secure_link_md5` may use `$secure_link_expires`."""
    ctx.checked_link = CheckedLink(None, expires)


def _expires(ctx: RequestContext) -> str | None:
    """When the link expires; None for good if `$secure_link` was not evaluated before."""
    if ctx.link_expires is None:
        ctx.link_expires = (None if ctx.checked_link is None else ctx.checked_link.expires,)
    return ctx.link_expires[0]


def check_link(
    settings: SecureLink,
    target: str,
    values: VariableLookup,
    note_expires: Callable[[str], None],
) -> CheckedLink:
    """Check the signature of a link; `target` is the URI as the client has sent it.

    `note_expires` is called with the link's time before `secure_link_md5` is evaluated.
    """
    if settings.secure_link_secret is not None:
        return CheckedLink(signed_link(target, settings.secure_link_secret))
    if settings.secure_link is None or settings.secure_link_md5 is None:
        return CheckedLink(None)
    text, comma, expires = settings.secure_link.render(values).partition(",")
    end = 0
    if comma:
        end = int(expires) if re.fullmatch("[0-9]{1,1000}", expires) else 0
        if not 0 < end <= _MAX_TIME:
            return CheckedLink(None)
        note_expires(expires)
    expires_text = expires if comma else None
    signed = settings.secure_link_md5.render(values).encode("latin-1")
    if len(text) > _LONGEST_HASH or decode_base64url(text) != _md5(signed):
        return CheckedLink(None, expires_text)
    return CheckedLink("0" if comma and end < int(time.time()) else "1", expires_text)


def signed_link(target: str, secret: str) -> str | None:
    """The link in `/prefix/hash/link` if the hash is that of link and secret, else None."""
    match = re.match(r".[^/]*/([^/]*)/(.+)", target, re.DOTALL)
    if match is None or not re.fullmatch("[0-9a-fA-F]{32}", match[1]):
        return None
    expected = _md5((match[2] + secret).encode("latin-1"))
    return match[2] if bytes.fromhex(match[1]) == expected else None


def decode_base64url(text: str) -> bytes | None:
    """Decode Base64 up to the first `=`; None if it is malformed (`ngx_decode_base64url`)."""
    digits = text.partition("=")[0]
    if len(digits) % 4 == 1 or not re.fullmatch("[A-Za-z0-9_-]*", digits):
        return None
    return base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


EXPIRES = Variable(
    "secure_link_expires", _expires, "when the link expires; after $secure_link was evaluated"
)

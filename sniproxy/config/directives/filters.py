"""The settings of the modules that filter responses or evaluate one variable, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self, cast

from .addition import Addition
from .browser import Browsers
from .charset import Charset, Charsets
from .directive import Settings
from .http2 import Http2Responses
from .limits import ResponseRate
from .mirror import Mirror
from .more_headers import MoreHeaders
from .referer import EmptyGif, Referers, StubStatus
from .secure_link import SecureLink
from .slices import Slices
from .ssi import ServerSideIncludes
from .substitution import TextSubstitution
from .userid import UserId


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """The settings of a location, by module."""

    charset: Charset
    more_headers: MoreHeaders
    referers: Referers
    empty_gif: EmptyGif
    rate: ResponseRate
    secure_link: SecureLink
    browsers: Browsers
    userid: UserId
    status: StubStatus
    mirror: Mirror
    substitution: TextSubstitution
    addition: Addition
    ssi: ServerSideIncludes
    slices: Slices
    http2: Http2Responses

    @classmethod
    def resolve(cls, *levels: Mapping[str, Any]) -> Self:
        """Merge the values of `levels`, given innermost first."""
        return cls(*[cast(Any, kind.resolve(*levels)) for kind in FILTER_SETTINGS])

    def merge(self, level: Mapping[str, Any]) -> Self:
        """The settings of a nested level."""
        return type(self)(*(getattr(self, part.name).merge(level) for part in fields(self)))

    def with_charsets(self, known: Charsets) -> Self:
        """The same settings, which refer to the charsets of their configuration."""
        return replace(self, charset=replace(self.charset, known=known))


FILTER_SETTINGS: tuple[type[Settings], ...] = (
    Charset,
    MoreHeaders,
    Referers,
    EmptyGif,
    ResponseRate,
    SecureLink,
    Browsers,
    UserId,
    StubStatus,
    Mirror,
    TextSubstitution,
    Addition,
    ServerSideIncludes,
    Slices,
    Http2Responses,
)
"""The classes of the fields of `FilterSettings`, in their order."""

"""Parts of the model that `http {}` and `stream {}` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from .directives.core import Listen, ServerName
from .directives.upstream import UpstreamGroup
from .reader import Block
from .tree import Place

_RESOLVER_TIMEOUT = 30.0
NOWHERE = Place("", 0)


class _Named(Protocol):
    """Settings with `server_name`."""

    @property
    def server_name(self) -> tuple[tuple[ServerName, ...], ...]: ...
    @property
    def listen(self) -> tuple[Listen, ...]: ...


class NamedServer:
    """A `server {}` block of `http {}` or `stream {}`."""

    __slots__ = ()
    if TYPE_CHECKING:

        @property
        def core(self) -> _Named: ...

    @property
    def listens(self) -> tuple[Listen, ...]:
        """All values of `listen`."""
        return self.core.listen

    @property
    def offers_http2(self) -> bool:
        """Whether the server enables HTTP/2."""
        return False

    @property
    def names(self) -> tuple[ServerName, ...]:
        """All values of `server_name`; the empty name if there is none."""
        return tuple(name for names in self.core.server_name for name in names) or (ServerName(""),)

    @property
    def name(self) -> str:
        """The first `server_name`, as in log lines and `$server_name`."""
        first = self.names[0]
        return first.name.removeprefix(".") if first.pattern is None else f"~{first.name}"


@dataclass(frozen=True, slots=True, eq=False)
class UpstreamBlock:
    """An `upstream NAME {}` block."""

    name: str
    settings: UpstreamGroup
    place: Place


def upstream_block(
    block: Block, module: type[UpstreamGroup], outer: Mapping[str, Any]
) -> UpstreamBlock:
    """The group of a block inside `http {}` or `stream {}`, whose values are `outer`.

    A group whose names are resolved inherits `resolver` and `resolver_timeout`.
    """
    settings = module.resolve(block.values)
    if settings.zone is not None:
        timeout = settings.resolver_timeout
        if timeout is None:
            timeout = outer.get("resolver_timeout")
        settings = replace(
            settings,
            resolver=settings.resolver or outer.get("resolver"),
            resolver_timeout=_RESOLVER_TIMEOUT if timeout is None else timeout,
        )
    return UpstreamBlock(block.value[0], settings, block.place)

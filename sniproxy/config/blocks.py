"""Parts of the model that `http {}` and `stream {}` have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .directives.core import Listen, ServerName
from .directives.upstream import UpstreamGroup
from .tree import Place

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

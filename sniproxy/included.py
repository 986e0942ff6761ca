"""The responses of subrequests that become parts of others, and what SSI commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn, Protocol

from .config.model import Location
from .models import BodyReader, Response


class SubrequestResponse(BodyReader, Protocol):
    """The body of the response of a subrequest."""

    status: int
    """Its status."""
    location: Location
    """The location that it came from."""

    def fail(self, message: str) -> NoReturn:
        """Log an error of the subrequest, and raise `BodyReadError`."""
        ...


class SubrequestRunner(Protocol):
    """Runs subrequests whose responses become a part of another."""

    async def __call__(
        self, uri: str, args: str = "", *, stub: bytes | None = None
    ) -> SubrequestResponse | None:
        """The body of the response; None, which was logged, if they are nested too deeply.

        `stub` is the body in place of an empty one or of a built-in page.
        """
        ...


class SliceResponse(NamedTuple):
    """The response to the request of a slice."""

    response: Response
    report: Callable[[str], None]
    """Logs an error in its head."""


class SliceRunner(Protocol):
    """Requests the slices of a response after the first."""

    async def __call__(self, state: SliceState) -> SliceResponse:
        """The response of the upstream, which may be an error."""
        ...


class SliceState:
    """The slice that is to be requested (`slice`)."""

    __slots__ = ("etag", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.etag: str | None = None
        """The entity tag of the slices before."""


class SsiState:
    """What the SSI commands of a request and its subrequests have set."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.captures: tuple[str, ...] = ()
        """The groups of the last pattern that has matched."""
        self.blocks: dict[str, bytes] = {}
        self.variables_size = 0
        """Length of all values of `variables` that were assigned."""
        self.blocks_size = 0
        """Length of all blocks with their names."""

    def set(self, name: str, value: str) -> None:
        """Set a variable; of the captures, if it is one of them (`ngx_http_ssi_get_variable()`)."""
        if not (len(name) == 1 and name.isdigit() and int(name) < len(self.captures)):
            self.variables[name] = value

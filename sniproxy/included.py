"""The responses of subrequests that become parts of others, and what SSI commands share."""

from __future__ import annotations

from typing import NoReturn, Protocol

from .config.model import Location
from .models import BodyReader


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


class SsiState:
    """What the SSI commands of a request and its subrequests have set."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.captures: tuple[str, ...] = ()
        """The groups of the last pattern that has matched."""
        self.blocks: dict[str, bytes] = {}

    def set(self, name: str, value: str) -> None:
        """Set a variable; of the captures, if it is one of them (`ngx_http_ssi_get_variable()`)."""
        if not (len(name) == 1 and name.isdigit() and int(name) < len(self.captures)):
            self.variables[name] = value

"""`ssi`: process the commands in responses (nginx's SSI filter)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import trio

from ..config.directives.ssi import ServerSideIncludes
from ..config.model import Location
from ..context import RequestContext
from ..included import SsiState, SubrequestResponse
from ..logs.error import ConnectionLog
from ..models import BodyReader, Level, Response
from .changed_body import MediaTypes, reader, without_validators
from .ssi_commands import Inclusion, SsiComplaintError, SsiInterpreter
from .ssi_parser import BrokenCommand, SsiItem, SsiParser, SsiSyntaxError
from .ssi_text import SsiError

PIECE = 65536
"""Bytes of output after which no more commands are executed until it was sent."""
_PAUSE = 1 << 17
"""Bytes read without any output, after which other tasks run."""


class SsiFilter:
    """Processes the commands in the responses of one location."""

    def __init__(self, settings: ServerSideIncludes) -> None:
        self._settings = settings
        self._types = MediaTypes(settings.ssi_types)

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        if (
            response.content_length == 0
            or response.content_type not in self._types
            or response.close_without_response
        ):
            return response
        ctx.content_type = response.content_type
        if not ctx.is_subrequest:
            keeps_date = self._settings.ssi_last_modified
            response = without_validators(response, ctx, keeps_date=keeps_date)
        body = ProcessedBody(reader(response.body), ctx, log, self._settings)
        return response._replace(body=body)


def ssi_filter(location: Location) -> SsiFilter | None:
    """The filter of a location with `ssi on`."""
    settings = location.filters.ssi
    return SsiFilter(settings) if settings.ssi else None


class ProcessedBody:
    """A body whose commands are executed as it is read.

    Text and inclusions wait in a queue, and a subrequest is made when it is the first of them.
    Commands behind an inclusion are executed before it is made, unless it says otherwise
    (`wait`, `set`).
    """

    def __init__(
        self,
        body: BodyReader,
        ctx: RequestContext,
        log: ConnectionLog,
        settings: ServerSideIncludes,
    ) -> None:
        main = ctx.main
        if main.ssi is None:
            main.ssi = SsiState()
        self._body = body
        self._ctx = ctx
        self._log = log
        self._settings = settings
        self._parser = SsiParser(settings.ssi_value_length)
        self._interpreter = SsiInterpreter(ctx, main.ssi)
        self._queue: deque[bytes | Inclusion] = deque()
        self._items: Iterator[SsiItem] = iter(())
        self._included: BodyReader | None = None
        self._ended = False

    async def read(self) -> bytes:
        """The next piece; raises `BodyReadError`."""
        unpaused = 0
        while True:
            if piece := await self._queued():
                return piece
            if self._execute():
                continue
            if self._ended:
                return b""
            data = await self._body.read()
            self._ended = not data
            self._items = self._parser.feed(data)
            unpaused += len(data)
            if unpaused >= _PAUSE:
                unpaused = 0
                await trio.lowlevel.checkpoint()

    async def _queued(self) -> bytes:
        """The next piece from the queue; b"" when it is empty."""
        while True:
            if self._included is not None:
                piece = await self._included.read()
                if piece:
                    return piece
                self._included = None
            if not self._queue:
                return b""
            text: list[bytes] = []
            while self._queue and isinstance(first := self._queue[0], bytes):
                text.append(first)
                self._queue.popleft()
            if text:
                return b"".join(text)
            inclusion = self._queue.popleft()
            assert isinstance(inclusion, Inclusion)
            await self._include(inclusion)

    def _execute(self) -> bool:
        """Execute commands until the output is long or must be waited for; False at the end."""
        size = 0
        for item in self._items:
            output = self._output(item)
            if isinstance(output, Inclusion):
                self._queue.append(output)
                if output.waits:
                    return True
            elif output:
                self._queue.append(output)
                size += len(output)
                if size >= PIECE:
                    return True
        return bool(self._queue)

    def _output(self, item: SsiItem) -> bytes | Inclusion:
        interpreter = self._interpreter
        if isinstance(item, bytes):
            return interpreter.text(item)
        if isinstance(item, SsiSyntaxError):
            self._log.write(Level.ERROR, item.message)
            return b""
        if item is BrokenCommand.END:
            return self._error()
        assert not isinstance(item, BrokenCommand)
        try:
            return interpreter.execute(item)
        except SsiComplaintError as complaint:
            self._log.write(Level.ERROR, str(complaint))
            return complaint.output
        except SsiError as failed:
            if str(failed):
                self._log.write(Level.ERROR, str(failed))
            return self._error()

    def _error(self) -> bytes:
        if self._settings.ssi_silent_errors:
            return b""
        return self._interpreter.error_message.encode("latin-1")

    # --- inclusions ---

    async def _include(self, inclusion: Inclusion) -> None:
        assert self._ctx.include is not None
        body = await self._ctx.include(inclusion.uri, inclusion.args, stub=inclusion.stub)
        if body is None:
            self._queue.appendleft(self._error())
        elif inclusion.variable is not None:
            await self._set(inclusion.variable, body)
        else:
            self._included = body

    async def _set(self, name: str, body: SubrequestResponse) -> None:
        """Set a variable to the body of a subrequest; an error leaves it as it is."""
        value = b""
        most = body.location.filters.ssi.subrequest_output_buffer_size
        while piece := await body.read():
            value += piece
            if len(value) > most:
                body.fail(f"too big subrequest response: {len(value)}")
        is_error = body.status >= 300
        try:
            self._interpreter.assign(name, None if is_error else value.decode("latin-1"))
        except SsiError as failed:
            self._log.write(Level.ERROR, str(failed))

    def discard(self) -> None:
        if self._included is not None:
            self._included.discard()
        self._body.discard()

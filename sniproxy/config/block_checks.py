"""Pass each statement to the checks of the block that it is in: `http {}` or `stream {}`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .directives.directive import STREAM, Args, Context, Directive
from .parse_checks import ParseChecks
from .reader import Block, Checks
from .tree import Statement

if TYPE_CHECKING:
    from .stream_checks import StreamChecks


class BlockChecks:
    """The checks of a configuration; implements `reader.Checks`."""

    def __init__(
        self, http: ParseChecks, stream_read: Callable[[Block, StreamChecks], None]
    ) -> None:
        """`stream_read` is called at the end of `stream {}`."""
        self.http = http
        self.stream: StreamChecks | None = None
        """None before there is a `stream {}`."""
        self._stream_read = stream_read

    def _of(self, inside: Block) -> Checks:
        if self.stream is not None and inside.context in Context.IN_STREAM:
            return self.stream
        return self.http

    def on_directive(self, row: Directive, value: Any, args: Args, inside: Block) -> None:
        self._of(inside).on_directive(row, value, args, inside)

    def on_block_open(self, block: Block, inside: Block) -> None:
        self._of(inside).on_block_open(block, inside)
        if block.context is STREAM:
            # Imported here: most configurations have no `stream {}`.
            from .stream_checks import StreamChecks

            self.stream = StreamChecks(self.http)

    def on_block_close(self, block: Block, inside: Block) -> None:
        if block.context is STREAM:
            assert self.stream is not None
            self._stream_read(block, self.stream)
        else:
            self._of(inside).on_block_close(block, inside)

    def on_entry(self, statement: Statement, block: Block, inside: Block) -> None:
        self._of(inside).on_entry(statement, block, inside)

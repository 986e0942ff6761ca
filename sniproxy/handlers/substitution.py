"""`sub_filter`: replace texts in responses (nginx's sub filter)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import trio

from ..config.directives.substitution import TextReplacement, TextSubstitution
from ..config.model import Location
from ..context import RequestContext
from ..logs.error import ConnectionLog
from ..models import BodyReader, Response
from ..template import VariableLookup
from ..variables import lookup
from .changed_body import MediaTypes, reader, without_validators

PIECE = 65536
"""Bytes after which a piece of output is passed on: replacements may be much longer than texts."""
_PAUSE = 1 << 20
"""Bytes read without any output, after which other tasks run."""


class SubstitutionFilter:
    """Replaces texts in the responses of one location."""

    def __init__(self, settings: TextSubstitution) -> None:
        self._settings = settings
        self._types = MediaTypes(settings.sub_filter_types)
        self._constant: tuple[bytes, ...] | None = None
        if all(pair.text.is_constant for pair in settings.sub_filter):
            self._constant = tuple([pair.text.source.encode("latin-1") for pair in self._pairs])

    @property
    def _pairs(self) -> tuple[TextReplacement, ...]:
        return self._settings.sub_filter

    def apply(self, response: Response, ctx: RequestContext, log: ConnectionLog) -> Response:
        if (
            response.content_length == 0
            or response.content_type not in self._types
            or response.close_without_response
        ):
            return response
        values = lookup(ctx)
        texts = self._constant
        if texts is None:
            texts = tuple([pair.text.render(values).encode("latin-1") for pair in self._pairs])
            if not any(texts):
                return response
        if not ctx.is_subrequest:
            response = without_validators(
                response,
                ctx,
                keeps_date=self._settings.sub_filter_last_modified,
                serves_ranges=True,
            )
        replacer = TextReplacer(texts, self._pairs, values, once=self._settings.sub_filter_once)
        return response._replace(body=SubstitutedBody(reader(response.body), replacer))


def substitution_filter(location: Location) -> SubstitutionFilter | None:
    """The filter of a location with `sub_filter`."""
    settings = location.filters.substitution
    return SubstitutionFilter(settings) if settings.sub_filter else None


class TextReplacer:
    """Replaces texts in a body, piece by piece.

    The leftmost occurrence is replaced first, and of those that begin at the same place the one
    whose text is configured first. What may be the beginning of a text is held back until the
    next piece. A replacement is evaluated when it is first needed.
    """

    def __init__(
        self,
        texts: Sequence[bytes],
        pairs: Sequence[TextReplacement],
        values: VariableLookup,
        *,
        once: bool,
    ) -> None:
        """`texts` are those of `pairs`; empty ones are ignored."""
        self._texts = {index: text.lower() for index, text in enumerate(texts) if text}
        self._pairs = pairs
        self._values = values
        self._once = once
        self._replacements: dict[int, bytes] = {}
        self._longest = max(map(len, self._texts.values()))
        self._held = b""

    def replace(self, piece: bytes, *, ends: bool) -> Iterator[bytes]:
        """The output for the next piece of input, in parts; `ends`: whether it is the last."""
        data = self._held + piece
        lower = data.lower()
        following = {index: lower.find(text) for index, text in self._texts.items()}
        position = 0
        parts: list[bytes] = []
        size = 0
        while True:
            found = min(
                ((start, index) for index, start in following.items() if start >= 0), default=None
            )
            limit = len(data)
            if not ends and (found is None or found[0] > limit - self._longest):
                limit = self._possible_start(lower, position)
            if found is None or (not ends and found[0] >= limit):
                break
            start, index = found
            value = self._value(index)
            parts += (data[position:start], value)
            size += start - position + len(value)
            position = start + len(self._texts[index])
            if size >= PIECE:
                yield b"".join(parts)
                parts, size = [], 0
            if self._once:
                del self._texts[index], following[index]
            for other, place in following.items():
                if 0 <= place < position:
                    following[other] = lower.find(self._texts[other], position)
        parts.append(data[position:limit])
        self._held = data[limit:]
        yield b"".join(parts)

    def _possible_start(self, lower: bytes, position: int) -> int:
        """Where a text may begin that continues in the next piece; the end if none does."""
        end = len(lower)
        texts = self._texts.values()
        firsts = {text[0] for text in texts}
        for start in range(max(position, end - self._longest + 1), end):
            if lower[start] in firsts:
                rest = lower[start:]
                if any(text.startswith(rest) for text in texts):
                    return start
        return end

    def _value(self, index: int) -> bytes:
        value = self._replacements.get(index)
        if value is None:
            value = self._pairs[index].value.render(self._values).encode("latin-1")
            self._replacements[index] = value
        return value


class SubstitutedBody:
    """A body in which texts are replaced; its pieces are of bounded size."""

    def __init__(self, body: BodyReader, replacer: TextReplacer) -> None:
        self._body = body
        self._replacer = replacer
        self._output: Iterator[bytes] = iter(())
        self._ended = False

    async def read(self) -> bytes:
        """The next piece; raises `BodyReadError`."""
        unpaused = 0
        while True:
            for piece in self._output:
                if piece:
                    return piece
            if self._ended:
                return b""
            data = await self._body.read()
            self._ended = not data
            self._output = self._replacer.replace(data, ends=self._ended)
            unpaused += len(data)
            if unpaused >= _PAUSE:
                unpaused = 0
                await trio.lowlevel.checkpoint()

    def discard(self) -> None:
        self._body.discard()

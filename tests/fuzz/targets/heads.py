"""Heads and bodies of HTTP/1."""

from __future__ import annotations

from functools import partial

from sniproxy.http import chunks, request_head, response_head, trailers
from sniproxy.http.request_fields import BadRequestError, HeadRules
from sniproxy.models import Side
from tests.fuzz.targets.target import Target, in_pieces, outcome, prefixes

RULES = HeadRules(client_header_buffer_size=256, large_client_header_buffers=(2, 512))


def request(data: bytes) -> None:
    """A head that arrives in pieces is the one that arrives at once; so is a simple one."""

    def whole() -> object:
        return request_head.HeadReader(RULES).read(data)

    def gradually() -> object:
        reader = request_head.HeadReader(RULES)
        for received in prefixes(data):
            if (parsed := reader.read(received)) is not None:
                return parsed
        return None

    expected = outcome(whole, BadRequestError)
    assert outcome(gradually, BadRequestError) == expected
    simple = request_head.read_simple_head(data, RULES, None)
    assert simple is None or simple == expected
    if isinstance(expected, request_head.ParsedHead):
        assert expected.length <= len(data)
        assert "\n" not in expected.request.line
        for name, value in expected.request.headers:
            assert not set(name + value) & {"\r", "\n", "\0"}


def _without_names(parsed: response_head.ParsedResponse | None) -> object:
    """Only simple heads have the names of their fields ready."""
    return None if parsed is None else parsed._replace(head=parsed.head._replace(names=()))


def response(data: bytes) -> None:
    """So it is with responses, up to the size of the buffer."""
    errors = response_head.BadResponseError, response_head.NotHTTPError

    def read(received: bytes) -> object:
        parsed = response_head.read_response_head(received, request_method="GET", limit=512)
        return _without_names(parsed)

    def gradually() -> object:
        for received in prefixes(data):
            if (parsed := read(received)) is not None:
                return parsed
        return None

    def whole() -> object:
        return read(data)

    expected = outcome(whole, *errors)
    assert outcome(gradually, *errors) == expected
    text = data[:512].decode("latin-1")
    simple = response_head._read_simple(text, "GET")
    assert simple is None or _without_names(simple) == response_head._read(text, "GET")


def gateway(data: bytes) -> None:
    """Heads of uwsgi and SCGI servers."""
    errors = (response_head.BadResponseError,)

    def gradually() -> object:
        for received in prefixes(data):
            parsed = response_head.read_gateway_head(received, request_method="GET", limit=512)
            if parsed is not None:
                return parsed
        return None

    def whole() -> object:
        return response_head.read_gateway_head(data, request_method="GET", limit=512)

    assert outcome(gradually, *errors) == outcome(whole, *errors)


def chunked(data: bytes) -> None:
    """Chunks are decoded alike however they arrive, and no more bytes are missing than said."""

    def decode(side: Side, pieces: list[bytes]) -> object:
        reader = chunks.ChunkReader(side, limit=100_000, keep_trailers=side is Side.UPSTREAM)
        decoded, missing, position = b"", [], 0
        for piece in pieces:
            if reader.done:
                break
            missing.append((position, reader.min_remaining))
            decoded += reader.feed(piece)
            position += len(piece)
        if reader.done:
            end = position - len(reader.leftover)
            if side is Side.CLIENT:  # for an upstream, the trailers are missing too
                assert all(end >= start + least for start, least in missing)
            return decoded, data[end:]
        return decoded

    for side in Side:
        errors = chunks.MalformedChunkError, chunks.BodyTooLargeError
        expected = outcome(partial(decode, side, [data]), *errors)
        gradually = outcome(partial(decode, side, in_pieces(data)), *errors)
        assert gradually == expected or (gradually, expected)[0][0] == expected[0]  # type: ignore[index]


def trailing(data: bytes) -> None:
    def read(pieces: list[bytes]) -> object:
        reader = trailers.TrailerReader(256)
        for at, piece in enumerate(pieces):
            reader.feed(piece)
            if reader.done:
                return reader.trailers, reader.leftover + b"".join(pieces[at + 1 :])
        return reader.trailers

    error = trailers.MalformedTrailersError
    assert outcome(lambda: read(in_pieces(data)), error) == outcome(lambda: read([data]), error)


TARGETS = (
    Target("request_head", request),
    Target("response_head", response),
    Target("gateway_head", gateway),
    Target("chunks", chunked),
    Target("trailers", trailing),
)

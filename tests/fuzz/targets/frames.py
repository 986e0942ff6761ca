"""Frames and header blocks of HTTP/2."""

from __future__ import annotations

from sniproxy.http.http2_frames import Frame, FrameReader, Http2ConnectionError
from sniproxy.http.http2_request import read_http2_head
from sniproxy.http.request_fields import BadRequestError, HeadRules
from sniproxy.http.response_head import BadResponseError
from sniproxy.http.upstream_control import ConnectionWindows, UpstreamFrameError
from sniproxy.http.upstream_fields import HeaderBlockDecoder, HeaderBlockError
from sniproxy.http.upstream_frames import ResponseFrames
from tests.fuzz.targets.target import Target, in_pieces, outcome


def client_frames(data: bytes) -> None:
    """Frames of a client are split and refused alike however they arrive."""

    def read(pieces: list[bytes]) -> tuple[object, ...]:
        reader = FrameReader()
        found: list[Frame] = []
        try:
            for piece in pieces:
                reader.buffer += piece
                found += reader.frames()
        except Http2ConnectionError as error:
            return [frame.raw for frame in found], str(error), error.code
        assert sum(len(frame.raw) for frame in found) + len(reader.buffer) == len(data)
        return [frame.raw for frame in found], bytes(reader.buffer)

    expected, gradually = read([data]), read(in_pieces(data))
    # What is refused ends the connection: the frames before it in the same piece do not matter.
    assert gradually[1:] == expected[1:]


def client_fields(data: bytes) -> None:
    """Lines `name:value` as the fields of a request."""
    fields = []
    for line in data.decode("latin-1").split("\n"):
        name, _, value = line[1:].partition(":")
        fields.append((line[:1] + name, value))
    parsed = outcome(
        lambda: read_http2_head(fields, len(data), HeadRules(), None, ended=True), BadRequestError
    )
    assert parsed is not None


def upstream_frames(data: bytes) -> None:
    """The first byte chooses between gRPC and HTTP; the rest is what the upstream sends."""
    grpc = data[:1] < b"\x80"

    def read(pieces: list[bytes]) -> object:
        frames = ResponseFrames(ConnectionWindows(), limit=4096, resets_to_start=grpc)
        body, has_head = b"", False
        for piece in pieces:
            frames.feed(piece)
            while not has_head and frames.read_head():
                assert frames.head is not None
                if frames.head.status != 103:
                    has_head = True
                    frames.begin_body(frames.head.content_length)
            if has_head:
                body += frames.read_body()
            if frames.is_finished and piece is not pieces[-1]:
                return None  # what follows would be read only if it came with the rest
        frames.take_answers()
        head = frames.head
        return body, frames.done, None if head is None else (head.status, head.headers)

    errors = UpstreamFrameError, BadResponseError
    expected = outcome(lambda: read([data[1:]]), *errors)
    if len(data) < 4096:
        gradually = outcome(lambda: read(in_pieces(data[1:])), *errors)
        both_fail = isinstance(gradually, tuple) and gradually[0] == UpstreamFrameError.__name__
        both_fail &= isinstance(expected, tuple) and expected[0] == UpstreamFrameError.__name__
        # Of two errors the first one that arrives is reported.
        assert both_fail or gradually in (expected, None)


def upstream_fields(data: bytes) -> None:
    """A header block is decoded alike however it arrives."""

    def decode(pieces: list[bytes]) -> object:
        decoder, fields = HeaderBlockDecoder(4096), []
        for piece in pieces:
            decoder.feed(piece)
            while (field := decoder.next_field()) is not None:
                fields.append(field)
        return fields, decoder.is_incomplete

    expected = outcome(lambda: decode([data]), HeaderBlockError)
    assert outcome(lambda: decode(in_pieces(data)), HeaderBlockError) == expected


TARGETS = (
    Target("client_frames", client_frames),
    Target("client_fields", client_fields),
    Target("upstream_frames", upstream_frames),
    Target("upstream_fields", upstream_fields),
)

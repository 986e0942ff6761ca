"""grpcio's client and server through `grpc_pass`, on nginx and on sniproxy."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest

from sniproxy.testing.upstreams import generate_certificates, upstreams_in_thread
from sniproxy.testing.upstreams.catalog import GRPC, GRPC_UNAVAILABLE
from sniproxy.testing.upstreams.catalog.http2_upstreams import GRPC_NEEDS_SNI
from tests.compare_nginx import Served, served
from tests.nginx import NGINX
from tests.programs import OURS, Program

LARGEST = 17 << 20
OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.max_send_message_length", LARGEST),
    ("grpc.so_reuseport", 0),
    ("grpc.enable_retries", 0),
)
PATIENCE = 20.0
programs = pytest.mark.parametrize(
    "program",
    [OURS, pytest.param(NGINX, marks=pytest.mark.nginx)],
    ids=lambda program: program.name,
)

Context = Any


class Behavior(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The methods of the server; messages are bytes."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._methods = {
            "/t.T/Echo": grpc.unary_unary_rpc_method_handler(self._echo),
            "/t.T/Count": grpc.unary_stream_rpc_method_handler(self._count),
            "/t.T/Join": grpc.stream_unary_rpc_method_handler(self._join),
            "/t.T/Each": grpc.stream_stream_rpc_method_handler(self._each),
            "/t.T/Fail": grpc.unary_unary_rpc_method_handler(self._fail),
            "/t.T/Silent": grpc.unary_unary_rpc_method_handler(self._silent),
        }

    def service(self, details: Any) -> Any:
        return self._methods.get(details.method)

    def _echo(self, request: bytes, context: Context) -> bytes:
        sent = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-first", "1"),))
        context.set_trailing_metadata((("x-got", str(sent.get("x-sent"))), ("x-bin", b"\0\xff")))
        return request

    def _count(self, request: bytes, context: Context) -> Iterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()

    def _join(self, requests: Iterator[bytes], context: Context) -> bytes:
        return b",".join(requests)

    def _each(self, requests: Iterator[bytes], context: Context) -> Iterator[bytes]:
        for request in requests:
            yield request.upper()

    def _fail(self, request: bytes, context: Context) -> bytes:
        context.set_trailing_metadata((("x-why", "because"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: 100%")
        raise AssertionError("abort() raises")

    def _silent(self, request: bytes, context: Context) -> bytes:
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(PATIENCE)
        return b""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    generate_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def behavior() -> Behavior:
    return Behavior()


@pytest.fixture(scope="module")
def server(certificates: Path, behavior: Behavior) -> Iterator[tuple[int, int]]:
    """A gRPC server; its ports without and with TLS."""
    running = grpc.server(ThreadPoolExecutor(8), handlers=(behavior,), options=OPTIONS)
    key, chain = ((certificates / f"good.{end}").read_bytes() for end in ("key", "pem"))
    secure = grpc.ssl_server_credentials([(key, chain)])
    ports = (
        running.add_insecure_port("127.0.0.1:0"),
        running.add_secure_port("127.0.0.1:0", secure),
    )
    running.start()
    yield ports
    running.stop(None)


@pytest.fixture
def proxied(
    request: pytest.FixtureRequest, tmp_path: Path, server: tuple[int, int], certificates: Path
) -> Iterator[Served]:
    """A proxy in front of the server: without TLS, with TLS, with TLS on both sides."""
    program: Program = request.getfixturevalue("program")
    plain, secure = server
    with served(
        program,
        tmp_path,
        f"""
        log_format grpc '$status $upstream_status $sent_trailer_grpc_status';
        access_log access.log grpc;
        client_max_body_size 0;
        upstream kept {{ server 127.0.0.1:{plain}; keepalive 4; }}
        grpc_ssl_name upstream.test;
        grpc_ssl_server_name on;
        grpc_ssl_verify on;
        grpc_ssl_trusted_certificate {certificates}/root.pem;
        server {{ listen 127.0.0.1:@PORT@; http2 on; location / {{ grpc_pass grpc://kept; }} }}
        server {{
            listen 127.0.0.1:@PORT2@; http2 on;
            location / {{ grpc_pass grpcs://127.0.0.1:{secure}; }}
        }}
        server {{
            listen 127.0.0.1:@PORT3@ ssl; http2 on;
            ssl_certificate {certificates}/good.pem; ssl_certificate_key {certificates}/good.key;
            location / {{ grpc_pass grpcs://127.0.0.1:{secure}; }}
        }}
        """,
    ) as running:
        yield running


def channel(proxy: Served, port: str, certificates: Path) -> Any:
    address = f"127.0.0.1:{proxy.ports[port]}"
    if port != "3":
        return grpc.insecure_channel(address, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials((certificates / "root.pem").read_bytes())
    named = (("grpc.ssl_target_name_override", "upstream.test"),)
    return grpc.secure_channel(address, credentials, options=(*OPTIONS, *named))


ports = pytest.mark.parametrize("port", ["", "2", "3"], ids=["plain", "grpcs", "both"])


@programs
@ports
def test_unary_calls_carry_metadata_both_ways(
    program: Program, proxied: Served, port: str, certificates: Path
) -> None:
    with channel(proxied, port, certificates) as opened:
        method = opened.unary_unary("/t.T/Echo")
        for number in range(20):
            answer, call = method.with_call(
                f"hello {number}".encode(), timeout=PATIENCE, metadata=(("x-sent", "a b"),)
            )
            assert answer == f"hello {number}".encode()
            assert ("x-first", "1") in call.initial_metadata()
            assert ("x-got", "a b") in call.trailing_metadata()
            assert ("x-bin", b"\0\xff") in [tuple(one) for one in call.trailing_metadata()]
            assert call.code() is grpc.StatusCode.OK
    assert proxied.log(lines=20) == ["200 200 0"] * 20


@programs
@ports
def test_messages_of_16_mib_pass_both_ways(
    program: Program, proxied: Served, port: str, certificates: Path
) -> None:
    message = bytes(range(256)) * (16 << 12)
    with channel(proxied, port, certificates) as opened:
        answer = opened.unary_unary("/t.T/Echo")(message, timeout=60)
    assert answer == message


@programs
@ports
def test_both_kinds_of_streams_pass(
    program: Program, proxied: Served, port: str, certificates: Path
) -> None:
    with channel(proxied, port, certificates) as opened:
        counted = opened.unary_stream("/t.T/Count")(b"500", timeout=PATIENCE)
        assert list(counted) == [str(number).encode() for number in range(500)]
        joined = opened.stream_unary("/t.T/Join")(
            iter(str(number).encode() for number in range(500)), timeout=PATIENCE
        )
        assert joined == b",".join(str(number).encode() for number in range(500))


@programs
@ports
def test_each_message_of_a_stream_is_answered_before_the_next_is_sent(
    program: Program, proxied: Served, port: str, certificates: Path
) -> None:
    outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    with channel(proxied, port, certificates) as opened:
        requests: Callable[[], bytes | None] = outgoing.get
        answers = opened.stream_stream("/t.T/Each")(iter(requests, None), timeout=PATIENCE)
        for word in (b"one", b"two", b"three" * 20_000, b"four"):
            outgoing.put(word)
            assert next(answers) == word.upper()
        outgoing.put(None)
        assert list(answers) == []
        assert answers.code() is grpc.StatusCode.OK


@programs
def test_errors_of_the_server_reach_the_client(
    program: Program, proxied: Served, certificates: Path
) -> None:
    with channel(proxied, "", certificates) as opened:
        with pytest.raises(grpc.RpcError) as failed:
            opened.unary_unary("/t.T/Fail")(b"", timeout=PATIENCE)
        assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert failed.value.details() == "not today: 100%"
        assert ("x-why", "because") in failed.value.trailing_metadata()
        with pytest.raises(grpc.RpcError) as unknown:
            opened.unary_unary("/t.T/Nothing")(b"", timeout=PATIENCE)
        assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


@programs
def test_a_deadline_ends_the_call_at_the_server(
    program: Program, proxied: Served, certificates: Path, behavior: Behavior
) -> None:
    behavior.cancelled.clear()
    with channel(proxied, "2", certificates) as opened:
        with pytest.raises(grpc.RpcError) as late:
            opened.unary_unary("/t.T/Silent")(b"", timeout=0.2)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert behavior.cancelled.wait(PATIENCE)
        assert opened.unary_unary("/t.T/Echo")(b"next", timeout=PATIENCE) == b"next"


@programs
def test_sni_decides_whether_an_upstream_is_reached(
    program: Program, tmp_path: Path, certificates: Path
) -> None:
    with upstreams_in_thread(certificates) as upstreams:
        picky = upstreams.start(GRPC_NEEDS_SNI)
        http = f"""
            grpc_ssl_name upstream.test;
            server {{
                listen 127.0.0.1:@PORT@; http2 on;
                location / {{ grpc_pass grpcs://{picky.address}; }}
                location /t.T/ {{
                    grpc_pass grpcs://{picky.address};
                    grpc_ssl_server_name on;
                }}
            }}
        """
        with served(program, tmp_path, http) as proxy, channel(proxy, "", certificates) as opened:
            assert opened.unary_unary("/t.T/Echo")(b"", timeout=PATIENCE) == b""
            with pytest.raises(grpc.RpcError) as failed:
                opened.unary_unary("/other/Echo")(b"", timeout=PATIENCE)
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
            (line,) = [one for one in proxy.log("error.log", 1) if "SSL_do_handshake" in one]
        assert "unrecognized name" in line
        assert [record.server_name for record in picky.connections] == ["upstream.test", None]
        assert {record.hello.alpn for record in picky.connections if record.hello} == {(b"h2",)}


@programs
def test_a_failure_may_be_a_grpc_status(
    program: Program, tmp_path: Path, certificates: Path
) -> None:
    with upstreams_in_thread(certificates) as upstreams:
        absent = upstreams.start("absent")
        unavailable, good = upstreams.start(GRPC_UNAVAILABLE), upstreams.start(GRPC)
        http = f"""
            server {{
                listen 127.0.0.1:@PORT@; http2 on;
                location /absent/ {{
                    grpc_pass grpc://{absent.address};
                    error_page 502 = /error502grpc;
                }}
                location /unavailable/ {{ grpc_pass grpcs://{unavailable.address}; }}
                location /good/ {{ grpc_pass grpcs://{good.address}; }}
                location = /error502grpc {{
                    internal;
                    default_type application/grpc;
                    add_header grpc-status 14;
                    add_header content-length 0;
                    return 204;
                }}
            }}
        """
        with served(program, tmp_path, http) as proxy, channel(proxy, "", certificates) as opened:
            assert opened.unary_unary("/good/Echo")(b"", timeout=PATIENCE) == b""
            for name in ("absent", "unavailable"):
                with pytest.raises(grpc.RpcError) as failed:
                    opened.unary_unary(f"/{name}/Echo")(b"", timeout=PATIENCE)
                assert failed.value.code() is grpc.StatusCode.UNAVAILABLE, name

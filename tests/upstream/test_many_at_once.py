"""Two hundred concurrent requests to a group with failing peers, compared with nginx."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
import trio

from tests.compare_nginx import NginxPair, get, paired_with_nginx, served
from tests.nginx import NGINX

REQUESTS = 200
LIVE = (1, 2, 3)
METHODS = {
    "turns": "",
    "least": "least_conn;",
    "hash": "hash $arg_k;",
    "consistent": "hash $arg_k consistent;",
    "random": "random;",
    "random-two": "random two;",
    "kept": "keepalive 40;",
    "none-kept": "keepalive 0;",
}


@contextlib.contextmanager
def hangs_up() -> Iterator[int]:
    """A server that accepts connections and closes them without a response."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxPair]:
    with contextlib.ExitStack() as stack:
        live = "".join(
            f"server {{ listen 127.0.0.1:@PORT{n}@; access_log off; return 204; }}" for n in LIVE
        )
        upstreams = stack.enter_context(served(NGINX, tmp_path_factory.mktemp("live"), live))
        absent = stack.enter_context(socket.socket())
        absent.bind(("127.0.0.1", 0))
        ports = [*(upstreams.ports[str(n)] for n in LIVE), absent.getsockname()[1]]
        ports.insert(1, stack.enter_context(hangs_up()))
        servers = "".join(f"server 127.0.0.1:{port};" for port in ports)
        http = "log_format f '$status $upstream_status'; access_log access.log f;"
        places = ""
        for name, text in METHODS.items():
            http += f"upstream {name} {{ {text} {servers} }}\n"
            places += f"location /{name} {{ proxy_pass http://{name}; }}\n"
        http += f"server {{ listen 127.0.0.1:@PORT@; {places} }}"
        yield stack.enter_context(paired_with_nginx(tmp_path_factory.mktemp("many"), http))


async def ask_all(port: int, path: str) -> Counter[bytes]:
    """The status lines of many requests, all sent before a response is read."""
    statuses: Counter[bytes] = Counter()
    opened = trio.Event()
    waiting = REQUESTS

    async def ask(number: int) -> None:
        nonlocal waiting
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            waiting -= 1
            if not waiting:
                opened.set()
            await opened.wait()
            await stream.send_all(get(f"{path}?k={number}", "Connection: close"))
            answer = b"".join([data async for data in stream])
            statuses[answer.partition(b"\r\n")[0]] += 1

    async with trio.open_nursery() as nursery:
        for number in range(REQUESTS):
            nursery.start_soon(ask, number)
    return statuses


@pytest.mark.nginx
@pytest.mark.parametrize("method", METHODS)
def test_no_client_hears_of_it(both: NginxPair, method: str) -> None:
    for one in both.both:
        statuses = trio.run(ask_all, one.ports[""], f"/{method}")
        assert statuses == {b"HTTP/1.1 204 No Content": REQUESTS}, one.program.name
        lines = one.log(lines=REQUESTS)
        assert len(lines) == REQUESTS
        assert any(" 502, 204" in line for line in lines), one.program.name

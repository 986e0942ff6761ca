"""What hostile peers do to `stream {}`: memory and sockets stay bounded, and others are served."""

from __future__ import annotations

import contextlib
import os
import socket

import sniproxy
from sniproxy.stream.datagrams import DatagramClient
from tests.stream.sessions import wait_until


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_flood_of_datagrams_is_limited_by_worker_connections() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        config = f"""
            events {{ worker_connections 20; }}
            stream {{ server {{
                listen 127.0.0.1:0 udp;
                proxy_pass 127.0.0.1:{sink.getsockname()[1]};
                proxy_timeout 100ms;
            }} }}
        """
        with sniproxy.serve_in_thread(config) as proxy:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
                first.sendto(b"opens what is opened once", proxy.addresses[0])
                proxy.wait_for(lambda: proxy.sessions)
            before = descriptors()
            clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(60)]
            for client in clients:
                client.sendto(b"flood", proxy.addresses[0])
            proxy.wait_for(
                lambda: any(
                    "worker_connections are not enough" in r.message for r in proxy.error_log
                )
            )
            assert descriptors() <= before + 60 + 20
            for client in clients:
                client.close()
            proxy.wait_for(lambda: len(proxy.sessions) >= 18)
            wait_until(lambda: descriptors() <= before)
            assert descriptors() <= before


def test_sessions_leave_no_descriptors() -> None:
    config = """
        events {}
        stream {
            server { listen 127.0.0.1:0; proxy_pass 127.0.0.1:1; }
            server { listen 127.0.0.2:0; ssl_preread on; proxy_pass 127.0.0.1:1; }
        }
    """
    with sniproxy.serve_in_thread(config) as proxy:
        before = 0
        for number in range(42):
            if number == 2:  # what is opened once is open now
                proxy.wait_for(lambda: len(proxy.sessions) == 2)
                before = descriptors()
            # The session may be over before the client has done its part.
            sock = socket.create_connection(proxy.addresses[number % 2])
            with sock, contextlib.suppress(OSError):
                sock.sendall(b"\x16\3\1")
                sock.shutdown(socket.SHUT_WR)
                sock.recv(1)
        proxy.wait_for(lambda: len(proxy.sessions) == 42)
        wait_until(lambda: descriptors() <= before)
        assert descriptors() <= before
        assert {session.status for session in proxy.sessions} == {200, 502}


def test_upstream_that_reads_nothing_bounds_what_is_read() -> None:
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        config = f"""
            events {{}}
            stream {{ server {{
                listen 127.0.0.1:0;
                proxy_pass 127.0.0.1:{upstream.getsockname()[1]};
            }} }}
        """
        with sniproxy.serve_in_thread(config) as proxy:
            with socket.create_connection(proxy.addresses[0]) as client:
                client.settimeout(0.5)
                sent = 0
                try:
                    while sent < 200 << 20:
                        sent += client.send(bytes(1 << 20))
                except TimeoutError:
                    pass
                assert sent < 100 << 20
            accepted, _ = upstream.accept()
            received = 0
            while data := accepted.recv(1 << 20):
                received += len(data)
            accepted.close()
            assert received == sent


def test_replies_after_the_end_of_listening_are_lost() -> None:
    """A reload closes the socket that sessions reply with; nothing is sent, and nothing fails."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        client = DatagramClient(sock, ("127.0.0.1", 9), "", lambda: None)
    client.send(b"late")

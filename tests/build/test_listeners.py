"""`listen`: which sockets are bound, and which server is the default of an address."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from sniproxy.build import listeners
from sniproxy.build.listeners import ListenSocket, bind_all, bindings, check_binding
from sniproxy.models import ConfigError
from tests.configured import servers


def bound(directory: Path, *listens: str) -> list[ListenSocket]:
    """The bindings of servers s0, s1 …; each argument has the `listen` parameters of one server."""
    text = ""
    for number, output in enumerate(listens):
        directives = "".join(f"listen {one};" for one in output.split(", "))
        text += f"server {{ server_name s{number}; {directives} }}"
    return bindings(servers(directory, f"ssl_certificate auto; {text}"))


@pytest.mark.parametrize(
    ("listens", "sockets"),
    [
        (["127.0.0.1:80"], ["127.0.0.1:80"]),
        (["80"], ["0.0.0.0:80"]),
        (["*:80"], ["0.0.0.0:80"]),
        (["[::1]:80"], ["[::1]:80"]),
        (["[::]:80, 80"], ["[::]:80", "0.0.0.0:80"]),
        (["80", "127.0.0.1:80"], ["0.0.0.0:80"]),
        (["127.0.0.1:80", "80"], ["0.0.0.0:80"]),
        (["127.0.0.1:80", "127.0.0.2:80"], ["127.0.0.1:80", "127.0.0.2:80"]),
        (["80", "127.0.0.1:81"], ["0.0.0.0:80", "127.0.0.1:81"]),
        (["127.0.0.1:80", "127.0.0.1:80"], ["127.0.0.1:80"]),
        (["127.0.0.1:80-82"], ["127.0.0.1:80", "127.0.0.1:81", "127.0.0.1:82"]),
        (["80 quic"], []),
        (["80 quic reuseport, 80"], ["0.0.0.0:80"]),
        (["unix:/run/a.sock"], ["unix:/run/a.sock"]),
    ],
)
def test_listen_sockets(tmp_path: Path, listens: list[str], sockets: list[str]) -> None:
    assert [binding.text for binding in bound(tmp_path, *listens)] == sockets


def test_specific_address_next_to_the_wildcard(tmp_path: Path) -> None:
    (binding,) = bound(tmp_path, "80", "127.0.0.1:80", "80")
    own, wildcard = binding.listener_for("127.0.0.1"), binding.listener_for("127.0.0.2")
    assert own.text == "127.0.0.1:80"
    assert [server.name for server in own.names.servers] == ["s1"]
    assert wildcard.text == "0.0.0.0:80"
    assert [server.name for server in wildcard.names.servers] == ["s0", "s2"]


@pytest.mark.parametrize(
    ("listens", "default"),
    [
        (["80", "80"], "s0"),
        (["80", "80 default_server"], "s1"),
        (["81", "80"], "s0"),
    ],
)
def test_default_server_of_an_address(tmp_path: Path, listens: list[str], default: str) -> None:
    binding = bound(tmp_path, *listens)[0]
    assert binding.listener_for("").names.default.name == default


def test_ssl_of_any_server_enables_tls(tmp_path: Path) -> None:
    made = servers(
        tmp_path,
        "ssl_reject_handshake on;"
        "server { listen 443; } server { listen 443 ssl; } server { listen 80; }",
    )
    assert [binding.listener_for("").ssl for binding in bindings(made)] == [True, False]


def test_socket_options_are_set(tmp_path: Path) -> None:
    first, second = bound(tmp_path, "127.0.0.1:80 backlog=7 reuseport, [::1]:80 ipv6only=off")
    assert (first.backlog, first.reuseport) == (7, True)
    assert (second.backlog, second.reuseport, second.ipv6only) == (511, False, False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_sockets_are_bound(tmp_path: Path) -> None:
    wanted = bound(tmp_path, f"127.0.0.1:{free_port()}, unix:{tmp_path}/a.sock")
    sockets = bind_all(wanted, report=lambda failure: None)
    for binding, sock in sockets:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert not sock.getblocking()
        sock.close()
        binding.unlink()
    assert not os.path.exists(f"{tmp_path}/a.sock")


def test_address_in_use_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "BIND_PAUSE", 0)
    reports: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = bound(tmp_path, f"127.0.0.1:{port}")
        with pytest.raises(ConfigError) as refused:
            bind_all(wanted, lambda failure: reports.append(str(failure)))
        check_binding(wanted)
    words = os.strerror(errno.EADDRINUSE)
    assert reports == [f"bind() to 127.0.0.1:{port} failed (98: {words})"] * 5
    assert str(refused.value) == "still could not bind()"


def test_foreign_address_is_an_error(tmp_path: Path) -> None:
    wanted = bound(tmp_path, "192.0.2.1:80")
    for bind in (check_binding, lambda all_: bind_all(all_, lambda failure: None)):
        with pytest.raises(ConfigError) as refused:
            bind(wanted)
        assert str(refused.value).startswith("bind() to 192.0.2.1:80 failed (99: ")

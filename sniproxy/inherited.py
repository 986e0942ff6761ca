"""Listening sockets that one program hands to another (signal USR2).

Their descriptors are in the environment, `NGINX=5;6;`, as nginx has it: so nginx can hand its
sockets to sniproxy, and get them back. What belongs to the live page is in a variable of its own:
the descriptor of the lock that its server holds, and its token, so that its URL stays valid.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence

from . import process_signals
from .build.listeners import UNIX, BoundSocket, ListenSocket
from .cycle import PageHandover
from .system import UNIX_FAMILY

VARIABLE = "NGINX"
PAGE_VARIABLE = "SNIPROXY_LIVE"


def execute(sockets: Sequence[BoundSocket], page: PageHandover | None = None) -> int:
    """Start this program again as it was started, with the sockets; returns its process ID."""
    if sys.platform == "win32":
        raise NotImplementedError
    descriptors = [sock.fileno() for _, sock in sockets]
    environment = {**os.environ, VARIABLE: "".join(f"{number};" for number in descriptors)}
    if page is not None:
        environment[PAGE_VARIABLE] = f"{page.lock};{page.token}"
        descriptors.append(page.lock)
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in descriptors:
            os.set_inheritable(number, True)
        process_signals.unblock_all()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    finally:
        os._exit(1)


class InheritedSockets:
    """The sockets that were handed over, as the environment had them; none if `text` is empty."""

    def __init__(self, text: str, page_text: str = "") -> None:
        self.text = text
        self.page = PageHandover.parse(page_text)
        """What was handed over of a live page; None for nothing."""
        self._parent = os.getppid()
        self._sockets: list[socket.socket] = []
        for word in text.split(";"):
            with contextlib.suppress(OSError, ValueError):
                self._sockets.append(_adopt(int(word)))

    def bound_to(self, bindings: Sequence[ListenSocket]) -> list[BoundSocket]:
        """Those on addresses that are listened on."""
        known = {binding.identity: binding for binding in bindings}
        return [
            (known[identity], sock)
            for sock in self._sockets
            if (identity := (sock.type == socket.SOCK_DGRAM, _key(sock))) in known
        ]

    def parent_serves(self) -> bool:
        """Whether the program that has handed them over still runs."""
        return bool(self.text) and os.getppid() == self._parent

    def close(self) -> None:
        """Close them all; those in use have been duplicated."""
        for sock in self._sockets:
            sock.close()


def take() -> InheritedSockets:
    """The sockets of the environment, which forgets them."""
    page = os.environ.pop(PAGE_VARIABLE, "")
    text = os.environ.pop(VARIABLE, "")
    return InheritedSockets(text, page if text else "")


def _adopt(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def _key(sock: socket.socket) -> tuple[str, int]:
    name = sock.getsockname()
    if sock.family == UNIX_FAMILY:
        return f"{UNIX}{name}", 0
    host, port = name[:2]
    if sock.family == socket.AF_INET6:
        return f"[{host}]", port
    return "*" if host == "0.0.0.0" else host, port

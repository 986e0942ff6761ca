"""A network link with latency: two TUN devices, and a thread that passes on packets later.

It replaces `tc netem delay`, which needs a module that not every kernel has.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from typing import Self

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_PACKET = 65536


def _open_device(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    request = struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    return descriptor


class DelayedLink:
    """A link from `here` to the address `there` in the namespace `space`; a context manager.

    Each packet arrives `delay` seconds after it was sent, in both directions. `name` has at most
    14 characters.
    """

    def __init__(self, space: str, name: str, here: str, there: str, delay: float) -> None:
        self._space = space
        self._names = f"{name}a", f"{name}b"
        self._addresses = here, there
        self._delay = delay
        self._stopper, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._pass_packets, daemon=True)
        self._devices: tuple[int, int] = (-1, -1)

    def __enter__(self) -> Self:
        near, far = self._names
        here, there = self._addresses
        self._devices = _open_device(near), _open_device(far)
        inside = ("-n", self._space)
        for words in (
            ("link", "set", far, "netns", self._space),
            ("addr", "add", here, "peer", there, "dev", near),
            (*inside, "addr", "add", there, "peer", here, "dev", far),
            ("link", "set", near, "up"),
            (*inside, "link", "set", far, "up"),
        ):
            subprocess.run(("ip", *words), check=True, capture_output=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopper.close()
        self._thread.join()
        self._stopped.close()
        for device in self._devices:
            os.close(device)  # the kernel removes it

    def _pass_packets(self) -> None:
        near, far = self._devices
        stopped = self._stopped.fileno()
        waiting: deque[tuple[float, int, bytes]] = deque()
        while True:
            pause = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
            readable, _, _ = select.select((near, far, stopped), (), (), pause)
            if stopped in readable:
                return
            now = time.monotonic()
            for device, other in ((near, far), (far, near)):
                if device in readable:
                    waiting.append((now + self._delay, other, os.read(device, _PACKET)))
            while waiting and waiting[0][0] <= now:
                _, device, packet = waiting.popleft()
                with contextlib.suppress(OSError):  # the kernel may refuse it, as a network may
                    os.write(device, packet)

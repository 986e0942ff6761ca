"""Replacements for what some systems lack: flags, sockets, reading at an offset, processes.

A flag that a system does not have is 0. Modules that need a system with processes and signals of
POSIX say so by raising NotImplementedError, or by an assertion.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
from collections.abc import Iterator

O_BINARY: int = getattr(os, "O_BINARY", 0)
"""Without it Windows translates line ends."""
O_CLOEXEC: int = getattr(os, "O_CLOEXEC", 0)
O_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
O_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
READ = os.O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_BINARY
"""To open what may be a FIFO, which would wait for a writer without O_NONBLOCK."""
UNIX_FAMILY: int | None = getattr(socket, "AF_UNIX", None)
"""The family of UNIX sockets; None where Python has none, and they are refused by `config`."""
SOCK_NONBLOCK: int = getattr(socket, "SOCK_NONBLOCK", 0)
CONNECTING = frozenset(
    {errno.EINPROGRESS, errno.EWOULDBLOCK} if sys.platform == "win32" else {errno.EINPROGRESS}
)
"""Errors of a non-blocking `connect()` that is in progress. On Linux EWOULDBLOCK means that the
queue of a UNIX socket is full."""
LINGER_FORMAT = "HH" if sys.platform == "win32" else "ii"
"""`struct linger`."""

_position_lock = threading.Lock()

PIPE_SIZE = 1 << 20
"""Bytes in a pipe for `splice`; what Linux allows to ordinary users (`fs.pipe-max-size`)."""
CAN_SPLICE = hasattr(os, "splice")


def splice(source: int, target: int, size: int) -> int:
    """Move bytes between a pipe and a socket; returns how many. Raises `OSError`."""
    if sys.platform != "linux":
        raise NotImplementedError
    return os.splice(source, target, size, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)


@contextlib.contextmanager
def _at_position(descriptor: int, position: int) -> Iterator[None]:
    """Move the position of a file while the block runs."""
    with _position_lock:
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, position, os.SEEK_SET)
        try:
            yield
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)


def read_at(descriptor: int, size: int, position: int) -> bytes:
    """At most `size` bytes of a file from `position` on. Raises `OSError`."""
    if sys.platform != "win32":
        return os.pread(descriptor, size, position)
    with _at_position(descriptor, position):
        return os.read(descriptor, size)


def write_at(descriptor: int, data: bytes | memoryview, position: int) -> int:
    """Write to a file at `position`; returns how many bytes. Raises `OSError`."""
    if sys.platform != "win32":
        return os.pwrite(descriptor, data, position)
    with _at_position(descriptor, position):
        return os.write(descriptor, data)


def write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data` to a file. Raises `OSError`."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def disk_size(status: os.stat_result) -> int:
    """Bytes that a file takes on the disk: its length where the system does not say."""
    if sys.platform == "win32":
        return status.st_size
    return status.st_blocks * 512


def free_bytes(folder: str) -> int:
    """The free space for ordinary users on the disk of a folder, in bytes. Raises `OSError`."""
    import shutil  # takes milliseconds

    return shutil.disk_usage(os.fsencode(folder)).free


def is_root() -> bool:
    """Whether this process may do everything, as the superuser of POSIX."""
    return sys.platform != "win32" and os.geteuid() == 0


def is_alive(process: int) -> bool:
    """Whether a process runs; for one that has shared memory with this one."""
    if process == os.getpid():
        return True
    if sys.platform == "win32":
        return False  # signal 0 is Ctrl-C there, and no memory is shared
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def unix_family() -> int:
    """The family of UNIX sockets, for an address that `config` has accepted."""
    assert UNIX_FAMILY is not None
    return UNIX_FAMILY


def prepare_listening(sock: socket.socket) -> None:
    """Let the address of a socket be listened on again at once, and by no other program."""
    if sys.platform == "win32":
        # SO_REUSEADDR would let several programs listen on one address there.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

"""The OpenSSL error queue as text, and nginx's levels."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from sniproxy.models import Failure, FailureType, Level, Side
from sniproxy.tls import openssl
from sniproxy.tls.errors import (
    NATIVE,
    ORDINARY_ERRNOS,
    error_text,
    openssl_failure,
    socket_failure,
    timeout_failure,
)
from sniproxy.tls.openssl import FAILED, SYSCALL, QueuedError, binding

NAME_NEEDED = QueuedError(0x0A000458, "SSL routines", "tlsv1 unrecognized name")
BAD_RECORD = QueuedError(0x0A000139, "SSL routines", "record layer failure")
NOT_MINE = QueuedError(0x0A0000B9, "SSL routines", "no cipher match")
NO_FILE = QueuedError(0x80000002, "system library", "No such file or directory")


@pytest.mark.parametrize(
    ("queue", "text"),
    [
        ([], "f() failed"),
        (
            [NAME_NEEDED],
            "f() failed (SSL: error:0A000458:SSL routines::tlsv1 unrecognized name"
            ":SSL alert number 112)",
        ),
        (
            [NOT_MINE, BAD_RECORD],
            "f() failed (SSL: error:0A0000B9:SSL routines::no cipher match "
            "error:0A000139:SSL routines::record layer failure)",
        ),
        (
            [NO_FILE],
            "f() failed (SSL: error:80000002:system library::No such file or directory:why)",
        ),
    ],
)
def test_error_queue_as_text(queue: list[QueuedError], text: str) -> None:
    assert error_text("f() failed", queue, data={0x80000002: "why"}) == text


@pytest.mark.parametrize(
    ("queue", "ssl_error", "number", "client", "upstream"),
    [
        ([NAME_NEEDED], FAILED, 0, Level.INFO, Level.ERROR),
        ([NOT_MINE, BAD_RECORD], FAILED, 0, Level.INFO, Level.ERROR),
        ([BAD_RECORD, NOT_MINE], FAILED, 0, Level.CRIT, Level.CRIT),
        ([], SYSCALL, errno.EPIPE, Level.INFO, Level.ERROR),
        ([], SYSCALL, errno.EIO, Level.CRIT, Level.CRIT),
        ([NAME_NEEDED], openssl.WANT_READ, 0, Level.CRIT, Level.CRIT),
    ],
)
def test_levels_of_tls_errors(
    queue: list[QueuedError], ssl_error: int, number: int, client: Level, upstream: Level
) -> None:
    for side, level in ((Side.CLIENT, client), (Side.UPSTREAM, upstream)):
        failure = openssl_failure("f() failed", side, queue, ssl_error=ssl_error, errno=number)
        assert failure.level is level
        assert failure.kind is FailureType.ERROR
        assert failure.errno == (number or None)


def test_errno_counts_only_with_ssl_error_syscall() -> None:
    failure = openssl_failure("f() failed", Side.CLIENT, [NOT_MINE], ssl_error=FAILED, errno=11)
    assert failure.errno is None


def test_errno_is_printed_once() -> None:
    queue = [QueuedError(0x80000000 | errno.EPIPE, "system library", "Broken pipe")]
    failure = openssl_failure(
        "f() failed", Side.CLIENT, queue, ssl_error=SYSCALL, errno=errno.EPIPE
    )
    assert failure.message == "f() failed (32: Broken pipe)"


@pytest.mark.parametrize("number", [0, *ORDINARY_ERRNOS])
def test_levels_of_socket_errors(number: int) -> None:
    assert socket_failure("recv() failed", Side.CLIENT, number).level is Level.INFO
    assert socket_failure("recv() failed", Side.UPSTREAM, number).level is Level.ERROR
    assert socket_failure("recv() failed", Side.UPSTREAM, errno.EBADF).level is Level.ALERT


def test_timeout_failures() -> None:
    assert timeout_failure(Side.UPSTREAM) == Failure(
        "upstream timed out", Level.ERROR, FailureType.TIMEOUT, errno.ETIMEDOUT
    )
    assert timeout_failure(Side.CLIENT).message == "client timed out (110: Connection timed out)"


def test_drain_error_queue_empties_the_queue() -> None:
    assert openssl.Pem.from_bytes(b"\n").certificate() is None
    (queued,) = openssl.drain_error_queue()
    assert queued == QueuedError(0x0480006C, "PEM routines", "no start line")
    assert (queued.library_number, queued.reason_number) == (9, 108)
    assert openssl.drain_error_queue() == []


def test_verify_error_text() -> None:
    assert NATIVE.verify(18) == "self-signed certificate"


def test_every_symbol_used_is_checked() -> None:
    room = Path(binding.__file__).parent
    source = "".join(file.read_text() for file in room.glob("*.py"))
    assert set(re.findall(r"\blib\.([A-Za-z0-9_]+)", source)) == set(binding.NEEDED.split())
    assert binding.missing_symbols(binding.lib) == []
    assert binding.missing_symbols(object()) == binding.NEEDED.split()


def test_missing_symbol_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "NEEDED", "SSL_new SSL_levitate")
    with pytest.raises(ImportError, match=r"pyOpenSSL .* lacks .* OpenSSL: SSL_levitate$"):
        binding.check_binding()


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (b"\x02h2\x08http/1.1", b"http/1.1"),
        (b"\x08http/1.0\x08http/1.1", b"http/1.1"),
        (b"\x08http/0.9", b"http/0.9"),
        (b"\x02h2", None),
        (b"", None),
    ],
)
def test_choose_alpn(offered: bytes, chosen: bytes | None) -> None:
    assert openssl.choose_alpn(offered) == chosen

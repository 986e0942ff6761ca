"""The failures: each a name and a call that provokes it, the likeliest first.

Where two inputs that one release tells apart are the same to another, the first one counts.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .hellos import ALERTS, HELLOS, RAW, TLS12_HELLO, hello, record
from .talking import (
    Provoked,
    PythonPeer,
    Reply,
    Settings,
    Tamper,
    our_end,
    python_client,
    python_server,
    says,
    talk,
)

Case = tuple[str, Callable[[], Provoked | None]]
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ONLY12, ONLY13 = Settings(highest="TLSv1.2"), Settings(lowest="TLSv1.3")


def changed(at: int, value: int, wanted: int = 0) -> Tamper:
    """The flight `wanted` with one byte changed."""

    def tamper(flight: int, data: bytes) -> bytes:
        if flight != wanted or at >= len(data):
            return data
        return data[:at] + bytes([value]) + data[at + 1 :]

    return tamper


def changed_ticket(flight: int, data: bytes) -> bytes:
    """A TLS 1.2 server's ticket altered: nothing is amiss but that the peers read differently."""
    return data[:9] + bytes([data[9] ^ 1]) + data[10:] if flight == 1 and len(data) > 9 else data


def last_byte_of(wanted: int) -> Tamper:
    return lambda flight, data: (
        data[:-1] + bytes([data[-1] ^ 1]) if flight == wanted and data else data
    )


def replaced(wanted: int, by: bytes) -> Tamper:
    return lambda flight, data: by if flight == wanted else data


def before(wanted: int, what: bytes) -> Tamper:
    return lambda flight, data: what + data if flight == wanted else data


def after(wanted: int, what: bytes) -> Tamper:
    return lambda flight, data: data + what if flight == wanted else data


def upstream(
    files: Path,
    reply: Reply,
    tamper: Tamper | None = None,
    settings: Settings = Settings(),  # noqa: B008
) -> Provoked | None:
    return talk(our_end(files, settings, False), reply, "upstream", tamper)


def client(
    files: Path,
    reply: Reply,
    tamper: Tamper | None = None,
    settings: Settings = Settings(),  # noqa: B008
) -> Provoked | None:
    return talk(our_end(files, settings, True), reply, "client", tamper)


def raw_failures(files: Path) -> Iterator[Case]:
    for number in ALERTS:
        alert = record(21, bytes([2, number]))
        yield f"alert {number}", partial(upstream, files, says(alert))
        yield (
            f"client: alert {number}",
            partial(client, files, says(hello(TLS12_HELLO), alert)),
        )
    for name, data in RAW.items():
        yield name, partial(upstream, files, says(data))
        yield f"client: {name}", partial(client, files, says(data))
        yield (
            f"client: {name} after a 1.2 hello",
            partial(client, files, says(hello(TLS12_HELLO), data)),
        )
        yield (
            f"client: {name} after a 1.3 hello",
            partial(client, files, says(hello(), data)),
        )


def versions(only: ssl.TLSVersion) -> dict[str, Any]:
    return {"minimum_version": only, "maximum_version": only}


def upstream_failures(files: Path) -> Iterator[Case]:
    def meet(
        tamper: Tamper | None = None,
        settings: Settings = Settings(),  # noqa: B008
        then: bytes = b"HTTP/1.0 200 OK\r\n\r\n",
        **python: Any,
    ) -> Callable[[], Provoked | None]:
        return lambda: upstream(
            files, PythonPeer(python_server(files, **python), True, then), tamper, settings
        )

    yield "good", meet()
    yield "1.2 wanted of a 1.3 server", meet(minimum_version=TLS13, settings=ONLY12)
    yield "1.3 wanted of a 1.2 server", meet(maximum_version=TLS12, settings=ONLY13)
    yield (
        "no cipher in common",
        meet(
            maximum_version=TLS12,
            ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
            settings=Settings(ciphers=b"ECDHE-RSA-AES128-GCM-SHA256", highest="TLSv1.2"),
        ),
    )
    wanted: dict[str, Any] = {"verify_mode": ssl.CERT_REQUIRED, "trusted": "ca.pem"}
    for version, name in ((TLS12, "1.2"), (TLS13, "1.3")):
        only = versions(version)
        yield (
            f"client certificate missing ({name})",
            meet(settings=Settings(certificate=""), **wanted, **only),
        )
        yield (
            f"client certificate of an unknown issuer ({name})",
            meet(settings=Settings(certificate="own"), **wanted, **only),
        )
        for flight in (0, 1, 2):
            yield f"corrupted flight {flight} ({name})", meet(last_byte_of(flight), **only)
        yield f"altered ticket ({name})", meet(changed_ticket, **only)
    for version, name in ((TLS12, "1.2"), (TLS13, "1.3")):
        only = versions(version)
        for flight in (0, 1, 2):
            for what, data in RAW.items():
                yield f"{what} for flight {flight} ({name})", meet(replaced(flight, data), **only)
                yield f"{what} before flight {flight} ({name})", meet(before(flight, data), **only)
                yield f"{what} after flight {flight} ({name})", meet(after(flight, data), **only)
    yield "an ALPN not asked for", meet(settings=Settings(alpn=b"\x02h2"), alpn=["h2"])
    yield "no group in common", meet(curve="secp521r1", settings=Settings())


def client_failures(files: Path) -> Iterator[Case]:
    def meet(
        settings: Settings = Settings(),  # noqa: B008
        tamper: Tamper | None = None,
        then: bytes = b"GET / HTTP/1.0\r\n\r\n",
        **python: Any,
    ) -> Callable[[], Provoked | None]:
        return lambda: client(
            files, PythonPeer(python_client(files, **python), False, then), tamper, settings
        )

    yield "client: good", meet()
    yield "client: too old", meet(settings=ONLY13, maximum_version=TLS12)
    yield "client: too new", meet(settings=ONLY12, minimum_version=TLS13)
    yield (
        "client: no cipher in common",
        meet(
            settings=Settings(ciphers=b"ECDHE-ECDSA-AES256-GCM-SHA384"),
            maximum_version=TLS12,
            ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
    )
    yield (
        "client: certificate of another kind",
        meet(maximum_version=TLS12, ciphers="ECDHE-RSA-AES128-GCM-SHA256"),
    )
    yield "client: no ALPN in common", meet(alpn=["spdy/3"])
    yield "client: rejected", meet(settings=Settings(reject=True))
    yield "client: rejected (1.2)", meet(settings=Settings(reject=True), maximum_version=TLS12)
    for version, name in ((TLS12, "1.2"), (TLS13, "1.3")):
        only = versions(version)
        yield f"client: unknown CA ({name})", meet(verify_mode=ssl.CERT_REQUIRED, **only)
        yield (
            f"client: its certificate is asked for ({name})",
            meet(Settings(verify=True), certificate="own", **only),
        )
        for flight in (0, 1, 2):
            yield (
                f"client: corrupted flight {flight} ({name})",
                meet(tamper=last_byte_of(flight), **only),
            )
    for version, name in ((TLS12, "1.2"), (TLS13, "1.3")):
        only = versions(version)
        for flight in (0, 1, 2):
            for what, data in RAW.items():
                for how in (replaced, before, after):
                    yield (
                        f"client: {what} {how.__name__} flight {flight} ({name})",
                        meet(tamper=how(flight, data), **only),
                    )


def hello_failures(files: Path) -> Iterator[Case]:
    every = Settings(lowest="TLSv1", ciphers=b"ALL:@SECLEVEL=0")
    for name, data in HELLOS.items():
        yield f"hello: {name}", partial(client, files, says(data))
        yield f"hello for 1.3: {name}", partial(client, files, says(data), None, ONLY13)
        yield f"hello for 1.2: {name}", partial(client, files, says(data), None, ONLY12)
        yield f"hello for all: {name}", partial(client, files, says(data), None, every)


def damaged(files: Path) -> Iterator[Case]:
    """Every byte of every plain flight, changed in several ways."""
    for name, data in (("1.2", hello(TLS12_HELLO)), ("1.3", hello())):
        for at in range(len(data)):
            for value in damages(data[at]):
                broken = data[:at] + bytes([value]) + data[at + 1 :]
                yield (
                    f"damaged hello ({name}): {at} {value}",
                    partial(client, files, says(broken)),
                )
    for version, name in ((TLS12, "1.2"), (TLS13, "1.3")):
        only = versions(version)
        context = python_server(files, num_tickets=0, **only)
        # The signature's length varies; where the certificate lies does not.
        for at in range(1200 if version == TLS12 else 140):
            for value in (0, 1, 3, 255):
                yield (
                    f"damaged server flight ({name}): {at} {value}",
                    partial(upstream, files, PythonPeer(context, True), changed(at, value)),
                )
    asking = Settings(verify=True)
    knowing = python_client(files, certificate="own", maximum_version=TLS12)
    for settings, name in ((Settings(), "no certificate"), (asking, "certificate")):
        for at in range(600 if name == "certificate" else 130):
            for value in (0, 1, 3, 255):
                yield (
                    f"damaged client flight ({name}): {at} {value}",
                    partial(
                        client, files, PythonPeer(knowing, False), changed(at, value, 1), settings
                    ),
                )


def damages(byte: int) -> set[int]:
    return {0, 1, 2, 3, 255, byte ^ 1, byte ^ 0x80, (byte + 1) % 256} - {byte}


def all_failures(files: Path) -> Iterator[Case]:
    for some in (raw_failures, upstream_failures, client_failures, hello_failures):
        yield from some(files)

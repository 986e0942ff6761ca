"""`ssl_stapling` and `ssl_ocsp` with a responder, beside nginx."""

from __future__ import annotations

import contextlib
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.x509 import ocsp
from OpenSSL import SSL

from tests.compare_nginx import Served, served
from tests.config.oracle import nginx_verdict
from tests.nginx import NGINX
from tests.programs import OURS, Program
from tests.tls.ocsp_responder import HOUR, NOW, Issued, OCSPResponder, issue, ocsp_responder

PATIENCE = 10.0
DEFAULT_URL = "http://127.0.0.1:{port}/ocsp"


@dataclass(frozen=True, slots=True)
class Pki:
    """The certificates of a test."""

    ca: Issued
    other_ca: Issued
    server: Issued
    client: Issued
    nested: Issued
    """A client certificate by an intermediate CA."""
    intermediate: Issued
    delegate: Issued
    """May sign responses for the CA."""
    impostor: Issued
    """Of the CA, but must not sign responses."""


@contextlib.contextmanager
def setting() -> Iterator[tuple[Pki, OCSPResponder]]:
    known: dict[int, Issued] = {}
    ca = issue("CA", is_ca=True)
    with ocsp_responder(ca, known) as responder:
        url = DEFAULT_URL.format(port=responder.port)
        intermediate = issue("Intermediate", ca, responder=url, is_ca=True)
        pki = Pki(
            ca,
            issue("Other CA", is_ca=True),
            issue("front.test", ca, responder=url),
            issue("client", ca, responder=url),
            issue("nested", intermediate, responder=url),
            intermediate,
            issue("OCSP", ca, signs_ocsp=True),
            issue("Impostor", ca),
        )
        for one in (pki.server, pki.client, pki.nested, intermediate):
            known[one.certificate.serial_number] = one
        yield pki, responder


def staple(served: Served) -> bytes:
    """The response stapled to a handshake; b"" for none."""
    found: list[bytes] = []

    def received(connection: SSL.Connection, data: bytes, extra: object) -> bool:
        found.append(data)
        return True

    context = SSL.Context(SSL.TLS_METHOD)
    context.set_ocsp_client_callback(received)
    with served.connected() as sock:
        sock.setblocking(True)
        client = SSL.Connection(context, sock)
        client.set_tlsext_host_name(b"front.test")
        client.request_ocsp()
        client.set_connect_state()
        client.do_handshake()
        client.shutdown()
    return found[0]


def write_files(room: Path, pki: Pki) -> None:
    room.mkdir()
    pki.server.write(room, "server", pki.ca)
    pki.client.write(room, "client")
    pki.nested.write(room, "nested", pki.intermediate)
    (room / "ca.pem").write_bytes(pki.ca.pem)
    (room / "other.pem").write_bytes(pki.other_ca.pem)


def error_lines(running: Served, *, at_least: int = 0) -> list[str]:
    lines: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while True:
        lines += [line for line in running.log("error.log") if "[notice]" not in line]
        found_lines = [line for line in lines if "OCSP" in line or "certificate" in line]
        if len(found_lines) >= at_least or time.monotonic() > deadline:
            return [_masked(line) for line in found_lines]
        time.sleep(0.005)


def _masked(line: str) -> str:
    line = re.sub(r"^.*?\[(\w+)\] \d+#\d+: (\*\d+ )?", r"[\1] ", line)
    line = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", line)
    return re.sub(r"\(SSL: error:\w+:OCSP routines::", "(SSL: ", line)


STAPLING = """
    {more}
    server {{ listen 127.0.0.1:@PORT@ ssl; server_name front.test;
        ssl_certificate server.pem; ssl_certificate_key server.key;
        ssl_stapling on; {directives} }}"""


@dataclass(frozen=True, slots=True)
class Case:
    """A behaviour of the responder."""

    change: Callable[[OCSPResponder, Pki], None] = lambda responder, pki: None
    directives: str = ""
    stapled: bool = True
    lines: int = 0
    """Least number of lines in the error log."""
    status: int = 0
    """The status that the responder answers with, if nothing is logged about it."""


def change(**values: object) -> Callable[[OCSPResponder, Pki], None]:
    def apply(responder: OCSPResponder, pki: Pki) -> None:
        for name, value in values.items():
            setattr(responder, name, getattr(pki, value) if isinstance(value, str) else value)

    return apply


def revoke(responder: OCSPResponder, pki: Pki) -> None:
    responder.revoked.add(pki.server.certificate.serial_number)


def forget(responder: OCSPResponder, pki: Pki) -> None:
    responder.unknown.add(pki.server.certificate.serial_number)


VERIFY = "ssl_stapling_verify on; ssl_trusted_certificate ca.pem;"
REFUSED = Case(stapled=False, lines=1)
TRY_LATER = ocsp.OCSPResponseStatus.TRY_LATER
CASES = {
    "good": Case(),
    "no end": Case(change(next_update=None)),
    "revoked": Case(revoke, stapled=False, lines=1),
    "unknown": Case(forget, stapled=False, lines=1),
    "expired": Case(
        change(this_update=NOW - 3 * HOUR, next_update=NOW - HOUR), stapled=False, lines=1
    ),
    "not yet": Case(
        change(this_update=NOW + HOUR, next_update=NOW + 2 * HOUR), stapled=False, lines=1
    ),
    "other certificate": Case(change(other_certificate="client"), stapled=False, lines=1),
    "try later": Case(change(unsuccessful=TRY_LATER), stapled=False, lines=1),
    "content type": Case(
        lambda responder, pki: setattr(responder, "kind", "text/html"), stapled=False, lines=1
    ),
    "not found": Case(change(status=404), stapled=False, status=404),
    "verified": Case(directives=VERIFY),
    "delegated": Case(change(signer="delegate"), VERIFY),
    "not verified": Case(change(signer="impostor")),
    "impostor": Case(change(signer="impostor"), VERIFY, stapled=False, lines=1),
    "signer missing": Case(
        change(signer="delegate", sends_signer=False), VERIFY, stapled=False, lines=1
    ),
    "not trusted": Case(
        change(signer="delegate"),
        "ssl_stapling_verify on; ssl_trusted_certificate other.pem;",
        stapled=False,
        lines=1,
    ),
    "other url": Case(directives="ssl_stapling_responder http://127.0.0.1:{port}/x/y/;"),
    "refused": Case(
        directives="ssl_stapling_responder http://127.0.0.1:1/;", stapled=False, lines=2
    ),
}


@pytest.mark.nginx
@pytest.mark.parametrize("name", CASES)
def test_responses_are_stapled_as_by_nginx(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    seen = []
    with setting() as (pki, responder):
        case.change(responder, pki)
        directives = case.directives.replace("{port}", str(responder.port))
        for program in (OURS, NGINX):
            seen.append(stapled(program, tmp_path, pki, directives, case, responder))
            hosts = {line.partition(" ")[2] for line in responder.received}
            assert hosts <= {"127.0.0.1"}
            assert bool(responder.received) == (name != "refused")
    ours, theirs = seen
    assert ours[0] is theirs[0] is case.stapled
    assert ours[1] == theirs[1]


def stapled(
    program: Program,
    folder: Path,
    pki: Pki,
    directives: str,
    case: Case,
    responder: OCSPResponder,
) -> tuple[bool, list[str]]:
    """Whether a response is stapled in the end, and the lines of the error log."""
    room = folder / program.name
    write_files(room, pki)
    text = STAPLING.format(more="", directives=directives)
    with served(program, room, text) as running:
        assert staple(running) == b""  # the first handshake only starts a request
        found_lines = error_lines(running, at_least=case.lines) if case.lines else []
        deadline = time.monotonic() + PATIENCE
        while case.status and not responder.received and time.monotonic() < deadline:
            time.sleep(0.005)
        found = staple(running)
        while case.stapled and not found and time.monotonic() < deadline:
            found = staple(running)
        return bool(found), found_lines


IGNORED = {
    "no issuer": "ssl_trusted_certificate other.pem;",
    "no url": "ssl_certificate plain.pem; ssl_certificate_key plain.key;",
    "https": "ssl_trusted_certificate ca.pem; ssl_stapling_responder https://127.0.0.1/;",
    "prefix": "ssl_trusted_certificate ca.pem; ssl_stapling_responder http://;",
    "port": "ssl_trusted_certificate ca.pem; ssl_stapling_responder http://127.0.0.1:x/;",
    "host": "ssl_trusted_certificate ca.pem; ssl_stapling_responder http://no.such.invalid/;",
}


@pytest.mark.nginx
@pytest.mark.parametrize("name", IGNORED)
def test_stapling_is_ignored_as_by_nginx(tmp_path: Path, name: str) -> None:
    pki_room = tmp_path / "files"
    with setting() as (pki, _):
        write_files(pki_room, pki)
        issue("front.test", pki.ca).write(pki_room, "plain", pki.ca)
    (pki_room / "leaf.pem").write_bytes(pki.server.pem)
    directives = IGNORED[name]
    if "plain.pem" not in directives:
        directives += "ssl_certificate leaf.pem; ssl_certificate_key server.key;"
    text = f"""events {{ }} http {{ server {{ listen 127.0.0.1:18443 ssl;
        ssl_stapling on; {directives} }} }}"""
    assert sniproxy_warnings(pki_room, text) == nginx_verdict(pki_room, text.encode()).warnings
    assert nginx_verdict(pki_room, text.encode()).warnings


def sniproxy_warnings(folder: Path, text: str) -> tuple[str, ...]:
    file = folder / "nginx.conf"
    file.write_text(text)
    run = subprocess.run(
        [sys.executable, "-m", "sniproxy", "-t", "-p", str(folder), "-c", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"\[warn\] (.*)", run.stderr)
    return tuple(line.replace(str(file), "FILE") for line in found)


CHECKING = """
    log_format x "$status $ssl_client_verify"; access_log access.log x;
    server {{ listen 127.0.0.1:@PORT@ ssl; server_name front.test;
        ssl_certificate server.pem; ssl_certificate_key server.key;
        ssl_verify_client on; ssl_verify_depth 3; ssl_client_certificate ca.pem;
        {directives} location / {{ return 200 ok; }} }}"""


def get_with(running: Served, room: Path, certificate: str) -> int:
    """The status of a request with a client certificate; 0 if the connection was closed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(room / f"{certificate}.pem", room / f"{certificate}.key")
    with (
        running.connected() as plain,
        context.wrap_socket(plain, server_hostname="front.test") as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: front.test\r\nConnection: close\r\n\r\n")
        received = b""
        with contextlib.suppress(OSError):
            while data := client.recv(4096):
                received += data
    return int(received.split(b" ")[1]) if received else 0


@dataclass(frozen=True, slots=True)
class Check:
    """A request with a client certificate."""

    status: int = 200
    directives: str = "ssl_ocsp on;"
    certificate: str = "client"
    change: Callable[[OCSPResponder, Pki], None] = lambda responder, pki: None
    lines: int = 0


def revoke_client(responder: OCSPResponder, pki: Pki) -> None:
    responder.revoked.add(pki.client.certificate.serial_number)


def revoke_intermediate(responder: OCSPResponder, pki: Pki) -> None:
    responder.revoked.add(pki.intermediate.certificate.serial_number)


def forget_client(responder: OCSPResponder, pki: Pki) -> None:
    responder.unknown.add(pki.client.certificate.serial_number)


FIXED = "ssl_ocsp on; ssl_ocsp_responder http://127.0.0.1:{port}/fixed;"
CHECKS = {
    "good": Check(),
    "off": Check(directives="ssl_ocsp off;", change=revoke_client),
    "revoked": Check(400, change=revoke_client, lines=1),
    "unknown": Check(400, change=forget_client, lines=1),
    "leaf": Check(directives="ssl_ocsp leaf;"),
    "leaf revoked": Check(400, "ssl_ocsp leaf;", change=revoke_client, lines=1),
    "optional": Check(
        400, "ssl_ocsp on; ssl_verify_client optional;", change=revoke_client, lines=1
    ),
    "fixed responder": Check(directives=FIXED),
    "cached": Check(directives="ssl_ocsp on; ssl_ocsp_cache shared:statuses:64k;"),
    "cached revoked": Check(
        400, "ssl_ocsp on; ssl_ocsp_cache shared:statuses:64k;", change=revoke_client, lines=2
    ),
    "try later": Check(400, change=change(unsuccessful=TRY_LATER), lines=2),
    "impostor": Check(400, change=change(signer="impostor"), lines=2),
    "delegated": Check(change=change(signer="delegate")),
    "not found": Check(400, change=change(status=404), lines=1),
    "refused": Check(400, "ssl_ocsp on; ssl_ocsp_responder http://127.0.0.1:1/;", lines=3),
    "no url": Check(400, certificate="plain", lines=2),
    "two requests": Check(certificate="client"),
}


@pytest.mark.nginx
@pytest.mark.parametrize("name", CHECKS)
def test_client_certificates_are_checked_as_by_nginx(tmp_path: Path, name: str) -> None:
    check = CHECKS[name]
    seen = []
    with setting() as (pki, responder):
        check.change(responder, pki)
        directives = check.directives.replace("{port}", str(responder.port))
        plain = issue("plain", pki.ca)
        for program in (OURS, NGINX):
            room = tmp_path / program.name
            write_files(room, pki)
            plain.write(room, "plain")
            responder.received.clear()
            text = CHECKING.format(directives=directives)
            if "ssl_verify_client" in directives:
                text = text.replace("ssl_verify_client on;", "", 1)
            with served(program, room, text) as running:
                statuses = [get_with(running, room, check.certificate) for _ in range(2)]
                lines = error_lines(running, at_least=check.lines * 2) if check.lines else []
                access = running.log(lines=2)
            seen.append((statuses, lines, access, len(responder.received)))
    assert seen[0] == seen[1]
    assert seen[1][0] == [check.status] * 2


@pytest.mark.nginx
def test_ssl_ocsp_needs_a_verified_chain(tmp_path: Path) -> None:
    with setting() as (pki, _):
        write_files(tmp_path / "files", pki)
    room = tmp_path / "files"
    text = """events { } http { server { listen 127.0.0.1:18443 ssl; ssl_certificate server.pem;
        ssl_certificate_key server.key; ssl_ocsp on; ssl_verify_client optional_no_ca; } }"""
    expected = nginx_verdict(room, text.encode()).error
    assert expected is not None
    file = room / "nginx.conf"
    run = subprocess.run(
        [sys.executable, "-m", "sniproxy", "-t", "-p", str(room), "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"[emerg] {expected.replace('FILE', str(file))}\n" in run.stderr

"""The development CA: certificates, storage, unusual names."""

from __future__ import annotations

import datetime
import ipaddress
import multiprocessing
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sniproxy.models import ConfigError, Side
from sniproxy.server_name import certificate_names, check_host
from sniproxy.tls import ca as ca_module
from sniproxy.tls.ca import DevCA, host_name
from sniproxy.tls.stream import TLSStream

from . import authority
from .pairs import tls_pair


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> DevCA:
    return DevCA.open(tmp_path_factory.mktemp("state"))


@pytest.mark.parametrize(
    "name", ["7bu.top", "w" * 63 + ".7bu.top", ".".join(["x" * 60] * 4), "127.0.0.1", "::1"]
)
def test_certificate_has_what_browsers_require(name: str, ca: DevCA) -> None:
    leaf = ca.issue([name]).certificate
    subject: x509.GeneralName = x509.DNSName(name)
    if name[:1] in "1:":
        subject = x509.IPAddress(ipaddress.ip_address(name))
    # Rules of the CA/Browser Forum: SAN, key usages, key identifiers, path length.
    verifier = PolicyBuilder().store(Store([ca.certificate])).build_server_verifier(subject)  # type: ignore[arg-type]
    assert verifier.verify(leaf, []) == [leaf, ca.certificate]
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= datetime.timedelta(397)


def test_wildcard_certificate(ca: DevCA) -> None:
    names = certificate_names(ca.issue(["7bu.top", "*.7bu.top"]).certificate)
    assert check_host(names, "a.7bu.top")
    assert check_host(names, "7bu.top")
    assert not check_host(names, "a.b.7bu.top")


def test_ca_is_created_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    first, second = DevCA.open(state), DevCA.open(state)
    assert first.certificate == second.certificate
    assert first.certificate_path.read_bytes() == first.certificate.public_bytes(Encoding.PEM)
    assert [path.name for path in state.iterdir()] == ["ca"]
    for path, mode in ((state, 0o700), (state / "ca", 0o700), (state / "ca/ca-key.pem", 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_environment_variable_sets_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNIPROXY_STATE", str(tmp_path / "mine"))
    assert DevCA.open().certificate_path == tmp_path / "mine" / "ca" / "ca.pem"


def _open(state: str) -> bytes:
    return DevCA.open(state).certificate.public_bytes(Encoding.DER)


def test_concurrent_processes_share_one_ca(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        found = pool.map(_open, [str(tmp_path / "state")] * 4, chunksize=1)
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["ca"]


@pytest.mark.parametrize("file", ["ca.pem", "ca-key.pem"])
@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_damaged_ca_is_an_error(file: str, content: bytes | None, tmp_path: Path) -> None:
    DevCA.open(tmp_path)
    path = tmp_path / "ca" / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="development CA") as refused:
        DevCA.open(tmp_path)
    assert refused.value.file is None
    if content is None:
        assert str(refused.value).endswith("(2: No such file or directory)")


def test_mismatched_key_is_an_error(tmp_path: Path) -> None:
    DevCA.open(tmp_path)
    (tmp_path / "ca" / "ca-key.pem").write_bytes(authority.key_pem(authority.make().key))
    with pytest.raises(ConfigError, match="the key is not the certificate's"):
        DevCA.open(tmp_path)


def test_expired_ca_is_an_error(tmp_path: Path) -> None:
    DevCA.open(tmp_path)
    old = authority.make(
        ca=True, starts=authority.NOW - 9 * authority.DAY, ends=authority.NOW - authority.DAY
    )
    (tmp_path / "ca" / "ca.pem").write_bytes(authority.pem(old.certificate))
    (tmp_path / "ca" / "ca-key.pem").write_bytes(authority.key_pem(old.key))
    with pytest.raises(ConfigError, match=r"expired on \d{4}-\d\d-\d\d; remove the folder"):
        DevCA.open(tmp_path)


def test_file_instead_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot use the development CA"):
        DevCA.open(tmp_path / "state")


async def names_for(ca: DevCA, server_name: str | None, *default: str) -> tuple[str, ...]:
    """The names on the certificate that a client receives."""
    context = ca.context(server_name, default)
    client = SSL.Context(SSL.TLS_METHOD)
    pair = tls_pair(context, client)
    async with trio.open_nursery() as nursery:
        for stream in pair:
            nursery.start_soon(stream.do_handshake, 5)
    certificate = pair[1].peer_certificate
    for stream in pair:
        stream.shutdown()
    assert certificate is not None
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return tuple(str(name.value) for name in names.value)


@pytest.mark.parametrize(
    ("server_name", "default", "expected"),
    [
        ("7bu.top", ("other.test",), ("7bu.top",)),
        ("A.7bu.TOP.", (), ("a.7bu.top",)),
        (None, ("*.7bu.top", "127.0.0.1"), ("*.7bu.top", "127.0.0.1")),
        (None, (r"~^www\d+", "_", ""), ("_",)),
        (None, (r"~^www\d+", ""), ("localhost",)),
        ("a..b", ("7bu.top",), ("7bu.top",)),
        ("x" * 64 + ".test", (), ("localhost",)),
        ("a.b\x00c", (), ("localhost",)),
        ("fe80::1%\n", (), ("localhost",)),
        ("x." * 127 + "x", (), ("localhost",)),
        ("b\xfccher.example", (), ("localhost",)),
    ],
)
async def test_names_on_the_certificate(
    server_name: str | None, default: tuple[str, ...], expected: tuple[str, ...], ca: DevCA
) -> None:
    assert await names_for(ca, server_name, *default) == expected


@given(st.text(st.characters(max_codepoint=255), max_size=300) | st.from_regex(ca_module._DNS_NAME))
def test_no_name_is_too_odd(text: str) -> None:
    name = host_name(text)
    if name is not None:
        x509.SubjectAlternativeName([ca_module._general_name(name)]).public_bytes()
        assert host_name(name) == name
        assert len(name) <= 253


def test_contexts_are_retained_up_to_a_number(ca: DevCA, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca_module, "MAX_CONTEXTS", 3)
    monkeypatch.setattr(ca, "_contexts", type(ca._contexts)())
    first = ca.context("0.test", ciphers="HIGH")
    assert ca.context("0.test", ciphers="HIGH") is first
    assert ca.context("0.TEST.", ciphers="HIGH") is first
    assert ca.context("0.test", ciphers="DEFAULT") is not first
    for n in range(5):
        ca.context(f"{n}.test", ciphers="HIGH")
    assert len(ca._contexts) == 3
    assert ca.context("0.test", ciphers="HIGH") is not first


async def test_strict_python_client_trusts_the_certificate(ca: DevCA) -> None:
    trusting = ssl.create_default_context(cafile=str(ca.certificate_path))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = socket.socketpair()

    def client() -> None:
        trusting.wrap_socket(far, server_hostname="7bu.top").close()

    thread = threading.Thread(target=client)
    thread.start()
    stream = TLSStream(near, Side.CLIENT, ca.context("7bu.top"))
    await stream.do_handshake(5)
    await trio.to_thread.run_sync(thread.join)
    stream.shutdown()

"""`sniproxy ca`: shows the development CA, issues from it, and makes browsers trust it."""

from __future__ import annotations

import hashlib
import os
import pty
import re
import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from sniproxy.tls.ca import STATE_VARIABLE
from tests.cli.commands import Outcome, Sniproxy
from tests.cli.processes import HEAD, served
from tests.nginx import NGINX
from tests.programs import SNIPROXY, Command


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder in which nobody has been yet, and a home that has to stay as it is."""
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path / "state"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_for_its_owner_alone(state: Path, sniproxy: Sniproxy) -> None:
    rendered = sniproxy("ca")
    assert (rendered.status, rendered.stderr) == (0, "")
    assert mode(state) == mode(state / "ca") == 0o700
    assert mode(state / "ca" / "ca-key.pem") == 0o600
    made = (state / "ca" / "ca.pem").read_bytes()
    assert sniproxy("ca") == rendered
    assert (state / "ca" / "ca.pem").read_bytes() == made


def test_it_reports_how_to_trust_it_and_does_nothing(state: Path, sniproxy: Sniproxy) -> None:
    rendered = sniproxy("ca").stdout
    path = state / "ca" / "ca.pem"
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    fingerprint = re.search(r"SHA-256 ([0-9A-F:]{95})", rendered)
    assert fingerprint is not None
    der = ssl.PEM_cert_to_DER_cert(path.read_text())
    assert fingerprint[1].replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert f"{certificate.not_valid_after_utc:%Y-%m-%d}" in rendered
    for command in (f"curl --cacert {path} ", "sniproxy ca install", "update-ca-certificates"):
        assert command in rendered
    assert list((state.parent / "home").iterdir()) == []


def store(home: Path, *words: str) -> str:
    """What certutil says about the database of Chrome in this home."""
    command = ["certutil", "-d", f"sql:{home / '.pki/nssdb'}", "-L", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.needs("certutil")
def test_the_printed_command_creates_the_database(state: Path, sniproxy: Sniproxy) -> None:
    home = state.parent / "home"
    [line] = [line for line in sniproxy("ca").stdout.splitlines() if "certutil -d" in line]
    subprocess.run(["sh", "-c", line], check=True)
    assert "sniproxy-" in store(home)
    assert mode(home / ".pki" / "nssdb") == 0o700
    [line] = [line for line in sniproxy("ca").stdout.splitlines() if "certutil -d" in line]
    assert "-N" not in line
    subprocess.run(["sh", "-c", line], check=True)


BROWSERS = ("--store", "browsers")


@pytest.mark.needs("certutil")
def test_install_and_uninstall_of_a_browser(state: Path, sniproxy: Sniproxy) -> None:
    home = state.parent / "home"
    installed = sniproxy("ca", "install", "--yes", *BROWSERS)
    assert (installed.status, installed.stderr) == (0, "")
    assert installed.stdout.endswith(f"Chrome and Chromium ({home}/.pki/nssdb): done\n")
    [name] = re.findall(r"^(sniproxy-[0-9a-f]{8}) +C,,", store(home), re.M)
    pem = store(home, "-a", "-n", name).replace("\r", "")
    ours = (state / "ca" / "ca.pem").read_text()
    assert ssl.PEM_cert_to_DER_cert(pem) == ssl.PEM_cert_to_DER_cert(ours)
    assert sniproxy("ca", "install", "--yes", *BROWSERS).status == 0, "again"
    removed = sniproxy("ca", "uninstall", "--yes", *BROWSERS)
    assert (removed.status, removed.stderr) == (0, "")
    assert name not in store(home)
    again = sniproxy("ca", "uninstall", "--yes", *BROWSERS)
    assert again == Outcome(0, f"No store has {state}/ca/ca.pem.\n", "")


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_a_dry_run_prints_commands_and_runs_none(
    action: str, state: Path, sniproxy: Sniproxy
) -> None:
    printed = sniproxy("ca", action, "--dry-run")
    assert (printed.status, printed.stderr) == (0, "")
    assert list((state.parent / "home").iterdir()) == []
    assert ("-A -t C,, -n sniproxy-" in printed.stdout) == (action == "install")


def test_uninstall_creates_no_ca(state: Path, sniproxy: Sniproxy) -> None:
    assert sniproxy("ca", "uninstall", "--yes").status == 0
    assert not state.exists()


def test_without_a_terminal_a_confirmation_is_needed(state: Path, sniproxy: Sniproxy) -> None:
    done = subprocess.run(
        [*SNIPROXY.command, "ca", "install", *BROWSERS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == "sniproxy: standard input is no terminal: confirm with --yes\n"
    assert list((state.parent / "home").iterdir()) == []


@pytest.mark.needs("certutil")
@pytest.mark.parametrize(
    ("response", "status", "is_installed"),
    [(b"y\n", 0, True), (b"n\n", 2, False), (b"\n", 2, False), (b"\x04", 2, False)],
)
def test_the_question(
    response: bytes, status: int, is_installed: bool, state: Path, sniproxy: Sniproxy
) -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, response)
        done = subprocess.run(
            [*SNIPROXY.command, "ca", "install", *BROWSERS],
            stdin=theirs,
            capture_output=True,
            text=True,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Install it? [y/N] " in done.stdout
    assert done.returncode == status
    assert (state.parent / "home" / ".pki").exists() == is_installed


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_issued_keys_are_for_their_owner(state: Path, sniproxy: Sniproxy, umask: int) -> None:
    before = os.umask(umask)
    try:
        issued = sniproxy("ca", "issue", "-d", "out", "W.test", "*.w.test", "127.0.0.1", "::1")
    finally:
        os.umask(before)
    assert issued == Outcome(
        0,
        "ssl_certificate     out/w.test.pem;\nssl_certificate_key out/w.test-key.pem;\n",
        "",
    )
    out = state.parent / "out"
    assert sorted(file.name for file in out.iterdir()) == ["w.test-key.pem", "w.test.pem"]
    assert mode(out / "w.test-key.pem") == 0o600
    assert mode(out / "w.test.pem") == 0o644
    leaf, authority = x509.load_pem_x509_certificates((out / "w.test.pem").read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["w.test", "*.w.test"]
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    leaf.verify_directly_issued_by(authority)
    assert list((state.parent / "home").iterdir()) == []


def test_a_key_that_was_open_to_others_is_closed(state: Path, sniproxy: Sniproxy) -> None:
    key = state.parent / "out" / "w.test-key.pem"
    key.write_text("an older one")
    key.chmod(0o644)
    assert sniproxy("ca", "issue", "-d", "out", "w.test").status == 0
    assert mode(key) == 0o600


@pytest.mark.parametrize(
    ("name", "stem"), [("*.w.test", "_.w.test"), ("::1", "__1"), ("127.0.0.1", "127.0.0.1")]
)
def test_names_of_files_are_plain(name: str, stem: str, state: Path, sniproxy: Sniproxy) -> None:
    assert sniproxy("ca", "issue", "-d", "out", name).status == 0
    assert (state.parent / "out" / f"{stem}.pem").exists()


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "-", "a..b", "%", "é.test"])
def test_what_is_no_name_is_refused(name: str, state: Path, sniproxy: Sniproxy) -> None:
    refused = sniproxy("ca", "issue", "-d", "out", "--", "w.test", name)
    assert refused.status == 1
    assert refused.stderr == f'"{name}" is neither a DNS name nor an address\n'
    assert list((state.parent / "out").iterdir()) == []


def test_a_folder_that_is_not_there(state: Path, sniproxy: Sniproxy) -> None:
    refused = sniproxy("ca", "issue", "-d", "nowhere", "w.test")
    assert refused.status == 1
    assert refused.stderr == "nowhere/w.test-key.pem: No such file or directory\n"


def test_a_state_folder_that_can_not_be_used(
    state: Path, sniproxy: Sniproxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.write_text("not a folder")
    refused = sniproxy("ca")
    assert refused.status == 1
    assert refused.lines[0].startswith(
        f'[emerg] cannot use the development CA in "{state}/ca" (17: '
    )
    assert len(refused.lines) == 1


@pytest.mark.needs("curl")
@pytest.mark.parametrize(
    "program",
    [SNIPROXY, pytest.param(NGINX, marks=pytest.mark.nginx)],
    ids=lambda program: program.name,
)
def test_curl_trusts_what_was_issued(
    program: Command, state: Path, sniproxy: Sniproxy, tmp_path: Path
) -> None:
    """The two lines that are printed make a server of either program one that curl trusts."""
    lines = sniproxy("ca", "issue", "w.test", "127.0.0.1").stdout
    server = f"server {{ listen 127.0.0.1:PORT ssl; {lines} return 200 hello; }}"
    with served(
        program, tmp_path, HEAD + f" http {{ access_log off; {server} }}", "-g", "daemon off;"
    ) as process:
        curl = ["curl", "-sS", "--cacert", str(state / "ca" / "ca.pem")]
        for host, options in {
            f"127.0.0.1:{process.port}": [],
            f"w.test:{process.port}": ["--resolve", f"w.test:{process.port}:127.0.0.1"],
        }.items():
            command = [*curl, *options, f"https://{host}/"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert (done.stdout, done.stderr) == ("hello", "")
        other = ["--resolve", f"v.test:{process.port}:127.0.0.1", f"https://v.test:{process.port}/"]
        assert subprocess.run([*curl, *other], capture_output=True, check=False).returncode == 60

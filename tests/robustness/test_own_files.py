"""Files that sniproxy makes and reads itself: nobody else can read or replace its secrets."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

import sniproxy
from sniproxy import temp_files
from sniproxy.client.request_body import BodyBufferPolicy
from sniproxy.diagnose.config_file import write_with_backup
from sniproxy.logs.sinks import Sinks
from sniproxy.models import ConfigError
from sniproxy.pid_file import PidFile
from sniproxy.tls.ca import DevCA

STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# --- the development CA ---


def others_write_to_the_folder(state: Path) -> None:
    (state / "ca").chmod(0o777)


def the_group_writes_to_the_state_folder(state: Path) -> None:
    state.chmod(0o770)


def others_read_the_key(state: Path) -> None:
    (state / "ca" / "ca-key.pem").chmod(0o644)


def the_folder_is_a_strangers(state: Path) -> None:
    os.chown(state / "ca", STRANGER, STRANGER)


def the_key_is_a_strangers(state: Path) -> None:
    os.chown(state / "ca" / "ca-key.pem", STRANGER, STRANGER)


def a_stranger_has_linked_the_folder(state: Path) -> None:
    (state / "ca").rename(state / "real")
    (state / "ca").symlink_to("real")
    os.chown(state / "ca", STRANGER, STRANGER, follow_symlinks=False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (others_write_to_the_folder, "others can write to"),
        (the_group_writes_to_the_state_folder, "others can write to"),
        (others_read_the_key, "others can read"),
        pytest.param(the_folder_is_a_strangers, "belongs to another user", marks=as_root),
        pytest.param(the_key_is_a_strangers, "belongs to another user", marks=as_root),
        pytest.param(a_stranger_has_linked_the_folder, "belongs to another user", marks=as_root),
    ],
)
def test_a_ca_that_others_can_change_is_refused(
    change: Callable[[Path], None], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    state = tmp_path / "state"
    DevCA.open(state)
    change(state)
    with pytest.raises(ConfigError, match=f"the development CA in .* is refused: .*{reason}"):
        DevCA.open(state)


def test_a_shared_folder_with_the_sticky_bit_may_have_a_ca(tmp_path: Path) -> None:
    state = tmp_path / "shared"
    state.mkdir()
    state.chmod(0o1777)
    assert DevCA.open(state).is_new
    assert not DevCA.open(state).is_new
    assert mode(state / "ca") == 0o700


def test_a_link_of_our_own_to_a_ca_is_followed(tmp_path: Path) -> None:
    first = DevCA.open(tmp_path / "one")
    (tmp_path / "two").mkdir(mode=0o700)
    (tmp_path / "two" / "ca").symlink_to(tmp_path / "one" / "ca")
    assert DevCA.open(tmp_path / "two").certificate == first.certificate


@as_root
def test_the_ca_of_the_user_of_sudo_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    DevCA.open(state)
    for path in (state, state / "ca", state / "ca" / "ca.pem", state / "ca" / "ca-key.pem"):
        os.chown(path, STRANGER, STRANGER)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert not DevCA.open(state).is_new


@pytest.mark.parametrize("mask", [0, 0o077])
def test_the_mode_of_a_new_key_does_not_depend_on_the_umask(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        DevCA.open(tmp_path / "state")
    finally:
        os.umask(before)
    assert mode(tmp_path / "state") == mode(tmp_path / "state" / "ca") == 0o700
    assert mode(tmp_path / "state" / "ca" / "ca-key.pem") == 0o600


# --- key logs ---

KEY_LOG = """
events {}
http { server { listen 127.0.0.1:0; location / {
    proxy_pass https://127.0.0.1:9; proxy_ssl_key_log keys; } } }
"""


def test_a_key_log_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("old\n")
    (tmp_path / "keys").chmod(0o666)
    with sniproxy.serve_in_thread(KEY_LOG, prefix=tmp_path):
        assert mode(tmp_path / "keys") == 0o600
    assert (tmp_path / "keys").read_text() == "old\n"


@pytest.mark.parametrize("what", ["link", "dangling", "pipe", "folder"])
def test_a_key_log_is_a_regular_file(what: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    (tmp_path / "elsewhere").write_text("")
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("elsewhere" if what == "link" else "nowhere")
    with pytest.raises(ConfigError, match=r'open\(\) ".*keys" failed'):
        sniproxy.serve_in_thread(KEY_LOG, prefix=tmp_path).__enter__()
    assert not (tmp_path / "nowhere").exists()


@as_root
def test_a_key_log_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    os.chown(tmp_path / "keys", STRANGER, STRANGER)
    with pytest.raises(ConfigError, match=r"keys\" failed \(1: Operation not permitted\)"):
        sniproxy.serve_in_thread(KEY_LOG, prefix=tmp_path).__enter__()


def test_a_log_is_no_key_log(tmp_path: Path) -> None:
    sinks = Sinks()
    sinks.file(str(tmp_path / "log"))
    with pytest.raises(ConfigError, match="cannot be a file of secrets"):
        sinks.secret_file(str(tmp_path / "log"), {os.geteuid()})
    sinks.close()


# --- temporary files, pid files, backups ---


def test_temporary_files_are_new_and_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that waits at the next name is neither followed nor written to."""
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    folder = tmp_path / "temp"
    folder.mkdir()
    for number in range(5):
        (folder / f"{temp_files.next_number() + 1 + number:010d}").symlink_to(victim)
    for _ in range(8):
        file, name = temp_files.make_numbered_file(str(folder))
        file.write(b"secret")
        file.close()
        assert mode(name) == 0o600
        assert not os.path.islink(name)
    file, name = temp_files.make_file_beside(str(tmp_path / "cached"))
    file.close()
    assert mode(name) == 0o600
    assert victim.read_text() == "as it was"


def test_request_bodies_are_for_their_owner_only(tmp_path: Path) -> None:
    for folder in (None, str(tmp_path / "bodies")):
        file, name = BodyBufferPolicy(0, folder).make_file()
        file.close()
        assert mode(name) == 0o600
        os.unlink(name)
    assert mode(tmp_path / "bodies") == 0o700


def test_a_pipe_as_pid_file_does_not_block(tmp_path: Path) -> None:
    """nginx opens its pid file to read and write, so that a pipe has a reader."""
    os.mkfifo(tmp_path / "pid")
    with PidFile(str(tmp_path / "pid")):
        pass
    assert not (tmp_path / "pid").exists()


def test_the_backup_of_a_configuration_has_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "nginx.conf"
    file.write_text("old")
    file.chmod(0o640)
    backup = write_with_backup(str(file), "new")
    assert (mode(backup), mode(file)) == (0o640, 0o640)
    assert (Path(backup).read_text(), file.read_text()) == ("old", "new")


# --- included files ---


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "/dev/null", "/proc/self/environ"])
def test_an_included_device_or_pipe_is_empty(name: str, tmp_path: Path) -> None:
    """nginx reads as many bytes as fstat reports, and waits for the writer of a pipe."""
    os.mkfifo(tmp_path / "pipe")
    file = tmp_path / "nginx.conf"
    file.write_text(f"include {name}; events {{}}")
    assert sniproxy.load(file).http is None

"""Which commands make which store trust the development CA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sniproxy.cli.trust_stores import (
    BROWSERS,
    SYSTEM,
    SYSTEM_STORES,
    Step,
    System,
    TrustedCA,
    firefox_profiles,
    install_steps,
    uninstall_steps,
)

CA = TrustedCA("/state/ca.pem", "0123456789abcdef", "beef")
NAME = "sniproxy-01234567"


def everything(program: str) -> str:
    return f"/usr/bin/{program}"


def only(*programs: str) -> Callable[[str], str | None]:
    return lambda program: everything(program) if program in programs else None


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A Linux without any store."""
    (tmp_path / "home").mkdir()
    return System("linux", tmp_path / "home", tmp_path, is_root=True, which=everything)


def commands(steps: list[Step]) -> list[str]:
    return [" ".join(command) for step in steps for command in step.commands]


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        (
            "usr/local/share/ca-certificates",
            [
                f"install -m 644 /state/ca.pem /usr/local/share/ca-certificates/{NAME}.crt",
                "update-ca-certificates",
            ],
        ),
        (
            "etc/pki/ca-trust/source/anchors",
            [
                f"install -m 644 /state/ca.pem /etc/pki/ca-trust/source/anchors/{NAME}.pem",
                "update-ca-trust extract",
            ],
        ),
        (
            "etc/ca-certificates/trust-source/anchors",
            [
                "install -m 644 /state/ca.pem "
                f"/etc/ca-certificates/trust-source/anchors/{NAME}.crt",
                "trust extract-compat",
            ],
        ),
        (
            "usr/share/pki/trust/anchors",
            [
                f"install -m 644 /state/ca.pem /usr/share/pki/trust/anchors/{NAME}.pem",
                "update-ca-certificates",
            ],
        ),
    ],
)
def test_linux_store_is_the_one_whose_folder_exists(
    folder: str, expected: list[str], system: System
) -> None:
    (system.root / folder).mkdir(parents=True)
    assert commands(install_steps(CA, system, [SYSTEM])) == expected
    as_user = replace(system, is_root=False)
    assert commands(install_steps(CA, as_user, [SYSTEM])) == [f"sudo {one}" for one in expected]


@pytest.mark.parametrize(
    ("platform", "install", "uninstall"),
    [
        (
            "darwin",
            "security add-trusted-cert -r trustRoot -k "
            "{home}/Library/Keychains/login.keychain-db /state/ca.pem",
            "security remove-trusted-cert /state/ca.pem",
        ),
        (
            "win32",
            "certutil -user -addstore -f ROOT /state/ca.pem",
            "certutil -user -delstore ROOT beef",
        ),
    ],
)
def test_stores_of_a_user_need_no_root(
    platform: str, install: str, uninstall: str, system: System
) -> None:
    there = replace(system, platform=platform, is_root=False)
    assert commands(install_steps(CA, there)) == [install.format(home=system.home)]
    assert commands(uninstall_steps(CA, there, lambda folder, name: True)) == [uninstall]


def test_every_placeholder_of_the_table_has_a_value(system: System) -> None:
    for store in SYSTEM_STORES:
        (system.root / store.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        there = replace(system, platform=store.platform)
        for line in commands(install_steps(CA, there, [SYSTEM])):
            assert "{" not in line


def test_database_of_chrome_is_created_if_it_is_missing(system: System) -> None:
    folder = system.home / ".pki/nssdb"
    add = f"certutil -d sql:{folder} -A -t C,, -n {NAME} -i /state/ca.pem"
    assert commands(install_steps(CA, system, [BROWSERS])) == [
        f"mkdir -p -m 700 {folder}",
        f"certutil -d sql:{folder} -N --empty-password",
        add,
    ]
    folder.mkdir(parents=True)
    (folder / "cert9.db").touch()
    assert commands(install_steps(CA, system, [BROWSERS])) == [add]


def test_profiles_of_firefox_are_those_of_profiles_ini(system: System) -> None:
    firefox = system.home / ".mozilla/firefox"
    (firefox / "abc.default").mkdir(parents=True)
    (firefox / "not-listed").mkdir()
    (firefox / "profiles.ini").write_text(
        "[General]\nVersion=2\n[Profile0]\nName=a\nIsRelative=1\nPath=abc.default\n"
        "[Profile1]\nName=%s\nPath=gone\n[Install1]\nDefault=abc.default\n"
    )
    assert firefox_profiles(firefox) == [firefox / "abc.default"]
    stores = [step.store for step in install_steps(CA, system, [BROWSERS])]
    assert stores[1:] == [f"Firefox ({firefox / 'abc.default'})"]


@pytest.mark.parametrize("content", [b"no ini", b"[Profile0\n", b"\xff\xfe[Profile0]", b""])
def test_damaged_profiles_ini_has_no_profiles(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "profiles.ini").write_bytes(content)
    assert firefox_profiles(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"which": only()}, "certutil is not installed: apt install libnss3-tools"),
        ({"which": only("certutil")}, "install is not installed"),
        (
            {"which": only("certutil", "install"), "is_root": False},
            "only root can change it, and there is no sudo",
        ),
        (
            {"which": only("certutil", "install", "sudo"), "is_root": False},
            "update-ca-certificates is not installed",
        ),
    ],
)
def test_what_is_not_possible_says_why(
    change: dict[str, object], problem: str, system: System
) -> None:
    (system.root / "usr/local/share/ca-certificates").mkdir(parents=True)
    steps = install_steps(CA, replace(system, **change))  # type: ignore[arg-type]
    assert problem in [step.problem for step in steps]
    assert all(not step.commands for step in steps if step.problem)


def test_an_unknown_linux_has_databases_only(system: System) -> None:
    first, *others = install_steps(CA, system)
    assert first.problem == "its store of trusted CAs is not known"
    assert others


def test_uninstalling_concerns_stores_that_have_it(system: System) -> None:
    folder = system.home / ".pki/nssdb"
    folder.mkdir(parents=True)
    (folder / "cert9.db").touch()
    store = system.root / "usr/local/share/ca-certificates"
    store.mkdir(parents=True)
    assert uninstall_steps(CA, system, lambda folder, name: False) == []
    (store / f"{NAME}.crt").touch()
    assert commands(uninstall_steps(CA, system, lambda folder, name: name == NAME)) == [
        f"rm -f /usr/local/share/ca-certificates/{NAME}.crt",
        "update-ca-certificates --fresh",
        f"certutil -d sql:{folder} -D -n {NAME}",
    ]

"""The stores of trusted CAs, and the commands that add a CA to them or remove it.

Operating systems have one each (`SYSTEM_STORES`). Chrome, Chromium and Firefox on Linux and macOS
read databases of NSS in the home folder. The choice of stores and commands is mkcert's. Nothing is
run here: `install_steps` and `uninstall_steps` return the commands.
"""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

NAME_LENGTH = 8
"""Digits of the fingerprint in the name of a CA in the stores."""


@dataclass(frozen=True, slots=True)
class SystemStore:
    """The store of an operating system.

    In commands `{ca}` is the CA's file, `{copy}` its copy in `folder`.
    """

    name: str
    platform: str
    """The beginning of `sys.platform`."""
    install: tuple[tuple[str, ...], ...]
    uninstall: tuple[tuple[str, ...], ...]
    folder: str = ""
    """The folder of additional CAs; a system that has it has this store. "" if there is none."""
    suffix: str = ""
    """Of file names in `folder`."""
    nss_tools: str = ""
    """The command that installs certutil, the program for databases of NSS."""

    @property
    def needs_root(self) -> bool:
        """Whether only root may change it; the others are a store for each user."""
        return bool(self.folder)


def _linux(
    name: str, folder: str, suffix: str, update: str, nss_tools: str, *, fresh: str = ""
) -> SystemStore:
    """A store to which a CA is copied, before `update` builds the files that programs read."""
    command = tuple(update.split())
    return SystemStore(
        name,
        "linux",
        install=(("install", "-m", "644", "{ca}", "{copy}"), command),
        uninstall=(("rm", "-f", "{copy}"), (*command, fresh) if fresh else command),
        folder=folder,
        suffix=suffix,
        nss_tools=nss_tools,
    )


KEYCHAIN = "{home}/Library/Keychains/login.keychain-db"

SYSTEM_STORES = (
    _linux(
        "Fedora, RHEL",
        "/etc/pki/ca-trust/source/anchors",
        ".pem",
        "update-ca-trust extract",
        "dnf install nss-tools",
    ),
    _linux(
        "Debian, Ubuntu",
        "/usr/local/share/ca-certificates",
        ".crt",
        "update-ca-certificates",
        "apt install libnss3-tools",
        fresh="--fresh",
    ),
    _linux(
        "Arch",
        "/etc/ca-certificates/trust-source/anchors",
        ".crt",
        "trust extract-compat",
        "pacman -S nss",
    ),
    _linux(
        "openSUSE",
        "/usr/share/pki/trust/anchors",
        ".pem",
        "update-ca-certificates",
        "zypper install mozilla-nss-tools",
    ),
    SystemStore(
        "macOS",
        "darwin",
        install=(("security", "add-trusted-cert", "-r", "trustRoot", "-k", KEYCHAIN, "{ca}"),),
        uninstall=(("security", "remove-trusted-cert", "{ca}"),),
        nss_tools="brew install nss",
    ),
    SystemStore(
        "Windows",
        "win32",
        install=(("certutil", "-user", "-addstore", "-f", "ROOT", "{ca}"),),
        uninstall=(("certutil", "-user", "-delstore", "ROOT", "{serial}"),),
    ),
)

CHROME = ".pki/nssdb"
"""The database of Chrome and Chromium on Linux, which is created if it is missing."""
OTHER_DATABASES = ("snap/chromium/current/.pki/nssdb",)
FIREFOX = (
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
    "Library/Application Support/Firefox",
)
"""Folders of Firefox with a `profiles.ini`."""


@dataclass(frozen=True, slots=True)
class TrustedCA:
    """The CA to be added or removed."""

    path: str
    fingerprint: str
    """SHA-256, hexadecimal without colons."""
    serial: str = ""
    """Serial number, hexadecimal."""

    @property
    def name(self) -> str:
        """Its name in the stores."""
        return f"sniproxy-{self.fingerprint[:NAME_LENGTH].lower()}"


@dataclass(frozen=True, slots=True)
class System:
    """The operating system and the user's home folder."""

    platform: str = sys.platform
    home: Path = field(default_factory=Path.home)
    root: Path = Path("/")
    """The directory that paths of the system are relative to."""
    is_root: bool = field(default_factory=lambda: hasattr(os, "geteuid") and os.geteuid() == 0)
    which: Callable[[str], str | None] = shutil.which

    def store(self) -> SystemStore | None:
        """The store of this system; None if it has none that is known."""
        for store in SYSTEM_STORES:
            if self.platform.startswith(store.platform):
                folder = self.root / store.folder.lstrip("/")
                if not store.folder or folder.is_dir():
                    return store
        return None

    def databases(self) -> Iterator[tuple[str, Path]]:
        """The databases of NSS: the browser, and the folder, which may not exist yet."""
        if self.platform == "win32":
            return  # Chrome uses the system's store there, and Firefox can too
        if self.platform.startswith("linux"):
            yield "Chrome and Chromium", self.home / CHROME
        for folder in OTHER_DATABASES:
            if is_database(self.home / folder):
                yield "Chromium", self.home / folder
        for folder in FIREFOX:
            for profile in firefox_profiles(self.home / folder):
                yield "Firefox", profile


def firefox_profiles(folder: Path) -> list[Path]:
    """The folders of the profiles that `profiles.ini` lists, as far as they exist."""
    profiles = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        profiles.read(folder / "profiles.ini", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return []
    found = []
    for name in profiles.sections():
        path = profiles.get(name, "Path", fallback="")
        if name.startswith("Profile") and path and (folder / path).is_dir():
            found.append(folder / path)
    return sorted(set(found))


def is_database(folder: Path) -> bool:
    """Whether the folder has a database of NSS, in its present format."""
    return (folder / "cert9.db").is_file()


@dataclass(frozen=True, slots=True)
class Step:
    """Commands that change one store; they are run in order, up to the first that fails."""

    store: str
    """The store, for the user."""
    commands: tuple[tuple[str, ...], ...] = ()
    problem: str = ""
    """Why it cannot be done; "" if it can."""


SYSTEM, BROWSERS = "system", "browsers"
KINDS = (SYSTEM, BROWSERS)
"""The kinds of stores that can be chosen (`--store`)."""


def install_steps(ca: TrustedCA, system: System, kinds: Sequence[str] = KINDS) -> list[Step]:
    """The steps that make the programs of this user trust the CA."""
    steps = []
    store = system.store()
    if SYSTEM in kinds:
        steps.append(_system_step(ca, system, store, "install"))
    for browser, folder in system.databases() if BROWSERS in kinds else ():
        steps.append(_database_step(system, store, browser, folder, _adding(ca, folder)))
    return steps


def uninstall_steps(
    ca: TrustedCA,
    system: System,
    contains: Callable[[Path, str], bool],
    kinds: Sequence[str] = KINDS,
) -> list[Step]:
    """The steps that remove the CA from where it is.

    `contains` tells whether a database of NSS has a certificate of this name.
    """
    steps = []
    store = system.store()
    if SYSTEM in kinds and store is not None:
        copy = system.root / _copy(ca, store).lstrip("/")
        if not store.folder or copy.exists():
            steps.append(_system_step(ca, system, store, "uninstall"))
    for browser, folder in system.databases() if BROWSERS in kinds else ():
        if is_database(folder) and contains(folder, ca.name):
            removing = (("certutil", "-d", f"sql:{folder}", "-D", "-n", ca.name),)
            steps.append(_database_step(system, store, browser, folder, removing))
    return steps


def _copy(ca: TrustedCA, store: SystemStore) -> str:
    return f"{store.folder}/{ca.name}{store.suffix}"


def _system_step(ca: TrustedCA, system: System, store: SystemStore | None, action: str) -> Step:
    if store is None:
        return Step("the system", problem="its store of trusted CAs is not known")
    name = f"the system ({store.name})"
    values = {
        "ca": ca.path,
        "copy": _copy(ca, store),
        "home": str(system.home),
        "serial": ca.serial,
    }
    templates = store.install if action == "install" else store.uninstall
    commands = [tuple(word.format_map(values) for word in words) for words in templates]
    if store.needs_root and not system.is_root:
        if system.which("sudo") is None:
            return Step(name, problem="only root can change it, and there is no sudo")
        commands = [("sudo", *words) for words in commands]
    missing = [words[0] for words in templates if system.which(words[0]) is None]
    if missing:
        return Step(name, problem=f"{missing[0]} is not installed")
    return Step(name, tuple(commands))


def _adding(ca: TrustedCA, folder: Path) -> tuple[tuple[str, ...], ...]:
    database = ("certutil", "-d", f"sql:{folder}")
    creating: tuple[tuple[str, ...], ...] = ()
    if not is_database(folder):
        creating = (
            ("mkdir", "-p", "-m", "700", str(folder)),
            (*database, "-N", "--empty-password"),
        )
    return (*creating, (*database, "-A", "-t", "C,,", "-n", ca.name, "-i", ca.path))


def _database_step(
    system: System,
    store: SystemStore | None,
    browser: str,
    folder: Path,
    commands: tuple[tuple[str, ...], ...],
) -> Step:
    name = f"{browser} ({folder})"
    if system.which("certutil") is None:
        tools = store.nss_tools if store is not None else ""
        return Step(name, problem=f"certutil is not installed{f': {tools}' if tools else ''}")
    return Step(name, commands)

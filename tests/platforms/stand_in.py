"""Hide names that another system lacks from the modules of sniproxy: a stand-in for that system.

`SNIPROXY_PLATFORM=macos|windows` says which. The standard library, trio and the tests see
everything: only what modules of sniproxy import is changed. `names.txt` has the names. On Windows
some functions differ though they are there; `_windows_os` refuses the arguments that would fail.
"""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.machinery
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

VARIABLE = "SNIPROXY_PLATFORM"
PLATFORMS = {"macos": "darwin", "windows": "win32"}
NAMES = Path(__file__).parent / "names.txt"
NOT_ON_WINDOWS = frozenset(
    {"curses", "fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios"}
)
"""Modules whose documentation says "Availability: Unix"."""
O_BINARY = 1 << 30


def hidden_names(system: str) -> dict[str, set[str]]:
    """By module, the names that a system lacks."""
    hidden: dict[str, set[str]] = {}
    for line in NAMES.read_text().splitlines():
        name, _, systems = line.partition(": ")
        module, _, name = name.partition(".")
        if system not in systems.split():
            hidden.setdefault(module, set()).add(name)
    return hidden


class PartialModule(ModuleType):
    """A module without some of its names, and with other values of some."""

    def __init__(self, whole: ModuleType, hidden: set[str], changed: dict[str, object]) -> None:
        super().__init__(whole.__name__)
        self.__dict__.update(_whole=whole, _hidden=hidden, _changed=changed)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__["_changed"]:
            return self.__dict__["_changed"][name]
        if name in self.__dict__["_hidden"]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} there")
        return getattr(self.__dict__["_whole"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self.__dict__["_whole"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_whole"], name)


class _Signals:
    """`signal.Signals` without some of its members."""

    def __init__(self, whole: Any, hidden: set[str]) -> None:
        self._whole, self._hidden = whole, hidden

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise AttributeError(name)
        return getattr(self._whole, name)

    def __getitem__(self, name: str) -> Any:
        if name in self._hidden:
            raise KeyError(name)
        return self._whole[name]

    def __call__(self, number: int) -> Any:
        return self._whole(number)

    def __iter__(self) -> Iterator[Any]:
        return (member for member in self._whole if member.name not in self._hidden)


def _windows_os() -> dict[str, object]:
    """Functions of `os` that refuse what Windows does not do, or does otherwise."""

    def open_file(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None:
            raise NotImplementedError("dir_fd unavailable on this platform")
        if not flags & O_BINARY and Path(os.fsdecode(path)) != Path(os.devnull):
            raise AssertionError(f"os.open({path!r}) without O_BINARY: it would change line ends")
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return os.open(path, flags & ~O_BINARY, mode)

    def rename(source: Any, target: Any) -> None:
        if os.path.exists(target):
            raise FileExistsError(17, "File exists", source, None, target)
        os.rename(source, target)

    def kill(process: int, number: int) -> None:
        raise AssertionError(f"os.kill({process}, {number}) ends a process, or is Ctrl-C")

    def utime(path: Any, *args: Any, **words: Any) -> None:
        if isinstance(path, int):
            raise NotImplementedError("utime: path should be string, bytes or os.PathLike, not int")
        os.utime(path, *args, **words)

    functions = (("open", open_file), ("rename", rename), ("kill", kill), ("utime", utime))
    return {"name": "nt", "O_BINARY": O_BINARY, **dict(functions)}


def _changed_names(system: str, hidden: dict[str, set[str]]) -> dict[str, dict[str, object]]:
    import signal

    changed: dict[str, dict[str, object]] = {
        "sys": {"platform": PLATFORMS[system]},
        "signal": {"Signals": _Signals(signal.Signals, hidden["signal"])},
    }
    if system == "windows":
        changed["os"] = _windows_os()
        changed["socket"] = {"SO_EXCLUSIVEADDRUSE": socket.SO_REUSEADDR}
        changed["sys"]["getwindowsversion"] = lambda: (10, 0, 20348)
    return changed


def _importer(system: str) -> Callable[..., Any]:
    hidden = hidden_names(system)
    changed = _changed_names(system, hidden)
    absent = NOT_ON_WINDOWS if system == "windows" else frozenset[str]()

    @cache
    def partial_module(name: str) -> ModuleType:
        whole = importlib.import_module(name)
        return PartialModule(whole, hidden.get(name, set()), changed.get(name, {}))

    def import_module(
        name: str,
        global_names: Any = None,
        local_names: Any = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> Any:
        if level == 0 and name in absent:
            raise ModuleNotFoundError(f"No module named {name!r} there", name=name)
        module = builtins.__import__(name, global_names, local_names, fromlist, level)
        if level == 0 and module.__name__ in hidden.keys() | changed.keys():
            return partial_module(module.__name__)
        return module

    return import_module


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any, import_module: Callable[..., Any]) -> None:
        self._loader = loader
        self._import = import_module

    def create_module(self, spec: Any) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        self._loader.exec_module(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, import_module: Callable[..., Any]) -> None:
        self._import = import_module

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "sniproxy" and not name.startswith("sniproxy."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._import)
        return spec


def install() -> None:
    """Change what this process imports from now on, if the environment asks for it."""
    system = os.environ.get(VARIABLE, "")
    if system:
        sys.meta_path.insert(0, _Finder(_importer(system)))

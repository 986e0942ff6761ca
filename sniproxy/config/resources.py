"""Names that serve one purpose only: zones of shared memory, and folders of temporary files.

nginx compares them while it parses (`ngx_shared_memory_add()`, `ngx_add_path()`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..models import ConfigError
from .directives.directive import Args
from .tree import Place


@dataclass(slots=True)
class _Zone:
    use: str
    size: int
    """Bytes; 0 until a statement gives the size."""
    defined: bool = False


class SharedZones:
    """The zones of shared memory of a configuration, by name."""

    def __init__(self) -> None:
        self._zones: dict[str, _Zone] = {}

    def declare(self, args: Args, name: str, size: int, use: str) -> None:
        """Note that a statement uses a zone; `size` is 0 where it is only referred to.

        Raises `ConfigError` if the zone has another use or size.
        """
        zone = self._zones.setdefault(name, _Zone(use, size))
        if zone.use != use:
            args.fail(f'the shared memory zone "{name}" is already declared for a different use')
        zone.size = zone.size or size
        if size and size != zone.size:
            args.fail(
                f'the size {size} of shared memory zone "{name}" conflicts with already declared '
                f"size {zone.size}"
            )

    def define(self, args: Args, name: str, size: int, use: str) -> None:
        """Like `declare`, by the one statement that defines the zone."""
        self.declare(args, name, size, use)
        zone = self._zones[name]
        if zone.defined:
            args.fail(f'duplicate zone "{name}"')
        zone.defined = True

    def check_sizes(self) -> None:
        """Raise `ConfigError` for a zone whose size no statement gives."""
        for name, zone in self._zones.items():
            if not zone.size:
                raise ConfigError(f'zero size shared memory zone "{name}"')

    def is_defined(self, name: str) -> bool:
        zone = self._zones.get(name)
        return zone is not None and zone.defined


@dataclass(frozen=True, slots=True)
class _Folder:
    place: Place
    levels: tuple[int, ...]
    is_cache: bool


class Folders:
    """The folders of caches and of temporary files, by full name."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._folders: dict[str, _Folder] = {}

    def add(self, args: Args, levels: tuple[int, ...], *, is_cache: bool) -> None:
        """Add the folder that is the first argument.

        Raises `ConfigError` if it has another use, or other levels.
        """
        path = args.first
        name = os.path.join(self._prefix, path.removesuffix("/"))
        new = _Folder(args.place, levels, is_cache)
        # An absolute path is compared as written: nginx cuts off the slash by length only.
        old = self._folders.setdefault(path if path.startswith("/") else name, new)
        if old is new:
            return
        if is_cache or old.is_cache:
            args.fail(f'the same path name "{name}" used in {old.place} and')
        if old.levels != levels:
            args.fail(f'the same path name "{name}" in {old.place} has the different levels than')

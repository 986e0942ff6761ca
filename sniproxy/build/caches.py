"""Create the caches of `proxy_cache_path`, and the folders they need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..config.directives.cache import CachePath
from ..config.directives.upstream_settings import UpstreamSettings
from ..config.model import Config
from ..models import ConfigError
from .paths import Paths

if TYPE_CHECKING:  # imported when there is a cache
    from ..cache.store import ResponseCache, TempFolder
    from ..cache.zone import CacheZone

TEMP_LEVELS = (1, 2)
"""Levels of folders in nginx's default `proxy_temp_path`."""


class CacheStore:
    """The caches of a configuration; the next one takes over their zones."""

    def __init__(self, config: Config, paths: Paths, previous: CacheStore | None = None) -> None:
        """Create the caches. Raises `ConfigError`."""
        self.caches: dict[str, ResponseCache] = {}
        self._sizes: dict[str, int] = {}
        self._paths = paths
        self._previous = previous
        self._passed_on: set[str] = set()
        """Names of the zones that the next configuration uses too."""
        for settings in config.http.cache_paths if config.http is not None else ():
            self._add(settings)

    def _add(self, settings: CachePath) -> None:
        from ..cache.store import ResponseCache
        from ..cache.zone import CacheZone

        folder = self._paths.in_prefix(settings.path)
        zone = self._old_zone(settings, folder)
        _make_folder(folder)
        self._sizes[settings.zone] = settings.size
        self.caches[settings.zone] = ResponseCache(
            settings.zone,
            folder,
            settings.levels,
            zone or CacheZone(settings.size),
            int(settings.inactive),
            settings.max_size,
            settings.min_free,
            settings.use_temp_path,
            settings.manager_files,
            settings.manager_sleep,
            settings.manager_threshold,
            settings.loader_files,
            settings.loader_sleep,
            settings.loader_threshold,
        )

    def _old_zone(self, settings: CachePath, folder: str) -> CacheZone | None:
        """The zone of the same name and size before; raises `ConfigError` for another folder."""
        previous = self._previous
        if previous is None or previous._sizes.get(settings.zone) != settings.size:
            return None
        cache = previous.caches[settings.zone]
        if cache.folder != folder:
            raise ConfigError(
                f'cache "{settings.zone}" uses the "{settings.path}" cache path while previously'
                f' it used the "{cache.folder}" cache path'
            )
        if cache.levels != settings.levels:
            raise ConfigError(f'cache "{settings.zone}" had previously different levels')
        previous._passed_on.add(settings.zone)
        return cache.zone

    def release_previous(self) -> None:
        """Forget the caches before, when the new configuration is in use."""
        self._previous = None

    def temp_folder(self, settings: UpstreamSettings) -> TempFolder:
        """The folder of temporary files of a location (`proxy_temp_path`)."""
        folder, levels = settings.temp_path or (f"{settings.PREFIX}temp", TEMP_LEVELS)
        return self._paths.in_prefix(folder), levels

    def close(self) -> None:
        """Give the memory of the zones back, but for those that the next configuration uses."""
        for name, cache in self.caches.items():
            if name not in self._passed_on:
                cache.zone.close()


def _make_folder(path: str) -> None:
    try:
        os.mkdir(os.fsencode(path), 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f'mkdir() "{path}" failed', errno=error.errno) from None

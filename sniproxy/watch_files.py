"""Notice that files of a configuration have changed (`--watch`), by looking at them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .build.file_signature import Signature, file_signature
from .build.paths import Paths
from .config.directives.ssl import Ssl
from .config.directives.upstream_tls import UpstreamTLSSettings
from .config.model import Config, Location, iter_locations
from .config.reader import find_files
from .config.tree import COMMAND_LINE
from .template import Template
from .tls.certificates import NO_FILE


class FileWatcher:
    """Compares files with what they were when they were looked at last."""

    def __init__(self) -> None:
        self._files: dict[str, Signature] = {}
        self._masks: dict[str, list[str]] = {}
        """The files that wildcards matched."""
        self._gone: set[str] = set()
        """Files that were not there at the last look, but at the one before."""

    def watch(self, files: Iterable[str], masks: Iterable[str] = ()) -> None:
        """Watch these files from now on, and no others."""
        self._files = {path: file_signature(path) for path in files}
        self._masks = {mask: find_files(mask) for mask in masks}
        self._gone.clear()

    def add(self, path: str) -> None:
        """Watch one more file."""
        self._files.setdefault(path, file_signature(path))

    def changes(self) -> list[str]:
        """The files that have changed since the last call.

        One that has vanished counts at the second look only: an editor may be replacing it.
        """
        changed = []
        for path, before in self._files.items():
            now = file_signature(path)
            if now is None and before is not None and path not in self._gone:
                self._gone.add(path)
                continue
            self._gone.discard(path)
            if now != before:
                self._files[path] = now
                changed.append(path)
        for mask, matched in self._masks.items():
            found = find_files(mask)
            if found != matched:
                self._masks[mask] = found
                changed += sorted(set(found) ^ set(matched) - set(changed))
        return changed


def files_of(config: Config, paths: Paths) -> Iterator[str]:
    """The files that a configuration consists of and loads: a change of them is one of it."""
    found: dict[str, None] = {}
    for name, _ in config.sources:
        if name != COMMAND_LINE:
            found[name] = None
    for value in _values(config):
        if value and "$" not in value and value != "auto" and not value.startswith(NO_FILE):
            found[paths.in_conf(value)] = None
    yield from found


def _values(config: Config) -> Iterator[str]:
    """The names of all files of servers and locations."""
    for server in config.http.servers if config.http is not None else ():
        yield from _server_files(server.ssl)
        yield from _all_location_files(server.default_location)
    for one in config.stream.servers if config.stream is not None else ():
        yield from _server_files(one.ssl)
        yield from _upstream_files(one.proxy)


def _server_files(ssl: Ssl) -> Iterator[str]:
    yield from ssl.ssl_certificate
    yield from ssl.ssl_certificate_key
    yield from ssl.ssl_session_ticket_key
    if ssl.ssl_password_file is not None:
        yield ssl.ssl_password_file.path
    for name in (
        ssl.ssl_dhparam,
        ssl.ssl_client_certificate,
        ssl.ssl_trusted_certificate,
        ssl.ssl_crl,
        ssl.ssl_stapling_file,
    ):
        yield name or ""


def _all_location_files(outside: Location) -> Iterator[str]:
    for location in iter_locations(outside):
        users = location.access.auth_basic_user_file
        yield "" if users is None else users.source
        for settings in location.upstreams:
            yield from _upstream_files(settings)


def _upstream_files(settings: UpstreamTLSSettings) -> Iterator[str]:
    if settings.ssl_password_file is not None:
        yield settings.ssl_password_file.path
    for value in (
        settings.ssl_certificate,
        settings.ssl_certificate_key,
        settings.ssl_trusted_certificate,
        settings.ssl_crl,
    ):
        yield value.source if isinstance(value, Template) else value or ""

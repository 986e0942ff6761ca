"""Configurations and requests for tests of what stands below the running product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sniproxy.config.build import load
from sniproxy.config.model import Config, Location, Server
from sniproxy.context import Connection, RequestContext
from sniproxy.logs.sinks import Sink
from sniproxy.models import Header, Level, RequestHead
from sniproxy.observer import Observer


def configuration(directory: Path, http: str) -> Config:
    """The configuration whose `http {}` has `http` inside."""
    file = directory / "nginx.conf"
    file.write_text(f"events {{}} http {{ {http} }}", encoding="latin-1")
    return load(file)


def servers(directory: Path, http: str) -> tuple[Server, ...]:
    settings = configuration(directory, http).http
    assert settings is not None
    return settings.servers


def locations(directory: Path, server: str) -> tuple[Location, ...]:
    """The locations of one server."""
    return servers(directory, f"server {{ {server} }}")[0].default_location.locations


def request(
    target: str = "/", *, method: str = "GET", headers: tuple[Header, ...] = (), **more: Any
) -> RequestHead:
    path, _, args = target.partition("?")
    line = f"{method} {target} HTTP/1.1"
    defaults: dict[str, Any] = {"path": path, "args": args, "version": 11, "host": ""} | more
    return RequestHead(line, method, target, headers=headers, **defaults)


def make_context(
    of: RequestHead, server: Server, location: Location | None = None, **more: Any
) -> RequestContext:
    """A request on its way, of a client at 192.0.2.1:1234."""
    connection = Connection(7, "192.0.2.1", 1234, "192.0.2.2", 80)
    where = location or server.default_location
    context = RequestContext(connection, of, server, where, of.path, of.args, of.method)
    for name, value in more.items():
        setattr(context, name, value)
    return context


class LineObserver(Observer):
    """An observer that passes log lines on to a sink, and does nothing else."""

    def __init__(self, sink: Sink, log_level: Level = Level.INFO) -> None:
        self.log_level = log_level
        self._sink = sink

    def line_logged(self, level: Level, line: str, connection: int | None) -> None:
        self._sink.write(line)

"""Build the frozen `Config` from the tree of blocks, merging settings from level to level."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from ..models import ConfigError, UnsupportedError
from .block_checks import BlockChecks
from .blocks import upstream_block
from .directives.access import Access
from .directives.core import CoreLocation, CoreServer, LocationName
from .directives.files import Files
from .directives.filters import FilterSettings
from .directives.gzip import Gzip
from .directives.headers import Headers
from .directives.http2 import Http2
from .directives.limits import ConnectionLimits, RequestLimits
from .directives.log import Log
from .directives.main import Events, Main
from .directives.real_ip import RealIP
from .directives.rewrite import Rewrite
from .directives.ssl import Ssl
from .directives.upstream import UpstreamGroup
from .directives.upstream_modules import PASSES, UPSTREAM_MODULES, UpstreamModules
from .model import Config, Http, If, LimitExcept, Location, Server
from .omissions import Omissions
from .parse_checks import DefinitionError, ParseChecks
from .postconf import IsVariable, check_http
from .reader import MISSING_CONTENT, Block, Reader, is_lenient, items_of
from .tokens import read_statements
from .tree import COMMAND_LINE

if TYPE_CHECKING:  # imported if there is a `stream {}`
    from .stream_checks import StreamChecks
    from .stream_model import Stream

Syntax = Literal["nginx", "toml"]
Level = Mapping[str, Any]


def accept_any_variable(name: str) -> bool:
    """Default `is_variable`: do not check whether variables exist."""
    return True


def accept_any_definition(name: str) -> str | None:
    """Default `definition_error`: do not check whether variables may be redefined."""
    return None


def load(
    path: str | os.PathLike[str],
    *,
    conf_prefix: str | None = None,
    prefix: str | os.PathLike[str] = "",
    directives: str = "",
    is_variable: IsVariable = accept_any_variable,
    definition_error: DefinitionError = accept_any_definition,
    any_port: bool = False,
    replacements: Mapping[str, str] | None = None,
) -> Config:
    """Load the configuration file `path`: TOML if its name ends in `.toml`, else nginx.conf.

    `conf_prefix` is the directory that `include` paths are relative to, by default that of `path`;
    `prefix` is that of the files to be served. `directives` are main-level directives that are
    read first (`-g`). `is_variable` and `definition_error` take a lower-case variable name: whether
    it exists, and why the configuration may not define it. With `any_port`, port 0 means any free
    port. `replacements` are texts that are read instead of files. Raises `ConfigError` where nginx
    would.
    """
    file = _text(path)
    folder = os.path.dirname(file) if conf_prefix is None else conf_prefix
    texts = dict(replacements or {})

    def build(omissions: Omissions) -> _Build:
        return _Build(
            file, folder, _text(prefix), is_variable, definition_error, any_port, omissions, texts
        )

    return _config(build, directives)


def parse(
    text: str | bytes,
    syntax: Syntax = "nginx",
    name: str = "configuration",
    *,
    conf_prefix: str = "",
    prefix: str | os.PathLike[str] = "",
    directives: str = "",
    is_variable: IsVariable = accept_any_variable,
    definition_error: DefinitionError = accept_any_definition,
    any_port: bool = False,
) -> Config:
    """Parse configuration text; `name` stands for the file name in messages.

    The other arguments are those of `load`.
    """
    source = (text if isinstance(text, bytes) else text.encode("utf-8")).decode("latin-1")

    def build(omissions: Omissions) -> _Build:
        return _Build(
            name,
            _text(conf_prefix),
            _text(prefix),
            is_variable,
            definition_error,
            any_port,
            omissions,
            {name: source},
            toml=syntax == "toml",
        )

    return _config(build, directives)


def _text(path: str | os.PathLike[str]) -> str:
    """The path as configurations represent it: one character per byte (latin-1)."""
    return os.fsencode(path).decode("latin-1")


def _config(build: Callable[[Omissions], _Build], directives: str) -> Config:
    """Read a configuration; what sniproxy lacks is refused, all of it named by the error."""
    try:
        return build(Omissions()).config(directives)
    except UnsupportedError as error:
        omissions = Omissions(list_all=True)
        # The configuration may have other errors, which are reported once this one is mended.
        with contextlib.suppress(ConfigError):
            build(omissions).config(directives)
        error.others = tuple(text for text in omissions.messages() if text != str(error))
        raise


class _Build:
    """State of loading one configuration."""

    def __init__(
        self,
        file: str,
        conf_prefix: str,
        prefix: str,
        is_variable: IsVariable,
        definition_error: DefinitionError,
        any_port: bool,
        omissions: Omissions,
        texts: Mapping[str, str],
        *,
        toml: bool | None = None,
    ) -> None:
        self._file = file
        self._is_variable = is_variable
        self._checks = ParseChecks(self._http_read, definition_error, omissions, prefix)
        self._http_block: Block | None = None
        self._http: Http | None = None
        self._omissions = omissions
        self._blocks = BlockChecks(self._checks, self._stream_read)
        self._stream_block: Block | None = None
        self._stream: Stream | None = None
        self._reader = Reader(self._blocks, omissions, conf_prefix, any_port=any_port)
        self._reader.texts.update(texts)
        self._prefix = prefix
        self._toml = toml

    def _http_read(self, block: Block, checks: ParseChecks) -> None:
        # nginx finishes `http {}` before it reads what follows.
        self._http_block = block
        self._http = http_model(block, {}, checks, self._prefix)
        check_http(self._http, block, checks, self._is_variable)

    def _stream_read(self, block: Block, checks: StreamChecks) -> None:
        from .stream_model import stream_model
        from .stream_postconf import check_stream

        self._stream_block = block
        self._stream = stream_model(block, {}, checks, self._prefix)
        known = self._is_variable is not accept_any_variable
        check_stream(self._stream, block, checks, checks_variables=known)

    def config(self, directives: str) -> Config:
        """Read everything. Raises `ConfigError`."""
        reader, file = self._reader, self._file
        reader.read(COMMAND_LINE, read_statements(directives, COMMAND_LINE))
        text = reader.load(file)
        if not self._omissions.allowed and "unsupported" in text:
            self._omissions.allowed = is_lenient(
                items_of(text, file, toml=self._toml, unknown=True)
            )
        reader.read(file, reader.items(text, file, toml=self._toml))
        root = reader.finish()
        events = next(root.named("events"), None)
        if events is None:
            raise ConfigError('no "events" section in configuration')
        self._checks.zones.check_sizes()
        error_log = root.values.get("error_log", ())
        if self._http_block is not None and error_log:
            # `error_log` may follow `http {}`, which inherits it nevertheless.
            self._http = http_model(self._http_block, root.values, self._checks, self._prefix)
        if self._stream_block is not None and error_log:
            from .stream_model import stream_model

            checks = self._blocks.stream
            assert checks is not None
            self._stream = stream_model(self._stream_block, root.values, checks, self._prefix)
        return Config(
            file=file,
            main=Main.resolve(root.values),
            events=Events.resolve(events.values),
            error_log=error_log,
            http=self._http,
            sources=tuple(reader.texts.items()),
            include_masks=tuple(reader.include_masks),
            warnings=(*self._checks.warnings, *self._omissions.warnings()),
            notices=tuple(self._checks.notices),
            stream=self._stream,
        )


def http_model(http: Block, main: Level, checks: ParseChecks, prefix: str) -> Http:
    """Build the model of an `http {}` block."""
    return Http(
        servers=tuple(
            _server(block, http.values, main, prefix, checks) for block in http.named("server")
        ),
        groups={
            block.value[0].lower(): upstream_block(block, UpstreamGroup, http.values)
            for block in http.named("upstream")
        },
        log_formats=checks.log_formats,
        cache_paths=tuple(
            cache
            for module in UPSTREAM_MODULES
            for cache in http.values.get(f"{module.PREFIX}cache_path", ())
        ),
        limit_req_zones=http.values.get("limit_req_zone", ()),
        limit_conn_zones=http.values.get("limit_conn_zone", ()),
        variables=frozenset(checks.variables),
        resolvers=tuple(checks.resolvers),
        end=http.end,
    )


def _server(block: Block, http: Level, main: Level, prefix: str, checks: ParseChecks) -> Server:
    settings = _LocationSettings(
        CoreLocation.resolve(block.values, http),
        Log.resolve(block.values, http, main),
        UpstreamModules.resolve(block.values, http),
        Rewrite.resolve(block.values, http),
        Files.resolve(block.values, http),
        Headers.resolve(block.values, http),
        Access.resolve(block.values, http),
        RequestLimits.resolve(block.values, http),
        ConnectionLimits.resolve(block.values, http),
        RealIP.resolve(block.values, http),
        Gzip.resolve(block.values, http),
        FilterSettings.resolve(block.values, http).with_charsets(checks.charsets),
    )
    return Server(
        core=CoreServer.resolve(block.values, http),
        ssl=Ssl.resolve(block.values, http),
        http2=Http2.resolve(block.values, http),
        default_location=_location(block, LocationName("", ""), settings),
        place=block.place,
        prefix=prefix,
        map_variables=checks.map_variables,
        set_variables=checks.set_variables,
    )


class _LocationSettings:
    """The settings of one location, by module."""

    __slots__ = (
        *("access", "core", "files", "gzip", "headers", "log", "rewrite", "upstreams"),
        *("request_limits", "connection_limits", "real_ip", "filters", "missing_content"),
    )

    def __init__(
        self,
        core: CoreLocation,
        log: Log,
        upstreams: UpstreamModules,
        rewrite: Rewrite,
        files: Files,
        headers: Headers,
        access: Access,
        request_limits: RequestLimits,
        connection_limits: ConnectionLimits,
        real_ip: RealIP,
        gzip: Gzip,
        filters: FilterSettings,
        missing_content: str = "",
    ) -> None:
        self.core = core
        self.log = log
        self.upstreams = upstreams
        self.rewrite = rewrite
        self.files = files
        self.headers = headers
        self.access = access
        self.request_limits = request_limits
        self.connection_limits = connection_limits
        self.real_ip = real_ip
        self.gzip = gzip
        self.filters = filters
        self.missing_content = missing_content

    def below(self, level: Level, name: LocationName) -> _LocationSettings:
        return _LocationSettings(
            self.core.merge(level),
            self.log.merge(level),
            self.upstreams.below(level, name.name),
            self.rewrite.merge(level),
            self.files.merge(level),
            self.headers.merge(level),
            self.access.merge(level),
            self.request_limits.merge(level),
            self.connection_limits.merge(level),
            self.real_ip.merge(level),
            self.gzip.merge(level),
            self.filters.merge(level),
            level.get(MISSING_CONTENT, ""),
        )

    def location(self, name: LocationName, nested: tuple[Location, ...], block: Block) -> Location:
        """Build the location; the `if` blocks among its statements become locations too."""
        statements = tuple(
            [
                If(
                    statement.value,
                    self.in_if(statement.values, name).location(name, (), statement),
                )
                if isinstance(statement, Block)
                else statement
                for statement in block.values.get("statements", ())
            ]
        )
        rewrite = replace(self.rewrite, statements=statements)
        return Location(
            name,
            self.core,
            self.log,
            self.upstreams,
            rewrite,
            self.files,
            self.headers if self.headers.adds_fields else None,
            self.access,
            self.request_limits,
            self.connection_limits,
            self.real_ip,
            self.gzip,
            self.filters,
            self.missing_content,
            self.limited(name, block),
            nested,
            block.place,
        )

    def limited(self, name: LocationName, block: Block) -> LimitExcept | None:
        """Build the `limit_except` of `block`."""
        for inner in block.named("limit_except"):
            settings = self.in_if(inner.values, name)
            return LimitExcept(inner.value, settings.location(name, (), inner))
        return None

    def in_if(self, level: Level, name: LocationName) -> _LocationSettings:
        """The settings inside an `if` or `limit_except`, which also inherit the content handler."""
        if MISSING_CONTENT not in level and not any(name in level for name in PASSES):
            inherited = {**self.upstreams.targets, MISSING_CONTENT: self.missing_content}
            level = {**level, **inherited}
        return self.below(level, name)


def _location(block: Block, name: LocationName, settings: _LocationSettings) -> Location:
    """Build a location and the locations nested in it, without recursion."""
    # Outer locations first: settings are merged into those of the enclosing location ...
    found = [(block, name, settings)]
    parents = [0]
    for index, (outer, _, around) in enumerate(found):
        for inner in outer.named("location"):
            found.append((inner, inner.value, around.below(inner.values, inner.value)))
            parents.append(index)
    # ... then inner locations first: a location holds its nested ones.
    nested: list[list[Location]] = [[] for _ in found]
    for index in range(len(found) - 1, -1, -1):
        current_name, name, settings = found[index]
        location = settings.location(name, tuple(nested[index][::-1]), current_name)
        nested[parents[index]].append(location)
    return location

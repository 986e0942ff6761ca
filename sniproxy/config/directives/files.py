"""File directives of nginx's core, index, try_files and autoindex modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...system import O_NOFOLLOW
from ...template import Template, literal
from ..numbers import parse_number
from .core import HSL, MODULE, LocationName
from .directive import (
    LOCATION,
    LOCATION_IF,
    SERVER,
    TYPES,
    Args,
    Context,
    Directive,
    Merge,
    Repeat,
    Settings,
    Slot,
    at_least,
    between,
    directive,
    exactly,
    exclusive,
    settings,
)
from .slots import compiled, flag, number, one_of, string

INDEX_MODULE = "ngx_http_index_module"
TRY_FILES_MODULE = "ngx_http_try_files_module"
AUTOINDEX_MODULE = "ngx_http_autoindex_module"

ALL_RANGES = 2**31 - 1
"""Default of `max_ranges`; only then are inefficient range sets rejected."""

DEFAULT_TYPES: tuple[Mapping[str, str], ...] = (
    {"html": "text/html", "gif": "image/gif", "jpg": "image/jpeg"},
)


@dataclass(frozen=True, slots=True)
class Root:
    """`root` or `alias`."""

    directory: Template
    """Without the trailing slash of a `root`; relative paths start at the prefix."""
    replaced: int | None = 0
    """Length of the URI prefix that the directory replaces: 0 for `root`, the length of the
    location's name for `alias`. None in a regex location, where the `alias` is the complete file
    name.
    """
    is_alias: bool = False


TOP = Template("/", ())
"""`root /`: an empty string here would mean the prefix."""


def root(args: Args) -> Root:
    _check_variables(args)
    if args.first == "/":
        return Root(TOP)
    return Root(_template(args, args.first.removesuffix("/")))


def alias(args: Args) -> Root:
    location = args.parent
    assert isinstance(location, LocationName)
    if location.modifier == "@":
        args.fail('the "alias" directive cannot be used inside the named location')
    _check_variables(args)
    replaced = len(location.name) if location.pattern is None else None
    return Root(_template(args, args.first), replaced, is_alias=True)


def _check_variables(args: Args) -> None:
    for name in ("document_root", "realpath_root"):
        if f"${name}" in args.first or f"${{{name}}}" in args.first:
            args.fail(f'the ${name} variable cannot be used in the "{args.name}" directive')


def _template(args: Args, text: str) -> Template:
    return compiled(args, text) if text else literal("")


def index(args: Args) -> tuple[Template, ...]:
    for word in args.words:
        if not word:
            args.fail(f'index "{word}" in "index" directive is invalid')
    return tuple(compiled(args, word) for word in args.words)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file or (with a trailing slash) directory argument of `try_files`."""

    name: Template
    """Without the trailing slash."""
    is_directory: bool


@dataclass(frozen=True, slots=True)
class TryFiles:
    """`try_files CANDIDATE … FALLBACK`."""

    candidates: tuple[Candidate, ...]
    fallback: Template
    """A URI or `@name`."""
    status: int | None
    """`=CODE` instead of a fallback."""


def try_files(args: Args) -> TryFiles:
    *names, fallback = args.words
    candidates = tuple(
        Candidate(_template(args, name.removesuffix("/")), name.endswith("/")) for name in names
    )
    status = None
    if fallback.startswith("="):
        status = parse_number(fallback[1:])
        if status is None or status > 999:
            args.fail(f'invalid code "{fallback}"')
    return TryFiles(candidates, _template(args, fallback), status)


@dataclass(frozen=True, slots=True)
class SymlinkRule:
    """`disable_symlinks on|if_not_owner [from=PART]`."""

    same_owner: bool
    """Whether links are followed that belong to the owner of what they lead to."""
    start: Template | None = None
    """The beginning of paths that is not checked."""


def disable_symlinks(args: Args) -> SymlinkRule | None:
    """The rule; None for `off`."""
    mode, start = "", None
    for word in args.words:
        if word in ("off", "on", "if_not_owner"):
            mode = word
        elif word.startswith("from="):
            start = compiled(args, word.removeprefix("from="))
        else:
            args.fail(f'invalid parameter "{word}"')
    if not mode:
        args.fail(f'"{args.name}" must have "off", "on" or "if_not_owner" parameter')
    if len(args.words) == 2 and start is None:
        args.fail(f'duplicate parameters "{args.words[0]} {args.words[1]}"')
    if mode == "off":
        if start is not None:
            args.fail('"from=" cannot be used with "off" parameter')
        return None
    if not O_NOFOLLOW:
        args.fail(f'"{args.name}" is not supported on this platform')
    return SymlinkRule(mode == "if_not_owner", start)


def _root_row(name: str, contexts: Context, kind: Slot) -> Directive:
    return Directive(name, contexts, exactly(1), kind, "directory of the files", MODULE,
               repeat=Repeat.REPLACED)  # fmt: skip


@settings(MODULE)
class Files(Settings):
    """Static file settings of a location."""

    root: Root = exclusive(
        Root(literal("html")),
        _root_row("root", HSL | LOCATION_IF, root),
        _root_row("alias", LOCATION, alias),
    )
    index: tuple[tuple[Template, ...], ...] = directive(
        HSL, index, "index files of directories",
        arity=at_least(1), default="index.html", repeat=Repeat.APPENDED, module=INDEX_MODULE,
    )  # fmt: skip
    try_files: TryFiles | None = directive(
        SERVER | LOCATION, try_files, "files to look for, and a fallback",
        arity=at_least(2), merge=Merge.NOT_INHERITED, module=TRY_FILES_MODULE,
    )  # fmt: skip
    types: tuple[Mapping[str, str], ...] = directive(
        HSL, lambda args: args.words, "media types by file name extension",
        arity=exactly(0), repeat=Repeat.APPENDED, opens_context=TYPES,
    )  # fmt: skip
    default_type: str = directive(
        HSL, string, "media type of files with other extensions", default="text/plain"
    )
    log_not_found: bool = directive(HSL, flag, "log files that are not found", default="on")
    etag: bool = directive(HSL, flag, "send an ETag for files", default="on")
    if_modified_since: str = directive(
        HSL, one_of({"off": "off", "exact": "exact", "before": "before"}),
        "comparison of If-Modified-Since with the modification time", default="exact",
    )  # fmt: skip
    autoindex: bool = directive(
        HSL, flag, "list directories that have no index file", default="off",
        module=AUTOINDEX_MODULE,
    )  # fmt: skip
    autoindex_format: str = directive(
        HSL, one_of({"html": "html", "json": "json", "jsonp": "jsonp", "xml": "xml"}),
        "format of directory listings", default="html", module=AUTOINDEX_MODULE,
    )  # fmt: skip
    autoindex_localtime: bool = directive(
        HSL, flag, "show local times in directory listings", default="off", module=AUTOINDEX_MODULE
    )
    autoindex_exact_size: bool = directive(
        HSL, flag, "show exact sizes in directory listings", default="on", module=AUTOINDEX_MODULE
    )
    random_index: bool = directive(
        LOCATION, flag, "serve a random file for a directory", default="off",
        module="ngx_http_random_index_module",
    )  # fmt: skip
    disable_symlinks: SymlinkRule | None = directive(
        HSL, disable_symlinks, "do not follow symbolic links to files",
        arity=between(1, 2), default="off",
    )  # fmt: skip
    max_ranges: int = directive(
        HSL, number, "maximum number of ranges per request", default=str(ALL_RANGES)
    )

    def media_type(self, path: str) -> str:
        """The media type for the file extension of `path`."""
        ending = name_ending(path)
        if ending:
            for table in self.types or DEFAULT_TYPES:
                if ending in table:
                    return table[ending]
        return self.default_type


def name_ending(path: str) -> str:
    """File extension, lower-case: `html` for `/a/index.html`; "" if there is none."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    # Dot files have no extension. nginx also ignores a dot that is the
    # second character of the path.
    if dot <= 0 or len(path) - len(name) + dot < 2:
        return ""
    return name[dot + 1 :].lower()

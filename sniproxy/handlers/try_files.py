"""`try_files`: a phase between location selection and content handler."""

from __future__ import annotations

import stat

from ..config.directives.files import Root
from ..facts import Facts
from ..logs.error import ConnectionLog
from ..message import Elsewhere, Level, Outcome, Special
from ..variables import lookup
from ..variables.files import document_root
from .files import NOT_FOUND_ERRNOS, stat_file, syscall_error
from .static import map_uri_to_path


def try_files(facts: Facts, log: ConnectionLog) -> Outcome | None:
    """Set the URI to the first file that exists and return None, or apply the fallback."""
    directive = facts.location.files.try_files
    if directive is None:
        return None
    if map_uri_to_path(facts, log) is None:
        return Special(500)
    root, values = facts.location.files.root, lookup(facts)
    directory = document_root(facts, values)
    for candidate in directive.candidates:
        name = _strip_alias(candidate.name.render(values), not candidate.name.is_constant, facts)
        if _exists(directory + name, candidate.is_directory, log):
            _apply(name, candidate.is_directory, root, facts)
            return None
    if directive.status is not None:
        return Special(directive.status)
    target = _strip_alias(
        directive.fallback.render(values), not directive.fallback.is_constant, facts
    )
    if target.startswith("@"):
        return Elsewhere(target, by="try_files")
    path, _, args = target.partition("?")
    return Elsewhere(path, args, "try_files")


def _strip_alias(name: str, rendered: bool, facts: Facts) -> str:
    """Strip the part of `name` that an `alias` replaces; nginx does so only if it has variables."""
    replaced = facts.location.files.root.replaced
    if rendered and replaced and name.startswith(facts.uri[:replaced]):
        return name[replaced:]
    return name


def _exists(name: str, as_directory: bool, log: ConnectionLog) -> bool:
    try:
        status = stat_file(name)
    except OSError as error:
        if error.errno not in NOT_FOUND_ERRNOS:
            log.write(Level.CRIT, syscall_error(f'stat() "{name}" failed', error))
        return False
    return stat.S_ISDIR(status.st_mode) is as_directory


def _apply(name: str, is_directory: bool, root: Root, facts: Facts) -> None:
    if root.replaced is not None:
        facts.uri = facts.uri[: root.replaced] + name
    elif not is_directory:
        facts.uri = name
        facts.adds_to_alias = True

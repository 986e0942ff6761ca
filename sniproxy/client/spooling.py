"""When a request body goes to a file, and to which (`client_body_buffer_size`, `…_in_file_only`,
`client_body_temp_path`).

nginx keeps its files in a folder below the prefix. Ours are in the system's temporary folder,
unless `client_body_temp_path` names one.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from ..config.directives.core import KEEP, CoreLocation
from ..message import Failed, Failure, FailureClass, Level, Request

_number = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Spooling:
    """What becomes of one body."""

    memory: int | None
    """Bytes that stay in memory before all goes to a file; None is any number."""
    folder: str | None = None
    """None is the system's own."""
    levels: tuple[int, ...] = ()
    keeps: bool = False
    """Whether the file is there to stay."""
    level: Level = Level.WARN
    """Of the line that tells of it."""

    def make_file(self) -> tuple[IO[bytes], str]:
        """The file and its name; raises `Failed`."""
        try:
            if self.folder is None:
                descriptor, path = tempfile.mkstemp(prefix="client_body_")
                return os.fdopen(descriptor, "wb+"), path
            path = os.path.join(self.folder, numbered_name(next(_number), self.levels))
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            return open(path, "wb+"), path
        except OSError as error:
            name = f'open() "{error.filename}" failed'
            failure = Failure(name, Level.CRIT, FailureClass.INTERNAL, error.errno)
            raise Failed(failure) from None


def numbered_name(number: int, levels: Sequence[int]) -> str:
    """`0000000012` in folders of its last digits: `2/01/0000000012` for levels 1 and 2."""
    name = f"{number:010d}"
    end = len(name)
    folders = []
    for level in levels:
        folders.append(name[end - level : end])
        end -= level
    return os.path.join(*folders, name)


def spooling(request: Request, core: CoreLocation, prefix: str, come: int) -> Spooling:
    """What becomes of the body of `request`, of which `come` bytes came with the head.

    nginx takes a buffer a quarter larger, if the whole rest fits in.
    """
    size = core.client_body_buffer_size
    memory: int | None = size + come
    if not request.chunked:
        rest = (request.content_length or 0) - come
        memory = None if rest < size + size // 4 else 0
    only = core.client_body_in_file_only
    folder, levels = core.client_body_temp_path or (None, ())
    return Spooling(
        0 if only else memory,
        None if folder is None else os.path.join(prefix, folder),
        levels,
        keeps=only == KEEP,
        level=Level.NOTICE if only else Level.WARN,
    )

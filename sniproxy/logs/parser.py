"""Parse error log lines, for tests and for explaining failures."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..models import Level

_LINE = re.compile(
    r"""(?P<time>\d{4}/\d\d/\d\d[ ]\d\d:\d\d:\d\d)[ ]
        \[(?P<level>[a-z]+)\][ ](?P<pid>\d+)\#(?P<tid>\d+):[ ]
        (?:\*(?P<connection>\d+)[ ])?(?P<text>.*)""",
    re.VERBOSE | re.DOTALL,
)
_CONTEXT = re.compile(
    r"""(?:[ ]while[ ](?P<action>[a-zA-Z][a-zA-Z_ ]*))?
        ,[ ]client:[ ](?P<client>[^,]*),[ ]server:[ ](?P<server>[^,]*)
        (?:,[ ]request:[ ]"(?P<request>.*?)")?
        (?:,[ ]subrequest:[ ]"(?P<subrequest>.*?)")?
        (?:,[ ]upstream:[ ]"(?P<upstream>.*?)")?
        (?:,[ ]host:[ ]"(?P<host>.*?)")?
        (?:,[ ]referrer:[ ]"(?P<referrer>.*?)")?$""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """A parsed error log line; parts that it lacks are None."""

    line: str
    """The line without its line feed."""
    time: str
    """`2024/07/15 17:14:08`, local time."""
    level: Level
    pid: int
    connection: int | None
    message: str
    """The message without ` while …`, `, client: …` and what follows."""
    action: str | None = None
    client: str | None = None
    server: str | None = None
    request: str | None = None
    upstream: str | None = None
    host: str | None = None
    referrer: str | None = None


_LEVELS = {level.label: level for level in Level}


def parse_error_line(line: str) -> ErrorRecord | None:
    """Parse a line; None if it is not an nginx error log line."""
    line = line.rstrip("\n")
    match = _LINE.fullmatch(line)
    if match is None or match["level"] not in _LEVELS:
        return None
    text, found = match["text"], _CONTEXT.search(match["text"])
    context = {} if found is None else found.groupdict()
    context.pop("subrequest", None)
    return ErrorRecord(
        line=line,
        time=match["time"],
        level=_LEVELS[match["level"]],
        pid=int(match["pid"]),
        connection=int(match["connection"]) if match["connection"] else None,
        message=text if found is None else text[: found.start()],
        **context,
    )

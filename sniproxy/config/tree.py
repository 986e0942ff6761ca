"""What both readers of configuration yield: statements and ends of blocks, in file order."""

from __future__ import annotations

from dataclasses import dataclass

from ..models import ConfigError, UnsupportedError

COMMAND_LINE = "command line"
"""The file's name for the text of `-g`, which has no lines."""

# nginx's NGX_MAX_CONF_ERRSTR: what a message may take before the place is added.
_MAX_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a statement ends: nginx names the line that the reader has come to."""

    file: str
    line: int

    def error(self, message: str, errno: int | None = None) -> ConfigError:
        """The refusal of what stands here, ready to be raised."""
        message = message[:_MAX_MESSAGE]
        if self.file == COMMAND_LINE:
            return ConfigError(f"{ConfigError(message, errno=errno)} in {COMMAND_LINE}")
        return ConfigError(message, self.file, self.line, errno)

    def unsupported(self, message: str) -> UnsupportedError:
        """The refusal of something that sniproxy lacks."""
        message = message[:_MAX_MESSAGE]
        if self.file == COMMAND_LINE:
            return UnsupportedError(f"{message} in {COMMAND_LINE}")
        return UnsupportedError(message, self.file, self.line)

    def __str__(self) -> str:
        return self.file if self.file == COMMAND_LINE else f"{self.file}:{self.line}"


def c_string(text: str) -> str:
    """`text` up to a NUL, where nginx prints it as a C string."""
    return text.partition("\0")[0]


@dataclass(frozen=True, slots=True)
class Statement:
    """`name arg …;` or, with `opens_block`, `name arg … {`."""

    name: str
    args: tuple[str, ...]
    place: Place
    opens_block: bool = False
    start: int = 0
    """Offset of the first byte of the name in its file."""
    end: int = 0
    """Offset behind the `;` or `{`."""


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """`}`."""

    place: Place
    start: int = 0


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a file, where nginx may miss a `}`."""

    place: Place


Item = Statement | BlockEnd | FileEnd

"""Finds the SSI commands in a text, piece by piece (`ngx_http_ssi_parse()`).

    <!--#command parameter="value" parameter='value' -->

Nothing but the part of a command that was read is remembered between two pieces.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field

START = b"<!--#"
LONGEST_NAME = 32
"""Maximum length of the name of a command or a parameter."""
MOST_PARAMETERS = 16
_MOST_COLLECTED = 1000
_BLANKS = b" \r\n\t"


@dataclass(slots=True)
class SsiParameter:
    """A parameter of a command, with its value as it is written."""

    name: bytes
    value: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class SsiCommand:
    """A command with its parameters, in their order."""

    name: bytes
    parameters: list[SsiParameter] = field(default_factory=list)

    def text(self) -> bytes:
        """The command as it is repeated when a block is inserted."""
        words = [b"<!--#" + self.name]
        words += [b'%s="%s"' % (each.name, each.value) for each in self.parameters]
        return b" ".join([*words, b"-->"])


@dataclass(frozen=True, slots=True)
class SsiSyntaxError:
    """A command that cannot be parsed; reported where its error is found."""

    message: str


class BrokenCommand(enum.Enum):
    """The place where a command ends that cannot be parsed."""

    END = enum.auto()


class _State(enum.Enum):
    TEXT = enum.auto()
    BEFORE_NAME = enum.auto()
    NAME = enum.auto()
    BEFORE_PARAMETER = enum.auto()
    PARAMETER = enum.auto()
    BEFORE_EQUALS = enum.auto()
    BEFORE_VALUE = enum.auto()
    VALUE = enum.auto()
    ESCAPED = enum.auto()
    AFTER_VALUE = enum.auto()
    FIRST_DASH = enum.auto()
    SECOND_DASH = enum.auto()
    ERROR = enum.auto()
    ERROR_FIRST_DASH = enum.auto()
    ERROR_SECOND_DASH = enum.auto()


SsiItem = bytes | SsiCommand | SsiSyntaxError | BrokenCommand


class SsiParser:
    """Splits a text into commands and what is between them."""

    def __init__(self, longest_value: int) -> None:
        """`longest_value` is the maximum length of a value (`ssi_value_length`)."""
        self._longest_value = longest_value
        self._state = _State.TEXT
        self._held = b""
        """The beginning of START at the end of the last piece."""
        self._name = bytearray()
        self._command = SsiCommand(b"")
        self._parameter = SsiParameter(b"")
        self._parameter_name = bytearray()
        self._quote = 0

    def feed(self, piece: bytes) -> Iterator[SsiItem]:
        """What is found in the next piece.

        At the end of a text its last bytes are dropped if they may be the beginning of a command.
        """
        data, self._held = self._held + piece, b""
        position = 0
        while position < len(data):
            if self._state is _State.TEXT:
                start = data.find(START, position)
                if start < 0:
                    end = len(data) - _length_of_beginning(data, position)
                    self._held = data[end:]
                    if end > position:
                        yield data[position:end]
                    return
                if start > position:
                    yield data[position:start]
                position = start + len(START)
                self._state = _State.BEFORE_NAME
                continue
            byte = data[position]
            position += 1
            item = self._take(byte)
            if item is not None:
                yield item

    def _take(self, byte: int) -> SsiItem | None:
        """Take a byte of a command."""
        is_blank = byte in _BLANKS
        state = _State
        match self._state:
            case state.BEFORE_NAME:
                if not is_blank:
                    self._name = bytearray((byte,))
                    self._command = SsiCommand(b"")
                    self._state = state.NAME
            case state.NAME:
                if is_blank:
                    self._named(state.BEFORE_PARAMETER)
                elif byte == 0x2D:
                    self._named(state.FIRST_DASH)
                elif len(self._name) == LONGEST_NAME:
                    text = f'the "{_text(self._name)}{chr(byte)}..." SSI command is too long'
                    return self._error(text)
                else:
                    self._name.append(byte)
            case state.BEFORE_PARAMETER:
                if byte == 0x2D:
                    self._state = state.FIRST_DASH
                elif not is_blank:
                    self._parameter_name = bytearray((byte,))
                    self._state = state.PARAMETER
            case state.PARAMETER:
                return self._take_parameter(byte, is_blank=is_blank)
            case state.BEFORE_EQUALS:
                if byte == 0x3D:
                    self._state = state.BEFORE_VALUE
                elif not is_blank:
                    return self._unexpected(byte, f"after {self._quoted_name()} parameter in")
            case state.BEFORE_VALUE:
                if byte in b"\"'":
                    self._quote = byte
                    self._state = state.VALUE
                    self._parameter = SsiParameter(bytes(self._parameter_name))
                    if len(self._command.parameters) < _MOST_COLLECTED:
                        self._command.parameters.append(self._parameter)
                elif not is_blank:
                    where = f"before value of {self._quoted_name()} parameter in"
                    return self._unexpected(byte, where)
            case state.VALUE | state.ESCAPED:
                return self._take_value(byte)
            case state.AFTER_VALUE:
                if is_blank:
                    self._state = state.BEFORE_PARAMETER
                elif byte == 0x2D:
                    self._state = state.FIRST_DASH
                else:
                    value = _text(self._parameter.value)
                    where = f'after "{value}" value of {self._quoted_name()} parameter in'
                    return self._unexpected(byte, where)
            case state.FIRST_DASH:
                if byte != 0x2D:
                    return self._unexpected(byte, "in")
                self._state = state.SECOND_DASH
            case state.SECOND_DASH:
                if byte != 0x3E:
                    return self._unexpected(byte, "in")
                self._state = state.TEXT
                return self._command
            case state.ERROR:
                if byte == 0x2D:
                    self._state = state.ERROR_FIRST_DASH
            case state.ERROR_FIRST_DASH:
                self._state = state.ERROR_SECOND_DASH if byte == 0x2D else state.ERROR
            case state.ERROR_SECOND_DASH:
                if byte == 0x3E:
                    self._state = state.TEXT
                    return BrokenCommand.END
                self._state = state.ERROR
        return None

    def _named(self, following: _State) -> None:
        self._command = SsiCommand(bytes(self._name))
        self._state = following

    def _take_parameter(self, byte: int, *, is_blank: bool) -> SsiItem | None:
        if is_blank:
            self._state = _State.BEFORE_EQUALS
        elif byte == 0x3D:
            self._state = _State.BEFORE_VALUE
        elif byte == 0x2D:
            return self._unexpected(byte, f"after {self._quoted_name()} parameter in")
        elif len(self._parameter_name) == LONGEST_NAME:
            name = f"{_text(self._parameter_name)}{chr(byte)}"
            return self._error(f'too long "{name}..." parameter in {self._quoted_command()}')
        else:
            self._parameter_name.append(byte)
        return None

    def _take_value(self, byte: int) -> SsiItem | None:
        value = self._parameter.value
        is_escaped = self._state is _State.ESCAPED
        self._state = _State.VALUE
        if byte == self._quote and not is_escaped:
            self._state = _State.AFTER_VALUE
            return None
        if len(value) == self._longest_value:
            return self._error(
                f'too long "{_text(value)}{chr(byte)}..." value of {self._quoted_name()} '
                f"parameter in {self._quoted_command()}"
            )
        if byte == 0x5C and not is_escaped:
            self._state = _State.ESCAPED
        value.append(byte)
        return None

    def _unexpected(self, byte: int, where: str) -> SsiSyntaxError:
        error = self._error(f'unexpected "{chr(byte)}" symbol {where} {self._quoted_command()}')
        if byte == 0x2D and self._state_before in _DASH_COUNTS:
            self._state = _State.ERROR_FIRST_DASH
        return error

    def _error(self, message: str) -> SsiSyntaxError:
        self._state_before, self._state = self._state, _State.ERROR
        return SsiSyntaxError(message)

    def _quoted_name(self) -> str:
        return f'"{_text(self._parameter_name)}"'

    def _quoted_command(self) -> str:
        return f'"{_text(self._command.name)}" SSI command'


_DASH_COUNTS = (_State.PARAMETER, _State.BEFORE_EQUALS, _State.BEFORE_VALUE)
"""States in which an unexpected `-` may begin the end of the command."""


def _length_of_beginning(data: bytes, position: int) -> int:
    """How many bytes at the end of `data` may be the beginning of a command."""
    for length in range(min(len(START) - 1, len(data) - position), 0, -1):
        if data.endswith(START[:length]):
            return length
    return 0


def _text(data: bytes | bytearray) -> str:
    return data.decode("latin-1")

"""The SSI commands: their parameters, and what they do to the output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..context import RequestContext
from ..http.uri import URIError, escape_html, escape_uri_in_html, internal_target
from ..included import SsiState
from .ssi_parser import MOST_PARAMETERS, SsiCommand
from .ssi_text import Expression, SsiError, evaluate, variable

NONE = "(none)"
ERROR_MESSAGE = "[an error occurred while processing the directive]"
LARGEST_BLOCKS = 1 << 20
"""Maximum length of all blocks of a request: nginx has no limit."""
LARGEST_VARIABLES = 4 << 20
"""Maximum length of all values of a request: nginx has no limit."""
MOST_VARIABLES = 10_000
"""Maximum number of variables of a request: nginx has no limit."""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """An `include`: a subrequest whose response comes here, or becomes a variable."""

    uri: str
    args: str
    waits: bool
    """Whether the next commands are processed after it."""
    variable: str | None = None
    """The variable that takes the response."""
    stub: bytes | None = None
    """The block that replaces the response if it is empty or an error."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """A row of the table of commands (`ngx_http_ssi_commands`)."""

    run: Callable[[SsiInterpreter, dict[str, str]], bytes | Inclusion]
    parameters: tuple[str, ...] = ()
    mandatory: tuple[str, ...] = ()
    inside: int = 0
    """For what belongs to an `if`: the state that it needs at most."""
    ends_block: bool = False


IN_IF, IN_ELSE = 1, 2


class SsiInterpreter:
    """Executes the commands of one response."""

    def __init__(self, ctx: RequestContext, state: SsiState) -> None:
        self._ctx = ctx
        self._state = state
        self._encoding: Callable[[str], str] = escape_html
        self._condition = 0
        """IN_IF or IN_ELSE between `if` and `endif`."""
        self._is_chosen = False
        """Whether a branch of the `if` was output."""
        self._block: str | None = None
        """The block that is being recorded."""
        self._in_block = False
        self.outputs = True
        """Whether the text between commands is output: not in a block, or in another branch."""
        self.error_message = ERROR_MESSAGE

    def text(self, data: bytes) -> bytes:
        """The output for text between commands."""
        if self.outputs:
            return data
        self._record(data)
        return b""

    def _record(self, data: bytes) -> None:
        if self._block is None:
            return
        state = self._state
        if state.blocks_size + len(data) <= LARGEST_BLOCKS:
            state.blocks[self._block] += data
            state.blocks_size += len(data)

    def execute(self, command: SsiCommand) -> bytes | Inclusion:
        """Execute a command; returns what comes in its place. Raises `SsiError`."""
        name = command.name.decode("latin-1")
        rules = _COMMANDS.get(name)
        if rules is None:
            if self.outputs:
                raise SsiError(f'invalid SSI command: "{name}"')
            return b""
        if not self.outputs and not rules.ends_block:
            if self._in_block:
                self._record(command.text())
                return b""
            if not rules.inside:
                return b""
        if rules.inside and not 0 < self._condition <= rules.inside:
            raise SsiError(f'invalid context of SSI command: "{name}"')
        return rules.run(self, _parameters(command, name, rules))

    def _value_of(self, name: str) -> str | None:
        return variable(name, self._ctx, self._state)

    def echo(self, given: dict[str, str]) -> bytes:
        value = self._value_of(given["var"])
        if value is None:
            value = given.get("default", NONE)
        if not value:
            return b""
        encoding = given.get("encoding")
        complaint = None
        if encoding is not None:
            if encoding in _ENCODINGS:
                self._encoding = _ENCODINGS[encoding]
            else:
                complaint = f'unknown encoding "{encoding}" in the "echo" command'
        encoded = self._encoding(value).encode("latin-1")
        if complaint is not None:
            raise SsiComplaintError(complaint, encoded)
        return encoded

    def set(self, given: dict[str, str]) -> bytes:
        value = "".join(evaluate(given["value"], self._value_of))
        self.assign(given["var"].lower(), value)
        return b""

    def assign(self, name: str, value: str | None) -> None:
        """Set a variable; with None it keeps its value. Raises `SsiError` if there are too many."""
        variables = self._state.variables
        if name not in variables:
            if len(variables) >= MOST_VARIABLES:
                raise SsiError("too many SSI variables")
            value = value or ""
        if value is None:
            return
        size = self._state.variables_size + len(value) - len(variables.get(name, ""))
        if size > LARGEST_VARIABLES:
            raise SsiError("the SSI variables are too large")
        self._state.variables_size = size
        self._state.set(name, value)

    def config(self, given: dict[str, str]) -> bytes:
        if "timefmt" in given:
            self._ctx.time_format = given["timefmt"]
        self.error_message = given.get("errmsg", self.error_message)
        return b""

    def begin_if(self, given: dict[str, str]) -> bytes:
        if self._condition:
            raise SsiError('the "if" command inside the "if" command')
        return self.begin_elif(given)

    def begin_elif(self, given: dict[str, str]) -> bytes:
        if self._is_chosen:
            self.outputs = False
            return b""
        is_true = Expression(given["expr"]).is_true(self._value_of, self._state)
        self.outputs = self._is_chosen = is_true
        self._condition = IN_IF
        return b""

    def begin_else(self, given: dict[str, str]) -> bytes:
        self.outputs = not self._is_chosen
        self._condition = IN_ELSE
        return b""

    def end_if(self, given: dict[str, str]) -> bytes:
        self.outputs, self._is_chosen, self._condition = True, False, 0
        return b""

    def begin_block(self, given: dict[str, str]) -> bytes:
        name = given["name"]
        self.outputs, state = False, self._state
        # `include` uses the first block of a name; what is too large is dropped.
        self._block = None
        self._in_block = True
        if name not in state.blocks and state.blocks_size + len(name) < LARGEST_BLOCKS:
            self._block = name
            state.blocks[name] = b""
            state.blocks_size += len(name) + 1
        return b""

    def end_block(self, given: dict[str, str]) -> bytes:
        self._block, self._in_block, self.outputs = None, False, True
        return b""

    def include(self, given: dict[str, str]) -> Inclusion:
        virtual, file = given.get("virtual"), given.get("file")
        if virtual is not None and file is not None:
            raise SsiError(f'inclusion may be either virtual="{virtual}" or file="{file}"')
        text = file if virtual is None else virtual
        if text is None:
            raise SsiError('no parameter in "include" SSI command')
        if "set" in given and "stub" in given:
            raise SsiError('"set" and "stub" cannot be used together in "include" SSI command')
        wait = given.get("wait")
        if wait is not None:
            if file is not None:
                raise SsiError(f'"wait" cannot be used with file="{file}"')
            if wait.lower() not in ("yes", "no"):
                raise SsiError(f'invalid value "{wait}" in the "wait" parameter')
        parts = evaluate(text, self._value_of)
        uri = "".join(parts)
        if not uri.startswith("/") and (parts[:1] or "$" not in text):
            uri = self._ctx.uri[: self._ctx.uri.rfind("/") + 1] + uri
        try:
            path, args = internal_target(uri)
        except URIError as unsafe:
            raise SsiError(f'unsafe URI "{unsafe}" was detected') from None
        stub = given.get("stub")
        if stub is not None and stub not in self._state.blocks:
            raise SsiError(f'"stub"="{stub}" for "include" not found')
        name = given.get("set")
        if name is not None:
            self.assign(name.lower(), None)
        return Inclusion(
            path,
            args,
            waits=file is not None or name is not None or (wait or "").lower() == "yes",
            variable=None if name is None else name.lower(),
            stub=None if stub is None else self._state.blocks[stub],
        )


class SsiComplaintError(SsiError):
    """Something is logged, but the command has an output."""

    def __init__(self, message: str, output: bytes) -> None:
        super().__init__(message)
        self.output = output


_ENCODINGS: dict[str, Callable[[str], str]] = {
    "none": lambda text: text,
    "url": escape_uri_in_html,
    "entity": escape_html,
}
_COMMANDS = {
    "include": _Rules(SsiInterpreter.include, ("virtual", "file", "wait", "set", "stub")),
    "echo": _Rules(SsiInterpreter.echo, ("var", "default", "encoding"), ("var",)),
    "config": _Rules(SsiInterpreter.config, ("errmsg", "timefmt")),
    "set": _Rules(SsiInterpreter.set, ("var", "value"), ("var", "value")),
    "if": _Rules(SsiInterpreter.begin_if, ("expr",), ("expr",)),
    "elif": _Rules(SsiInterpreter.begin_elif, ("expr",), ("expr",), inside=IN_IF),
    "else": _Rules(SsiInterpreter.begin_else, inside=IN_IF),
    "endif": _Rules(SsiInterpreter.end_if, inside=IN_ELSE),
    "block": _Rules(SsiInterpreter.begin_block, ("name",), ("name",)),
    "endblock": _Rules(SsiInterpreter.end_block, ends_block=True),
}


def _parameters(command: SsiCommand, name: str, rules: _Rules) -> dict[str, str]:
    """The parameters of a command by name. Raises `SsiError`."""
    if len(command.parameters) > MOST_PARAMETERS:
        raise SsiError(f'too many SSI command parameters: "{name}"')
    given: dict[str, str] = {}
    for parameter in command.parameters:
        key = parameter.name.decode("latin-1")
        if key not in rules.parameters:
            raise SsiError(f'invalid parameter name: "{key}" in "{name}" SSI command')
        if key in given:
            raise SsiError(f'duplicate "{key}" parameter in "{name}" SSI command')
        given[key] = parameter.value.decode("latin-1")
    for key in rules.mandatory:
        if key not in given:
            raise SsiError(f'mandatory "{key}" parameter is absent in "{name}" SSI command')
    return given

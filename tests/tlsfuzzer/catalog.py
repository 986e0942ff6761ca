"""Which scripts run against which server, and why their outcomes may differ from nginx's."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

FILE = Path(__file__).with_name("scripts.toml")


@dataclass(frozen=True, slots=True)
class Script:
    """A script with its arguments."""

    server: str
    """The server of the site that it connects to."""
    command: tuple[str, ...]
    """File name and arguments."""

    @property
    def name(self) -> str:
        """The file name without `.py`, and the arguments."""
        return " ".join([self.command[0].removesuffix(".py"), *self.command[1:]])


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why conversations differ from nginx's."""

    scripts: str
    """A shell pattern of `Script.name`."""
    conversations: re.Pattern[str]
    """Matches their whole names; `LOG` is the error log of the script."""
    nginx: re.Pattern[str]
    sniproxy: re.Pattern[str]
    """Match the outcomes, or the lines that only one program logs, as a whole."""
    reason: str

    def applies(self, script: Script, conversation: str, nginx: str, sniproxy: str) -> bool:
        """Whether a difference is of this kind."""
        return (
            fnmatchcase(script.name, self.scripts)
            and self.conversations.fullmatch(conversation) is not None
            and self.nginx.fullmatch(nginx) is not None
            and self.sniproxy.fullmatch(sniproxy) is not None
        )


@dataclass(frozen=True, slots=True)
class Catalog:
    scripts: tuple[Script, ...]
    left_out: dict[str, str]
    """Reasons by file name."""
    explanations: tuple[Explanation, ...]

    def matching(self, pattern: str) -> list[Script]:
        """The scripts whose names match the shell pattern, with or without their arguments."""
        return [
            script
            for script in self.scripts
            if fnmatchcase(script.name, pattern)
            or fnmatchcase(script.command[0].removesuffix(".py"), pattern)
        ]

    def missing(self, names: Iterable[str]) -> list[str]:
        """The scripts that are neither run nor left out."""
        known = {script.command[0] for script in self.scripts} | self.left_out.keys()
        return sorted(name for name in names if name.startswith("test-") and name not in known)

    def explain(
        self, script: Script, conversation: str, nginx: str, sniproxy: str
    ) -> Explanation | None:
        """The explanation of a difference, or None."""
        return next(
            (
                explanation
                for explanation in self.explanations
                if explanation.applies(script, conversation, nginx, sniproxy)
            ),
            None,
        )


def load(file: Path = FILE) -> Catalog:
    """Read the data file."""
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    return Catalog(
        tuple(
            Script(server, tuple(shlex.split(line)))
            for server, lines in data["servers"].items()
            for line in lines
        ),
        data["left_out"],
        tuple(
            Explanation(
                entry.get("scripts", "*"),
                re.compile(entry.get("conversations", ".*")),
                re.compile(entry.get("nginx", ".*")),
                re.compile(entry.get("sniproxy", ".*")),
                entry["reason"],
            )
            for entry in data.get("explanations", ())
        ),
    )

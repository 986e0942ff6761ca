"""Programs that serve a configuration after it was converted."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sniproxy.convert import convert
from tests.programs import Program


def to_toml(file: Path) -> Path:
    """The file as TOML, beside it."""
    return _written(file, "toml", file.with_suffix(".toml"))


def there_and_back(file: Path) -> Path:
    """The file as TOML and as nginx.conf again, beside it."""
    return _written(to_toml(file), "nginx", file.with_name(f"again-{file.stem}.conf"))


def _written(file: Path, to: str, target: Path) -> Path:
    target.write_text(convert(str(file), to).text, encoding="latin-1")
    return target


@dataclass(frozen=True, slots=True)
class ConvertedProgram:
    """A program that gets each file there and back again, or (`toml`) as TOML."""

    program: Program
    toml: bool = False

    @property
    def name(self) -> str:
        return f"{self.program.name}-converted"

    @contextlib.asynccontextmanager
    async def serving(self, prefix: Path, file: Path) -> AsyncIterator[None]:
        converted = to_toml(file) if self.toml else there_and_back(file)
        async with self.program.serving(prefix, converted):
            yield

"""Print a random sample of docstrings: `python -m tests.prose --sample 100 --seed 1`.

The sample is drawn from all docstrings of `sniproxy/`: of modules, classes and functions, and
those below assignments. Each is printed with its file, line and signature. The same seed and code
give the same sample.
"""

from __future__ import annotations

import argparse
import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "sniproxy"


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring with the place of what it documents."""

    file: str
    line: int
    signature: str
    """First line of the definition; "" for a module."""
    text: str

    def __str__(self) -> str:
        lines = [f"{self.file}:{self.line}", f"    {self.signature}" * bool(self.signature)]
        lines += [f"    {line}".rstrip() for line in self.text.splitlines()]
        return "\n".join(filter(None, lines))


def docstrings(package: Path = PACKAGE) -> Iterator[Docstring]:
    """All docstrings of a package, in order of file name and line."""
    for path in sorted(package.rglob("*.py")):
        file = path.relative_to(package.parent).as_posix()
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        found: list[tuple[int, ast.AST | None, str]] = []
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module) and (text := ast.get_docstring(node)):
                found.append((1, None, text))
            elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
                text := ast.get_docstring(node)
            ):
                found.append((node.lineno, node, text))
            found += _attribute_docstrings(node)
        for number, documented, text in sorted(found, key=lambda entry: entry[0]):
            signature = "" if documented is None else lines[number - 1].strip()
            yield Docstring(file, number, signature, text)


def _attribute_docstrings(node: ast.AST) -> Iterator[tuple[int, ast.AST, str]]:
    """The strings that follow an assignment in the body of a module, class or function."""
    body = getattr(node, "body", None)
    if not isinstance(body, list):
        return
    for before, after in pairwise(body):
        match before, after:
            case (
                ast.Assign() | ast.AnnAssign(),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield before.lineno, before, text.strip()


def sample(number: int, seed: int) -> list[Docstring]:
    """A random sample, in random order; all docstrings if there are fewer than `number`."""
    everything = list(docstrings())
    return random.Random(seed).sample(everything, min(number, len(everything)))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.prose", description=__doc__)
    parser.add_argument("--sample", type=int, default=100, help="number of docstrings")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random sample")
    options = parser.parse_args()
    for docstring in sample(options.sample, options.seed):
        print(docstring, end="\n\n")


if __name__ == "__main__":
    main()

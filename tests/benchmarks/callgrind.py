"""Instructions of a Python program, counted by valgrind's callgrind.

They are the same each time for the same interpreter, whatever else the machine is doing.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_OBJECT = re.compile(r"(c?ob)=\((\d+)\)(?: (.+))?")
_INTERPRETER = re.compile(r"/(lib)?python3[^/]*$")


def command(output: Path) -> tuple[str, ...]:
    """The beginning of a command line; each dump goes to a file named after `output`."""
    return ("valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={output}")


def dump(pid: int) -> None:
    """Write what was counted since the last dump."""
    argv = ["callgrind_control", "--dump", str(pid)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def interpreter_cost(file: Path) -> int:
    """The instructions in a dump that the interpreter itself executed.

    Those of OpenSSL, of the C library and of extension modules are not among them.
    """
    names: dict[str, str] = {}
    total = 0
    current = ""
    is_call = False  # the line behind `calls=` has the cost of the function called
    for line in file.read_text().splitlines():
        if (match := _OBJECT.match(line)) is not None:
            kind, number, name = match.groups()
            if name is not None:
                names[number] = name
            if kind == "ob":
                current = names[number]
        elif line.startswith("calls="):
            is_call = True
        elif line[:1] in "0123456789+-*" and line:
            if not is_call and _INTERPRETER.search(current):
                total += int(line.split()[1])
            is_call = False
    return total

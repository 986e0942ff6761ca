"""The process in which libFuzzer runs a target: `python -m tests.fuzz.guided NAME [OPTION]…`.

The arguments after the name are libFuzzer's.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["sniproxy"], enable_loader_override=False):
    from tests.fuzz.engine import check
    from tests.fuzz.targets import TARGETS

target = TARGETS[sys.argv[1]]


def test_one_input(data: bytes) -> None:
    """Check an input; an exception is a finding."""
    check(target, data)


atheris.Setup([sys.argv[0], *sys.argv[2:]], test_one_input)
atheris.Fuzz()

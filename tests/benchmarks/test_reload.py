"""What `python -m benchmarks.reload` says; that nothing fails, it says itself."""

from __future__ import annotations

import re

import pytest

from benchmarks.reload import main


def test_nothing_fails_while_the_configuration_is_reloaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(["--requests", "400", "--signals", "3", "sniproxy"])
    rendered = capsys.readouterr().out
    assert status == 0, rendered
    assert re.fullmatch(
        r"sniproxy: 4\d\d requests answered, 0 failed, \d+ sent again on another connection; "
        r"3 reloads, 3 reopenings, [\d.]+ s on \d+ cores\n"
        r"  4 of 4 answers of 8 MiB whole after QUIT, exit 0\n",
        rendered,
    )

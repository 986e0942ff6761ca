"""Lines from bug reports: side, order of causes, words of the explanation, and the score."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from sniproxy.explain import ErrorGroup, render_text
from tests.explain.cases import cases, read

with Path(__file__).with_name("lines.toml").open("rb") as file:
    LINES = tomllib.load(file)["line"]


@pytest.mark.parametrize("case", LINES, ids=lambda case: case["name"])
def test_line(case: dict[str, Any]) -> None:
    explanation = read(case["text"])
    assert explanation is not None
    names = explanation.signature.cause_names
    assert explanation.side == case["side"]
    assert case["cause"] in names[: 1 if case.get("first") else 2], names
    text = render_text(ErrorGroup.of(explanation))
    unwrapped = " ".join(text.split())
    assert all(word in unwrapped for word in case.get("shows", ())), text
    assert not any(word in text for word in case.get("lacks", ())), text


def test_score(capsys: pytest.CaptureFixture[str]) -> None:
    """The side of every line is right, and 95 % of the confirmed causes are among the first two."""
    lines = [(case.line, case.side, case.cause, case.confirmed) for case in cases()]
    lines += [(case["text"], case["side"], case["cause"], "confirmed") for case in LINES]
    sides = causes = known = 0
    for line, side, cause, confirmed in lines:
        explanation = read(line)
        sides += explanation is not None and explanation.side == side
        if confirmed != "none":
            known += 1
            causes += explanation is not None and cause in explanation.signature.cause_names[:2]
    with capsys.disabled():
        print(f"\nfield: side {sides} of {len(lines)}, cause {causes} of {known}")
    assert sides == len(lines)
    assert causes >= 0.95 * known

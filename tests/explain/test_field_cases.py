"""The score: what is made of lines that people posted, and of those lines in other clothes."""

from __future__ import annotations

import pytest

from tests.explain.cases import MUTATIONS, Case, cases, read

CASES = cases()
IDS = [f"{number}-{case.cause}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_side_and_cause(case: Case) -> None:
    explanation = read(case.line)
    assert explanation is not None
    assert case.is_right(explanation), (explanation.side, explanation.signature.cause_names)


@pytest.mark.parametrize("kind", MUTATIONS)
def test_mutated_lines_keep_side_and_cause(kind: str) -> None:
    tried, wrong = 0, []
    for case in CASES:
        for name, line in MUTATIONS[kind](case.line):
            tried += 1
            explanation = read(line)
            if not case.is_right(explanation):
                output = explanation and (explanation.side, *explanation.signature.cause_names[:2])
                wrong.append(f"{case.side} {case.cause}, {name}: {output}\n    {line}")
    print(f"{kind}: {tried - len(wrong)} of {tried} right")
    assert tried > len(CASES) // 2
    assert not wrong, f"{len(wrong)} of {tried}\n" + "\n".join(wrong)

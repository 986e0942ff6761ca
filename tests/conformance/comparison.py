"""Compare two observations, and an observation with what its row expects."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator

from tests.conformance.observation import Lines, Observation, without_error_text
from tests.conformance.scenario import ScenarioContext

WIDTH = 88
PARTS = {
    "hellos": "the ClientHello that the upstream saw",
    "requests": "the requests that the upstream saw",
    "responses": "what the client saw",
    "logs": "the error log and the access log",
}


def differences(left: Observation, right: Observation, names: tuple[str, str]) -> str:
    """The differences, side by side; "" if there are none."""
    report: list[str] = []
    for part, title in PARTS.items():
        mine, yours = getattr(left, part), getattr(right, part)
        if mine != yours:
            report += [f"== {title}", row(" ", *names), *side_by_side(mine, yours)]
    return "\n".join(report)


def side_by_side(left: Lines, right: Lines) -> Iterator[str]:
    """All lines of both sides; lines that differ are marked with `!`."""
    matcher = difflib.SequenceMatcher(a=left, b=right, autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        mark = " " if tag == "equal" else "!"
        for number in range(max(a2 - a1, b2 - b1)):
            mine = left[a1 + number] if a1 + number < a2 else ""
            yours = right[b1 + number] if b1 + number < b2 else ""
            yield row(mark, mine, yours)


def row(mark: str, left: str, right: str) -> str:
    """One line of each side, wrapped to WIDTH columns."""
    mine, yours = (
        textwrap.wrap(text, WIDTH, drop_whitespace=False) or [""] for text in (left, right)
    )
    height = max(len(mine), len(yours))
    mine += [""] * (height - len(mine))
    yours += [""] * (height - len(yours))
    return "\n".join(f"{mark} {a:{WIDTH}} | {b}".rstrip() for a, b in zip(mine, yours, strict=True))


def unmet_expectations(context: ScenarioContext, observed: Observation) -> list[str]:
    """What nginx did differently from what the row expects; then the row proves nothing."""
    scenario = context.scenario
    unmet = []
    if observed.statuses != scenario.statuses:
        unmet.append(f"status {observed.statuses}, not {scenario.statuses}")
    wanted_name = scenario.sni and context.fill(scenario.sni)
    if any(name != wanted_name for name in observed.server_names):
        unmet.append(f"SNI {observed.server_names}, not {wanted_name!r}")
    if observed.offers != (scenario.sessions_offered or (False,) * len(observed.offers)):
        unmet.append(f"sessions offered {observed.offers}, not {scenario.sessions_offered}")
    if scenario.resumed and observed.resumed != scenario.resumed:
        unmet.append(f"sessions resumed {observed.resumed}, not {scenario.resumed}")
    if len(observed.accesses) != scenario.expected_access_lines:
        unmet.append(f"{len(observed.accesses)} access lines, not {scenario.expected_access_lines}")
    if observed.open_connections != scenario.open_connections:
        unmet.append(
            f"{observed.open_connections} upstream connections stay open,"
            f" not {scenario.open_connections}"
        )
    messages = [without_error_text(line) for line in observed.error_messages]
    wanted = [without_error_text(context.fill(text)) for text in scenario.logs]
    if len(messages) != len(wanted) or not all(map(str.startswith, messages, wanted)):
        unmet.append("error log:\n  " + "\n  ".join(messages or ("(nothing)",)))
        unmet.append("instead of:\n  " + "\n  ".join(wanted or ("(nothing)",)))
    return unmet

"""Two observations side by side, and a row beside nginx."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator

from tests.conformance.observation import Lines, Observation, numbered
from tests.conformance.scenario import Place

WIDTH = 88
PARTS = {
    "hellos": "the ClientHello that the upstream saw",
    "requests": "the requests that the upstream saw",
    "responses": "what the client saw",
    "logs": "the error log and the access log",
}


def differences(left: Observation, right: Observation, names: tuple[str, str]) -> str:
    """What differs, both sides beside each other; "" if nothing does."""
    report: list[str] = []
    for part, title in PARTS.items():
        mine, yours = getattr(left, part), getattr(right, part)
        if mine != yours:
            report += [f"== {title}", row(" ", *names), *side_by_side(mine, yours)]
    return "\n".join(report)


def side_by_side(left: Lines, right: Lines) -> Iterator[str]:
    """All lines of both, those that differ marked with `!`."""
    matcher = difflib.SequenceMatcher(a=left, b=right, autojunk=False)
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        mark = " " if tag == "equal" else "!"
        for number in range(max(a2 - a1, b2 - b1)):
            mine = left[a1 + number] if a1 + number < a2 else ""
            yours = right[b1 + number] if b1 + number < b2 else ""
            yield row(mark, mine, yours)


def row(mark: str, left: str, right: str) -> str:
    """One line of both; a long one is folded."""
    mine, yours = (
        textwrap.wrap(text, WIDTH, drop_whitespace=False) or [""] for text in (left, right)
    )
    height = max(len(mine), len(yours))
    mine += [""] * (height - len(mine))
    yours += [""] * (height - len(yours))
    return "\n".join(f"{mark} {a:{WIDTH}} | {b}".rstrip() for a, b in zip(mine, yours, strict=True))


def folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, drop_whitespace=False) or [""]


def broken_promises(place: Place, seen: Observation) -> list[str]:
    """Where nginx did something else than the row says: then it does not prove its rule."""
    scenario = place.scenario
    broken = []
    if seen.statuses != scenario.statuses:
        broken.append(f"status {seen.statuses}, not {scenario.statuses}")
    wanted_name = scenario.sni and place.fill(scenario.sni)
    if any(name != wanted_name for name in seen.server_names):
        broken.append(f"SNI {seen.server_names}, not {wanted_name!r}")
    if seen.offers != (scenario.offers or (False,) * len(seen.offers)):
        broken.append(f"sessions offered {seen.offers}, not {scenario.offers}")
    if scenario.resumed and seen.resumed != scenario.resumed:
        broken.append(f"sessions resumed {seen.resumed}, not {scenario.resumed}")
    if len(seen.accesses) != scenario.access_lines:
        broken.append(f"{len(seen.accesses)} access lines, not {scenario.access_lines}")
    if seen.staying != scenario.staying:
        broken.append(f"{seen.staying} connections to upstreams stay, not {scenario.staying}")
    messages = [numbered(line) for line in seen.error_messages]
    wanted = [numbered(place.fill(text)) for text in scenario.logs]
    if len(messages) != len(wanted) or not all(map(str.startswith, messages, wanted)):
        broken.append("error log:\n  " + "\n  ".join(messages or ("(nothing)",)))
        broken.append("instead of:\n  " + "\n  ".join(wanted or ("(nothing)",)))
    return broken

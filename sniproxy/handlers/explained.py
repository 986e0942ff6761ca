"""What is known of a failure as a page: HTML, text, JSON. Pure: lines of a log in, bytes out.

In it are the lines, as the error log has them (with the request line and its query, and the
referrer), and what `explain` says of them; nothing of the request or of the configuration
comes here. Names in lines are chosen by others: whatever would move a terminal is shown by its
number (`terminal.escape_control`), and HTML is escaped.
"""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..explain import ErrorGroup, ErrorGroups, render_text, to_dict
from ..explain.groups import NO_LIVE_UPSTREAMS
from ..explain.render import MAX_DETAILED, subject
from ..terminal import escape_control

_CODE = re.compile("`([^`]+)`")

NOTHING_KNOWN = "No cause of this is known. The line stands in the error log, too."


@dataclass(frozen=True, slots=True)
class Detail:
    """Lines, and what they mean."""

    lines: tuple[str, ...]
    """The one that decided is the last."""
    groups: tuple[ErrorGroup, ...]
    """One of each meaning, the one that decided first; what is only a consequence comes last."""

    @classmethod
    def of(cls, lines: Sequence[str]) -> Detail:
        found = ErrorGroups()
        for line in lines:
            found.feed(line)
            found.flush()  # none goes on in the next
        by_sign: dict[str, ErrorGroup] = {}
        for group in reversed(list(found)):
            by_sign.setdefault(group.signature.name, group)
        groups = sorted(
            by_sign.values(), key=lambda group: group.signature.name == NO_LIVE_UPSTREAMS
        )
        return cls(tuple(lines), tuple(groups))


def text(status: str, server: str, detail: Detail) -> bytes:
    """`502 Bad Gateway`, and what `sniproxy explain` says; UTF-8.

    It has the line in it: lines stand apart where there are several, or where it says nothing.
    """
    parts = [f"{status}\n{server}\n"]
    if len(detail.lines) > 1 or not detail.groups:
        parts.append("".join(f"{escape_control(line)}\n" for line in detail.lines))
    parts += map(render_text, detail.groups)
    if not detail.groups:
        parts.append(f"{NOTHING_KNOWN}\n")
    return "\n".join(parts).encode()


def json(status: int, detail: Detail) -> bytes:
    """`{"status": 502, "lines": […], "groups": […]}`; groups as in `sniproxy explain --json`."""
    value = {
        "status": status,
        "lines": [escape_control(line) for line in detail.lines],
        "groups": [to_dict(group) for group in detail.groups],
    }
    return (json_module.dumps(value, indent=2) + "\n").encode("ascii")


STYLE = """\
<style>
.detail { max-width: 52em; margin: 2em auto; padding: 0 1em; color: #222;
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
.detail h2 { margin: 1.6em 0 .2em; font-size: 1.45em; line-height: 1.25 }
.detail h3 { margin: 1.4em 0 .3em; font-size: 1em }
.detail p, .detail ul { margin: .4em 0 }
.detail pre { margin: .4em 0 .8em; padding: .6em .9em; border-left: 3px solid #2a7d46;
  background: #f1f6f2; font: 13px/1.5 ui-monospace, monospace; white-space: pre-wrap }
.detail pre.log { border-color: #b3372b; background: #faf2f1 }
.detail pre.command { border-color: #777; background: #f4f4f4 }
.detail details { margin: .7em 0; padding: .5em 1em; border: 1px solid #ddd; border-radius: 6px }
.detail summary { font-weight: 600; cursor: pointer }
.detail small { color: #666 }
.detail .beware { padding: .5em .9em; border-left: 3px solid #c98a00; background: #fdf8ea }
</style>
"""


def html(page: bytes, detail: Detail) -> bytes:
    """nginx's own page with a block at the end of its body; ASCII."""
    head, in_head, rest = page.partition(b"</head>")
    body, in_body, end = rest.rpartition(b"</body>")
    block = "\n".join(_block(detail)) + "\n"
    return b"".join((
        head, STYLE.encode("ascii"), in_head,
        body, block.encode("ascii", "xmlcharrefreplace"), in_body, end,
    ))  # fmt: skip


def _block(detail: Detail) -> Iterator[str]:
    log = _pre("log", [escape_control(line) for line in detail.lines])
    yield '<div class="detail">'
    if not detail.groups:
        yield log
        yield _p(NOTHING_KNOWN)
    for number, group in enumerate(detail.groups):
        value = to_dict(group)
        yield f"<h2>{escape(value['details'][0]['title'])}</h2>"
        yield f"<p><small>{escape(subject(group))}</small></p>"
        if number == 0:
            yield log
        yield from _group(value)
    yield "</div>"


def _group(value: Mapping[str, Any]) -> Iterator[str]:
    causes = value["details"]
    yield _p(value["meaning"])
    yield "<h3>Likely causes</h3>"
    for number, cause in enumerate(causes[:MAX_DETAILED], 1):
        yield '<details open="">' if number == 1 else "<details>"
        yield f"<summary>{number}. {escape(cause['title'])}</summary>"
        yield from _cause(cause)
        yield "</details>"
    if others := causes[MAX_DETAILED:]:
        yield _p(f"Less likely: {'; '.join(cause['title'] for cause in others)}.")
    if value["hint"]:
        yield _p(value["hint"])
    if value["distinguish"]:
        yield "<h3>To tell them apart</h3>"
        yield _p(value["distinguish"])
    yield "<h3>Proof</h3>"
    yield _pre("command", causes[0]["proof"])
    if causes[0]["misconception"]:
        yield f'<p class="beware"><b>Beware:</b> {escape(causes[0]["misconception"])}</p>'


def _cause(cause: Mapping[str, Any]) -> Iterator[str]:
    yield _p(cause["explains"])
    yield "<ul>"
    for way in cause["likely"]:
        yield f"<li>{escape(way)}</li>"
    yield "</ul>"
    for cure in cause["fixes"]:
        when = f"Or, {cure['when']}" if cure["optional"] else _capitalized(cure["when"])
        if cure["instruction"]:
            yield _p(f"{when}: {cure['instruction']}")
            continue
        kind = cure["context"] if cure["kind"] == "directive" else cure["kind"]
        yield f"<p>{escape(when)} <small>({escape(kind)})</small></p>"
        yield _pre("cure", cure["directives"])


def _p(said: str) -> str:
    marked = _CODE.sub(r"<code>\1</code>", escape(said))
    return f"<p>{marked}</p>"


def _pre(kind: str, lines: Sequence[str]) -> str:
    return f'<pre class="{kind}">{escape(chr(10).join(lines))}</pre>'


def _capitalized(said: str) -> str:
    return said[:1].upper() + said[1:]

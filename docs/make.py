"""Writes what the documentation takes from the code: `python docs/make.py`.

`compatibility.md` whole, and in `tls.md` what stands between `<!-- made -->` marks. A test holds
the files to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sniproxy.config.directives.row import Row, Status
from sniproxy.config.directives.table import ROWS
from sniproxy.variables.table import ROWS as VARIABLES

from sniproxy.version import NGINX_VERSION

HERE = Path(__file__).parent

STATUS_WORDS = {
    Status.WORKS: "works",
    Status.NO_EFFECT: "no effect",
    Status.REFUSED: "refused",
    Status.NOT_YET: "not yet",
}

COMPATIBILITY = """\
# Directives and variables

Every directive of nginx {nginx}, and what sniproxy does with it. *Works*: as in nginx. *No effect*:
accepted and checked, and then nothing: it tunes nginx's own machinery. *Not yet* and *refused*: a
configuration that has it does not start, and the message says which it is.

Made from the table of directives by `docs/make.py`.

{directives}
## Variables

{variables}
"""


def arguments(row: Row) -> str:
    least, most = row.arity.least, row.arity.most
    if most is None:
        return f"{least}+"
    return str(least) if least == most else f"{least}-{most}"


def directive_table(rows: Iterable[Row]) -> str:
    lines = [
        "| directive | status | in | arguments | default | what for |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda row: row.name):
        name = f"`{row.name}`" + (" (ours)" if row.ours else "")
        default = f"`{row.default}`" if row.default else "–"
        contexts = ", ".join(row.contexts.words)
        doc = row.doc.replace("|", "\\|")
        cells = (name, STATUS_WORDS[row.status], contexts, arguments(row), default, doc)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def compatibility() -> str:
    modules: dict[str, list[Row]] = {}
    for row in ROWS:
        modules.setdefault(row.module, []).append(row)
    parts = [f"## {module}\n\n{directive_table(rows)}" for module, rows in sorted(modules.items())]
    variables = ["| variable | what it is |", "| --- | --- |"]
    variables += [
        f"| `${row.name}` | {row.doc} |" for row in sorted(VARIABLES, key=lambda v: v.name)
    ]
    return COMPATIBILITY.format(
        nginx=NGINX_VERSION, directives="\n".join(parts), variables="\n".join(variables)
    )


def tls_tables() -> dict[str, str]:
    """The made parts of `tls.md`, by their mark."""
    return {
        "upstream": directive_table(row for row in ROWS if row.name.startswith("proxy_ssl_")),
        "client": directive_table(row for row in ROWS if row.name.startswith("ssl_")),
    }


def filled(text: str) -> str:
    """`text` with its made parts made again."""

    def made(match: re.Match[str]) -> str:
        return f"<!-- made: {match[1]} -->\n{tls_tables()[match[1]]}<!-- /made -->"

    return re.sub(r"<!-- made: (\w+) -->\n.*?<!-- /made -->", made, text, flags=re.DOTALL)


def main() -> None:
    (HERE / "compatibility.md").write_text(compatibility())
    tls = HERE / "tls.md"
    tls.write_text(filled(tls.read_text()))


if __name__ == "__main__":
    main()

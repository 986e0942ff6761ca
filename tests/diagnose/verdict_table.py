"""The table of verdicts in docs/diagnosis.md: `python -m tests.diagnose.verdict_table` makes it.

Every upstream of the catalog is diagnosed without options, with --name, with --name and --ca, and
those that want a client certificate with --cert. What is printed is pasted into a location of
sniproxy and of nginx, and the table has the status that each answers with.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sniproxy
from sniproxy.cli.diagnose import main
from sniproxy.diagnose.probe import Timeouts
from sniproxy.testing.upstreams import (
    ThreadUpstreams,
    UpstreamSpec,
    generate_certificates,
    upstreams_in_thread,
)
from sniproxy.testing.upstreams.catalog import ALL
from tests.compare_nginx import get, served
from tests.nginx import NGINX

PAGE = Path(__file__).parent.parent.parent / "docs" / "diagnosis.md"
BEGIN, END = "<!-- verdicts -->", "<!-- end of verdicts -->"
TIMEOUTS = Timeouts(connect=1.0, handshake=0.7, response=0.7, total=30.0)
NAME = ("--name", "upstream.test")
CA = ("--ca", "root.pem")
CERTIFICATE = ("--cert", "client.pem", "--key", "client.key")
VARIANTS = ((), NAME, (*NAME, *CA))
UNTRIED = "–"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `diagnose` says, and what both programs do with it."""

    status: int
    plain: str
    fix: str
    """The directives, or "" for none."""
    lost: str
    """What security the fix gives up."""
    on_sniproxy: str
    on_nginx: str


def options_of(spec: UpstreamSpec) -> tuple[tuple[str, ...], ...]:
    """The options that are tried with an upstream."""
    wants = spec.tls is not None and spec.tls.client_ca is not None
    return (*VARIANTS, CERTIFICATE) if wants else VARIANTS


def verdict(
    spec: UpstreamSpec, options: Sequence[str], upstreams: ThreadUpstreams, certificates: Path
) -> Verdict:
    """Diagnose a new upstream, and try what is proposed."""
    upstream = upstreams.start(spec)
    paths = [
        str(certificates / word) if word.endswith((".pem", ".key")) else word for word in options
    ]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = main((f"https://127.0.0.1:{upstream.port}/", *paths, "--json"), TIMEOUTS)
    data = json.loads(output.getvalue())
    blocks = data["form"]["blocks"]
    lines = [f"proxy_pass {data['proxy_pass']};"] if data["proxy_pass"] else []
    lines += [directive["nginx"] for directive in data["directives"]]
    tried = (UNTRIED, UNTRIED) if status == 4 else _tried(lines)
    return Verdict(
        status,
        data["plain"],
        " ".join(_described(data)),
        blocks[0]["weakens"] if blocks else "",
        *tried,
    )


def _described(data: Any) -> Iterator[str]:
    """The directives, without ports and folders."""
    if data["proxy_pass"] and data["proxy_pass"].startswith("http://"):
        yield "`proxy_pass http://…`"
    for directive in data["directives"]:
        words = " ".join(
            Path(word).name if word.startswith("/") else word for word in directive["args"]
        )
        yield f"`{directive['name']} {words}`"


def _tried(lines: Sequence[str]) -> tuple[str, str]:
    """The status that sniproxy and nginx answer with."""
    location = "location / {\n" + "\n".join(lines) + "\n}"
    text = f"events {{}} http {{ server {{ listen 127.0.0.1:0; {location} }} }}"
    with sniproxy.serve_in_thread(text) as proxy:
        ours = _status(proxy.addresses[0][1])
    with tempfile.TemporaryDirectory() as folder:
        server = f"server {{ listen 127.0.0.1:@PORT@; {location} }}"
        with served(NGINX, Path(folder), server) as nginx:
            (theirs,) = nginx.ask([get("/")])
    return ours, str(theirs.status)


def _status(port: int) -> str:
    import http.client

    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", "/", headers={"Host": "front.test"})
        return str(client.getresponse().status)
    finally:
        client.close()


def rows(names: Iterable[str]) -> Iterator[str]:
    """The rows of the table for these upstreams."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = Path(folder)
        generate_certificates(certificates)
        with upstreams_in_thread(certificates) as upstreams:
            for name in names:
                spec = ALL[name]
                found: dict[Verdict, list[tuple[str, ...]]] = {}
                for options in options_of(spec):
                    made = verdict(spec, options, upstreams, certificates)
                    found.setdefault(made, []).append(options)
                for number, (made, variants) in enumerate(found.items()):
                    yield row(spec, variants, made, is_first=not number)


def row(
    spec: UpstreamSpec, variants: Sequence[tuple[str, ...]], made: Verdict, *, is_first: bool
) -> str:
    """A row: the upstream (in its first one), the options with this verdict, and the verdict."""
    every = len(variants) == len(options_of(spec))
    options = "any" if every else ", ".join(_labels(variants))
    fix = made.fix or ("nothing" if made.status == 0 else UNTRIED)
    if made.lost:
        fix += f" **{made.lost}**"
    cells = (
        f"`{spec.name}` {spec.description}" if is_first else "",
        options,
        made.plain,
        fix,
        f"{made.on_sniproxy} {made.on_nginx}",
    )
    return f"| {' | '.join(cells)} |"


def _labels(variants: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for options in variants:
        names = [word for word in options if word.startswith("--") and word != "--key"]
        yield " ".join(f"`{name}`" for name in names) or "none"


HEAD = """\
| the upstream | options | first sentence | fix | sniproxy, nginx |
| --- | --- | --- | --- | --- |
"""


def table() -> str:
    return HEAD + "".join(f"{line}\n" for line in rows(ALL))


def table_in(page: str) -> str:
    """The table as it stands in the page."""
    return page.partition(f"{BEGIN}\n")[2].partition(END)[0]


def update() -> None:
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(f"{BEGIN}\n")
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}{END}{after}", "utf-8")


if __name__ == "__main__":
    update()

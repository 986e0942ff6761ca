"""Each form that can be run here, by its own program, in front of faulty upstreams.

`diagnose URL --for FORM` finds what the upstream needs; what it prints is pasted, and the program
has to answer 200 with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sniproxy.cli.diagnose import main
from sniproxy.diagnose.probe import Timeouts
from sniproxy.testing.upstreams import (
    ThreadUpstreams,
    UpstreamSpec,
    generate_certificates,
    upstreams_in_thread,
)
from sniproxy.testing.upstreams import catalog as upstream_catalog
from tests.diagnose.test_faulty_upstreams import LONG_WINDED, TLS10_ONLY
from tests.forms.other_programs import PROGRAMS, output_of, running, status_of

QUICK = Timeouts(connect=1.0, handshake=0.5, response=0.5, total=15.0)
NAME = ("--name", "upstream.test")
ROOT = ("--ca", "root.pem")
CLIENT = ("--cert", "client.pem", "--key", "client.key")

NEEDS = {
    "caddy": ("caddy",),
    "haproxy": ("haproxy",),
    "apache": ("apache2", "unshare", "mount"),
    "swag": ("sed",),
}
NGINX_FORMS = ("nginx", "nginx-proxy-manager", "swag")


@dataclass(frozen=True, slots=True)
class Case:
    upstream: UpstreamSpec
    options: tuple[str, ...] = ()
    impossible: frozenset[str] = frozenset()
    """Forms whose program has no setting for it, which the text says."""
    unfit: frozenset[str] = frozenset()
    """Forms that are not tried."""

    @property
    def name(self) -> str:
        return "+".join((self.upstream.name, *self.options))


GO = frozenset({"caddy"})
CASES = [
    Case(upstream_catalog.GOOD),
    Case(upstream_catalog.GOOD, (*NAME, *ROOT)),
    Case(upstream_catalog.NEEDS_SNI, NAME),
    Case(upstream_catalog.NEEDS_SNI, (*NAME, *ROOT)),
    Case(upstream_catalog.NEEDS_SNI_SILENT, (*NAME, *ROOT)),
    # Apache sends a Host with the port, which this upstream does not take.
    Case(upstream_catalog.WANTS_HOST_421, (*NAME, *ROOT), unfit=frozenset({"apache"})),
    Case(upstream_catalog.PLAIN),
    Case(upstream_catalog.EXPIRED),
    Case(upstream_catalog.SELF_SIGNED, (*NAME, "--ca", "self-signed.pem")),
    Case(upstream_catalog.deep_chain(3), (*NAME, *ROOT)),
    Case(upstream_catalog.WRONG_HOST, ("--name", "other.test", *ROOT)),
    Case(upstream_catalog.WANTS_CLIENT_12, CLIENT),
    Case(upstream_catalog.WANTS_CLIENT_13, (*CLIENT, *NAME, *ROOT)),
    Case(TLS10_ONLY, impossible=GO),
    Case(upstream_catalog.WEAK_DH, impossible=GO),
    Case(LONG_WINDED),
    Case(upstream_catalog.BIG_HEADER),
]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Apache reads some of the files as another user.
    folder = tmp_path_factory.mktemp("certificates")
    generate_certificates(folder)
    return folder


@pytest.fixture(scope="module")
def upstreams(certificates: Path) -> Iterator[ThreadUpstreams]:
    with upstreams_in_thread(certificates) as running_upstreams:
        yield running_upstreams


def pairs() -> Iterator[Any]:
    for form in PROGRAMS:
        marks = [pytest.mark.needs(*NEEDS[form])] if form in NEEDS else []
        marks += [pytest.mark.nginx] if form in NGINX_FORMS else []
        for case in (case for case in CASES if form not in case.unfit):
            yield pytest.param(form, case, marks=marks, id=f"{form} {case.name}")


@pytest.mark.parametrize(("form", "case"), list(pairs()))
def test_the_upstream_answers_with_what_is_printed(
    form: str,
    case: Case,
    upstreams: ThreadUpstreams,
    certificates: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upstream = upstreams.start(case.upstream)
    options = [
        str(certificates / word) if word.endswith((".pem", ".key")) else word
        for word in case.options
    ]
    main((f"https://127.0.0.1:{upstream.port}", *options, "--for", form, "--json"), QUICK)
    blocks = json.loads(capsys.readouterr().out)["form"]["blocks"]
    assert blocks
    if form in case.impossible:
        assert "has no setting for" in "\n".join(blocks[0]["lines"])
        return
    # Without --ca only the last one, which does not verify, can be tried as it is printed.
    lines = blocks[-1]["lines"]
    before = len(upstream.connections)
    with running(form, lines, tmp_path) as port:
        assert status_of(port) == 200, "\n".join([*lines, output_of(tmp_path)])
        assert any(connection.requests for connection in upstream.connections[before:])
    if "--ca" in case.options:
        assert [block["weakens"] for block in blocks] == [""]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(name, marks=pytest.mark.needs(*NEEDS[name]))
        for name in ("caddy", "haproxy", "apache")
    ],
)
def test_an_upstream_of_another_authority_is_refused(
    form: str,
    upstreams: ThreadUpstreams,
    certificates: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The verification that is printed is one."""
    good = upstreams.start(upstream_catalog.GOOD)
    untrusted = upstreams.start(upstream_catalog.UNTRUSTED)
    main((good.url, *NAME, "--ca", str(certificates / "root.pem"), "--for", form, "--json"), QUICK)
    [block] = json.loads(capsys.readouterr().out)["form"]["blocks"]
    lines = [line.replace(str(good.port), str(untrusted.port)) for line in block["lines"]]
    with running(form, lines, tmp_path) as port:
        assert status_of(port) in (500, 502, 503), lines

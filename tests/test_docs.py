"""The documentation says what the code does."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sniproxy.cli import main
from sniproxy.testing.upstreams import RunningUpstream

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", DOCS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_compatibility_page_is_generated_from_the_directives(make: ModuleType) -> None:
    made = (DOCS / "compatibility.md").read_text()
    assert made == make.compatibility(), "run python docs/make.py"


def test_tls_page_has_the_generated_tables(make: ModuleType) -> None:
    text = (DOCS / "tls.md").read_text()
    assert text == make.filled(text), "run python docs/make.py"


def test_running_page_has_a_configuration_that_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (DOCS / "running.md").read_text()
    configuration, group = re.findall("```nginx\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for whole in (configuration, f"events {{ }} http {{ {group} }}"):
        Path("nginx.conf").write_text(whole.replace("/tmp/", ""))
        assert main(["-t", "-q", "-c", "nginx.conf"]) == 0, capsys.readouterr().err


def test_trace_page_shows_real_output(
    tls_upstream: Callable[[str], RunningUpstream],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (DOCS / "trace.md").read_text()
    (configuration,) = re.findall("```nginx\n(.*?)```", text, re.DOTALL)
    (rendered,) = re.findall("```\n(GET .*?)```", text, re.DOTALL)
    peer = tls_upstream("needs-sni-112")
    monkeypatch.chdir(tmp_path)
    Path("nginx.conf").write_text(configuration.replace("127.0.0.1:9443", peer.address))
    command = ["trace", "-c", "nginx.conf", "https://shop.test/old/cart"]
    assert main([*command, "-H", "Cookie: session=0123456789"]) == 1
    output = capsys.readouterr().out.replace(peer.address, "127.0.0.1:9443")
    assert _at_any_time(output.rstrip()) == _at_any_time(rendered.rstrip()), "paste what it prints"


def _at_any_time(tree: str) -> str:
    """A tree without times, dates, ports and numbers of processes."""
    return re.sub(
        r"\d+\.\d ms|\w{3}, \d\d \w{3} \d{4} [\d:]+|\d\d/\w{3}/\d{4}:[\d:]+|\d{4}(/\d\d){2} [\d:]+"
        r"|\d+#\d+|\d{4}-\d\d-\d\d|client 127.0.0.1:\d+",
        "…",
        tree,
    )

"""The page of `error_detail` in Chromium: on a phone, in the dark, without scripts."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from sniproxy.handlers.error_detail import FailureDetail
from sniproxy.handlers.error_detail_html import html_page
from sniproxy.http.pages import error_page
from tests.browser import chromium
from tests.handlers.test_error_detail_page import MISMATCH, NO_SNI, NOT_KNOWN, REFUSED, line

PHONE = 390
HARNESS = """<!doctype html>
<iframe id="page" width="%(width)d" height="800" srcdoc="%(page)s"></iframe>
<pre id="result"></pre>
<script>
const frame = document.getElementById("page");
frame.onload = async () => {
  const inside = frame.contentDocument, root = inside.documentElement;
  const measured = () => root.scrollWidth;
  const radios = [...inside.querySelectorAll("input")];
  const widths = [measured()];
  for (const one of radios) { one.click(); widths.push(measured()); }
  for (const one of inside.querySelectorAll("details")) { one.open = true; }
  widths.push(measured());
  if (radios.length) { radios[0].click(); }
  const style = selector => getComputedStyle(inside.querySelector(selector));
  const prose = [...inside.querySelectorAll("h1, h2, h3, p, li, summary, label, center")];
  document.getElementById("result").textContent = JSON.stringify({
    mode: inside.compatMode,
    charset: inside.characterSet,
    widths,
    families: [...new Set(prose.map(one => getComputedStyle(one).fontFamily))],
    background: style("body").backgroundColor,
    buttons: inside.querySelectorAll("button.copy").length,
    blocks: inside.querySelectorAll("pre").length,
    forms: [...inside.querySelectorAll(".form")].filter(one => one.offsetHeight).length,
    text: inside.body.innerText,
  });
};
</script>
"""


def measure(tmp_path: Path, lines: list[str], *arguments: str, sandbox: bool = False) -> Any:
    """What the page is like in a frame as wide as a phone."""
    detail = FailureDetail.from_log_lines(lines)
    page = html_page(error_page(502), detail.lines, detail.groups).decode()
    if sandbox:
        page = re.sub("<script>.*</script>", "", page, flags=re.S)
    file = tmp_path / "harness.html"
    file.write_text(HARNESS % {"width": PHONE, "page": html.escape(page)})
    done = chromium(tmp_path / "home", *arguments, "--dump-dom", f"file://{file}")
    result = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
    assert result is not None
    return json.loads(html.unescape(result[1]))


LONG = line(NO_SNI, upstream=f"https://{'a' * 200}.test", server="b" * 200)


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(
    "lines",
    [
        [line(NO_SNI)],
        [line(NO_SNI), line(REFUSED, "https://192.0.2.8:443")],
        [line(MISMATCH.format("a.test"))],
        [line(NOT_KNOWN)],
        [LONG],
    ],
    ids=["sni", "two", "mismatch", "unknown", "long"],
)
def test_page_fits_a_phone(lines: list[str], tmp_path: Path) -> None:
    found = measure(tmp_path, lines)
    assert (found["mode"], found["charset"]) == ("CSS1Compat", "UTF-8")
    assert max(found["widths"]) <= PHONE
    assert len(found["families"]) == 1
    assert found["buttons"] == found["blocks"]


@pytest.mark.needs("chromium")
def test_page_is_dark_where_the_user_wants_it(tmp_path: Path) -> None:
    light = measure(tmp_path, [line(NO_SNI)])
    dark = measure(tmp_path, [line(NO_SNI)], "--blink-settings=preferredColorScheme=0")
    assert light["background"] == "rgb(246, 247, 249)"
    assert dark["background"] == "rgb(15, 18, 22)"


@pytest.mark.needs("chromium")
def test_page_can_be_read_without_its_script(tmp_path: Path) -> None:
    found = measure(tmp_path, [line(NO_SNI)], sandbox=True)
    assert found["buttons"] == 0
    assert found["forms"] == 1
    assert "proxy_ssl_server_name on;" in found["text"]
    assert "Copy" not in found["text"]

"""The plot and the generated parts of the documents match the measured figures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import publish
from benchmarks.cases import CASES
from benchmarks.plot import plot

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figures() -> Mapping[str, Any]:
    pool: Mapping[str, Any] = json.loads(publish.MEASURED.with_suffix(".json").read_text())
    return pool


NEWER = ("cached4k", "cached64m", "gzip")
"""Cases that were added after the figures had been saved (`python -m benchmarks --save`)."""


def test_all_cases_are_retained_with_machine_versions_and_date(figures: Mapping[str, Any]) -> None:
    saved = [case["case"] for case in figures["cases"]]
    assert saved == [case for case in CASES if case not in NEWER or case in saved]
    assert all(figures["machine"].values())
    assert figures["time"].startswith("20")
    assert {"ours", "nginx"} <= {program["family"] for program in figures["programs"]}
    assert all(program["openssl"] for program in figures["programs"])


@pytest.mark.parametrize("document", publish.DOCUMENTS, ids=lambda path: path.name)
def test_documents_quote_what_was_measured(document: Path, figures: Mapping[str, Any]) -> None:
    text = document.read_text()
    tables = publish.MEASURED.with_suffix(".txt").read_text()
    assert text == publish.filled(text, figures, tables), "run python -m benchmarks.publish"


def test_readme_quotes_the_cost_in_one_sentence(figures: Mapping[str, Any]) -> None:
    readme = publish.DOCUMENTS[0].read_text()
    assert re.findall(r"<!-- made: (\w+) -->", readme) == ["cost"]
    sentence = publish.cost(figures)
    assert sentence.count(" times") == 4
    assert sentence in readme


def test_plot_is_of_what_was_measured(figures: Mapping[str, Any]) -> None:
    assert publish.MEASURED.with_suffix(".svg").read_text() == plot(figures), (
        "run python -m benchmarks.publish"
    )


def test_plot_stays_on_its_paper(figures: Mapping[str, Any]) -> None:
    root = ElementTree.fromstring(plot(figures))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for shape in (*root.iter(f"{SVG}rect"), *root.iter(f"{SVG}text")):
        x, y = float(shape.get("x", 0)), float(shape.get("y", 0))
        assert 0 <= x <= x + float(shape.get("width", 0)) <= width
        assert 0 <= y <= y + float(shape.get("height", 0)) <= height


def test_plot_has_a_bar_for_each_ratio(figures: Mapping[str, Any]) -> None:
    texts = [text.text for text in ElementTree.fromstring(plot(figures)).iter(f"{SVG}text")]
    ours = [case for case in figures["cases"] if not case["rows"][0]["invalid"]]
    assert texts.count("sniproxy") == len(ours) + 1  # the legend
    for case in ours:
        ratio = case["rows"][0]["ratios"][case["cheapest"]][case["compared"]]
        assert f"{ratio['median']:.2f}" in texts

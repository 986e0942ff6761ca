"""Every line that is known has its side and its first cause, in the words of every release."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from sniproxy.explain import Explanation, catalog, explain

with Path(__file__).with_name("lines.toml").open("rb") as file:
    LINES = tomllib.load(file)

STAMP = "2024/07/15 17:14:08 [{}] 245105#0: *1324376 "
REQUEST = ', client: 192.0.2.1, server: a.test, request: "GET / HTTP/1.1"'
TO_UPSTREAM = f'{REQUEST}, upstream: "https://203.0.113.9:443/", host: "a.test"'
FROM_CLIENT = ", client: 192.0.2.1, server: 0.0.0.0:443"
HANDSHAKING = " while SSL handshaking"

RELEASES = ("1.1.1", "3.0", "3.5")
WORDS = {
    release: json.loads(
        files("sniproxy.tls").joinpath("dialect_tables", f"{release}.json").read_bytes()
    )
    for release in RELEASES
}


def first(explanation: Explanation | None) -> tuple[str, str]:
    if explanation is None:
        return "", ""
    return explanation.side, explanation.signature.cause_names[0]


@pytest.mark.parametrize(("cause", "text"), LINES["upstream"])
def test_lines_about_upstreams_have_their_cause(cause: str, text: str) -> None:
    line = STAMP.format("error") + text + TO_UPSTREAM
    assert first(explain(line)) == ("upstream", cause)


@pytest.mark.parametrize(("cause", "level", "text"), LINES["client"])
def test_lines_about_clients_have_their_cause(cause: str, level: str, text: str) -> None:
    line = STAMP.format(level) + text + FROM_CLIENT
    assert first(explain(line)) == ("client", cause)


@pytest.mark.parametrize(("cause", "text"), LINES["start"])
def test_lines_of_the_startup_have_their_cause(cause: str, text: str) -> None:
    assert first(explain(f"nginx: [emerg] {text}")) == ("startup", cause)
    assert first(explain(f"2024/07/15 17:14:08 [emerg] 1#1: {text}")) == ("startup", cause)


@pytest.mark.parametrize(("side", "cause", "line"), LINES["whole"])
def test_complete_lines_have_their_side_and_cause(side: str, cause: str, line: str) -> None:
    assert first(explain(line)) == (side, cause)


# --- every alert, every verification error ---


def handshake_failed(release: str, number: int) -> str:
    """The line of a received alert in the words of a release."""
    words = WORDS[release]["reasons"]["20"].get(str(1000 + number), f"reason({1000 + number})")
    if release == "1.1.1":
        code, place = 20 << 24 | 148 << 12 | 1000 + number, "ssl3_read_bytes"
    else:
        code, place = 20 << 23 | 1000 + number, ""
    return (
        f"SSL_do_handshake() failed (SSL: error:{code:08X}:SSL routines:{place}:{words}:"
        f"SSL alert number {number})"
    )


REUSED = {(20, 294): "ocsp callback failure", (20, 365): "peer does not accept heartbeats"}
ALERTS = sorted(catalog().vocabulary.alerts.values())
SNI_FIRST = {40: "sni-missing", 80: "sni-missing", 112: "sni-missing"}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("number", ALERTS)
def test_truncated_alerts_are_recognized(release: str, number: int) -> None:
    """Cut anywhere behind the code, an alert is still the same."""
    text = handshake_failed(release, number)
    for end in (text.index(":SSL r"), text.index("routines:") + 9, -4, -2, None):
        upstream = explain(
            f"{STAMP.format('error')}{text[:end]}{HANDSHAKING} to upstream{TO_UPSTREAM}"
        )
        client = explain(f"{STAMP.format('info')}{text[:end]}{HANDSHAKING}{FROM_CLIENT}")
        assert upstream is not None
        assert client is not None
        assert (upstream.side, client.side) == ("upstream", "client")
        assert number in upstream.signature.alerts
        assert number in client.signature.alerts
        if number in SNI_FIRST:
            assert first(upstream)[1] == SNI_FIRST[number]


@pytest.mark.parametrize("release", RELEASES)
def test_verification_errors(release: str) -> None:
    for number, words in WORDS[release]["verify"].items():
        if number in ("0", "17"):
            continue
        text = f"upstream SSL certificate verify error: ({number}:{words})"
        line = f"{STAMP.format('error')}{text}{HANDSHAKING} to upstream{TO_UPSTREAM}"
        explanation = explain(line)
        assert explanation is not None
        assert explanation.side == "upstream"
        assert int(number) in explanation.signature.verify, number
        assert explain(line.replace(f"({number}:", "(")) is not None


@pytest.mark.parametrize("release", RELEASES)
def test_numbers_are_those_of_the_releases(release: str) -> None:
    """A reason has one number in all releases that have it, few have others with it."""
    reasons = WORDS[release]["reasons"]
    for (library, number), words in catalog().vocabulary.reasons.items():
        text = reasons.get(str(library), {}).get(str(number))
        assert text is None or text.lower() in (words, REUSED.get((library, number)))


# --- what one text may be ---


def test_the_line_of_the_readme() -> None:
    explanation = explain(
        "2024/07/15 17:14:08 [error] 245105#0: *1324376 SSL_do_handshake() failed (SSL: "
        "error:1408F10B:SSL routines:ssl3_get_record:wrong version number) while SSL handshaking "
        'to upstream, client: 192.0.2.1, server: 7bu.top, request: "GET / HTTP/1.1", '
        'upstream: "https://211.101.237.240:443/", host: "7bu.top"'
    )
    assert explanation is not None
    assert explanation.side == "upstream"
    assert explanation.signature.cause_names[:2] == ("sni-missing", "plain-http-upstream")
    assert "15 03" in explanation.signature.distinguish
    assert "HTTP" in explanation.signature.distinguish
    assert str(explanation.upstream) == "https://211.101.237.240:443"
    assert explanation.server == "7bu.top"


@pytest.mark.parametrize(
    ("upstream", "host", "second"),
    [
        ("https://10.0.0.9:8443/", "a.test", "client-certificate-needed"),
        ("grpcs://10.0.0.9:9090", "192.0.2.7", "client-certificate-needed"),
        ("https://10.0.0.9:8443/", "192.0.2.7:8080", "sni-wrong-name"),
        ("https://104.16.1.1:443/", "a.test", "sni-wrong-name"),
        ("https://[2606:4700::1]:443/", "a.test", "sni-wrong-name"),
    ],
)
def test_what_else_alert_40_may_be(upstream: str, host: str, second: str) -> None:
    explanation = explain(
        f"{handshake_failed('3.0', 40)}{HANDSHAKING} to upstream{REQUEST}, "
        f'upstream: "{upstream}", host: "{host}"'
    )
    assert explanation is not None
    assert explanation.signature.cause_names[:2] == ("sni-missing", second)

"""Tests of the conformance harness itself: normalization, comparison and expectations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sniproxy.testing.client import ClientRecord
from sniproxy.testing.upstreams import catalog
from tests.conformance.comparison import PARTS, differences, unmet_expectations
from tests.conformance.observation import (
    Observation,
    error_lines,
    normalize,
    observe,
    without_error_text,
)
from tests.conformance.scenario import Scenario, ScenarioContext, Table, configuration

MUSL = """\
2024/07/15 17:14:08 [error] 24#0: *17 connect() failed (111: Connection refused) while connecting
2024/07/15 17:14:08 [warn] 24#0: *18 upstream SSL certificate verify error: (18:self-signed)
2024/07/15 17:14:09 [info] 24#0: *17 SSL routines::ssl/tls alert bad certificate:SSL alert number 42
2024/07/15 17:14:09 [notice] 24#0: exiting
"""
GLIBC = """\
2031/01/02 03:04:05 [error] 7#7: *3 connect() failed (111: Verbindung abgelehnt) while connecting
2031/01/02 03:04:05 [warn] 7#7: *9 upstream SSL certificate verify error: (18:self-signed)
2031/01/02 03:04:06 [info] 7#7: *3 SSL routines::ssl/tls alert bad certificate:SSL alert number 42
2031/01/02 03:04:06 [notice] 7#7: exiting
"""


def test_c_library_error_strings_are_removed() -> None:
    lines = [
        "[error] *1 connect() failed (111) while connecting",
        "[warn] *2 upstream SSL certificate verify error: (18:self-signed)",
        "[info] *1 SSL routines::ssl/tls alert bad certificate:SSL alert number 42",
        "[notice] exiting",
    ]
    assert list(error_lines(MUSL)) == list(error_lines(GLIBC)) == lines


def test_record_errors_of_openssl_3_3_and_3_5_are_equal() -> None:
    errors = (
        "(SSL: error:0A00010B:SSL routines::wrong version number)",
        "(SSL: error:0A000092:SSL routines::data length too long"
        " error:0A000139:SSL routines::record layer failure)",
        "(SSL: error:0A0000C6:SSL routines::packet length too long"
        " error:0A000139:SSL routines::record layer failure)",
    )
    assert {normalize(text) for text in errors} == {"(SSL: error: no record of TLS)"}
    other = "(SSL: error:0A0000C6:SSL routines::packet length too long)"
    assert normalize(other) == other


def test_row_can_omit_text_of_verify_error() -> None:
    assert without_error_text("error: (18:self-signed certificate)") == without_error_text(
        "error: (18:)"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[error] 1#0: *1 a (18:self-signed)", "[error] 1#0: *1 a (18:self signed)"),
        ("[error] 1#0: *1 a (111: x)", "[error] 1#0: *1 a (110: x)"),
        ("[error] 1#0: *1 a", "[crit] 1#0: *1 a"),
        ("[error] 1#0: *1 a", "[error] 1#0: a"),
        ("[error] 1#0: *1 a\n", "[error] 1#0: *1 a\n2024/07/15 17:14:08 [error] 1#0: *1 a\n"),
    ],
)
def test_differences_survive_normalization(one: str, other: str) -> None:
    stamp = "2024/07/15 17:14:08 "
    assert list(error_lines(stamp + one)) != list(error_lines(stamp + other))


ROW = Scenario("row", "a rule", logs=("connect() failed (111: x)",), status=502)
CONTEXT = ScenarioContext(ROW, (4711,))
OBSERVED = Observation(
    hellos=("upstream 1, connection 1: SNI none",),
    requests=("GET /row HTTP/1.1\\r",),
    responses=("HTTP/1.1 502 Bad Gateway\\r",),
    logs=("[error] *1 connect() failed (111) while connecting to upstream", "access: a line"),
    statuses=(502,),
    server_names=(None,),
    offers=(False,),
    resumed=(),
    open_connections=0,
)


@pytest.mark.parametrize("part", PARTS)
def test_difference_in_each_part_is_reported(part: str) -> None:
    assert differences(OBSERVED, OBSERVED, ("a", "b")) == ""
    more: dict[str, Any] = {part: (*getattr(OBSERVED, part), "a line more")}
    other = replace(OBSERVED, **more)
    report = differences(OBSERVED, other, ("a", "b"))
    assert PARTS[part] in report
    (marked,) = (line for line in report.splitlines() if line.startswith("!"))
    assert marked.endswith("| a line more")


def test_met_expectations_report_nothing() -> None:
    assert unmet_expectations(CONTEXT, OBSERVED) == []


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, status=200),
        replace(ROW, sni="a.test"),
        replace(ROW, logs=()),
        replace(ROW, logs=("connect() failed (110: x)",)),
        replace(ROW, logs=(*ROW.logs, *ROW.logs)),
        replace(ROW, sessions_offered=(True,)),
        replace(ROW, open_connections=1),
        replace(ROW, access_log_lines=2),
        replace(ROW, repeat=2),
    ],
)
def test_unmet_expectation_is_reported(row: Scenario) -> None:
    assert unmet_expectations(ScenarioContext(row, (4711,)), OBSERVED) != []


def test_date_header_is_normalized() -> None:
    reception = ClientRecord(
        responses=[b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"]
    )
    assert "Date: (now)\\r" in observe((), [reception], "", "").responses


def test_placeholders_are_replaced() -> None:
    row = Scenario("row", "", upstreams=(catalog.GOOD, catalog.GOOD))
    context = ScenarioContext(row, (4711, 4712))
    filled = "127.0.0.1:4711 127.0.0.1:4712 4711 4712 /row row.groups.test row PEERS"
    assert context.fill("PEER PEER2 PORT PORT2 PATH GROUP NAME PEERS") == filled


def test_duplicate_names_in_a_table_raise() -> None:
    with pytest.raises(ValueError, match=r"several scenarios called .*row"):
        Table("table", (ROW, ROW))


def test_configuration_has_group_location_and_listeners() -> None:
    row = replace(ROW, group="server PEER;", directives="proxy_ssl_verify off;")
    text = configuration(
        Table("table", (row,)), (ScenarioContext(row, (4711,)),), "1.1.1.1:1", "1.1.1.1:2"
    )
    assert "upstream row.groups.test { server 127.0.0.1:4711; }" in text
    assert "location /row { proxy_pass https://row.groups.test; proxy_ssl_verify off; }" in text
    assert "listen 1.1.1.1:2 ssl;" in text

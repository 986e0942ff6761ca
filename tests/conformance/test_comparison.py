"""The judge judged: what is put in the place of words, and what counts as a difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sniproxy.testing.client import ClientRecord
from sniproxy.testing.upstreams import catalog
from tests.conformance.comparison import PARTS, broken_promises, differences
from tests.conformance.observation import Observation, error_lines, numbered, observe, worded
from tests.conformance.scenario import Place, Scenario, Table, configuration

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


def test_words_of_the_c_library_are_replaced() -> None:
    lines = [
        "[error] *1 connect() failed (111) while connecting",
        "[warn] *2 upstream SSL certificate verify error: (18:self-signed)",
        "[info] *1 SSL routines::ssl/tls alert bad certificate:SSL alert number 42",
        "[notice] exiting",
    ]
    assert list(error_lines(MUSL)) == list(error_lines(GLIBC)) == lines


def test_what_openssl_3_3_and_3_5_do_not_share_is_one_text() -> None:
    told = (
        "(SSL: error:0A00010B:SSL routines::wrong version number)",
        "(SSL: error:0A000092:SSL routines::data length too long"
        " error:0A000139:SSL routines::record layer failure)",
        "(SSL: error:0A0000C6:SSL routines::packet length too long"
        " error:0A000139:SSL routines::record layer failure)",
    )
    assert {worded(text) for text in told} == {"(SSL: error: no record of TLS)"}
    other = "(SSL: error:0A0000C6:SSL routines::packet length too long)"
    assert worded(other) == other


def test_a_row_may_leave_the_words_of_a_verify_error_out() -> None:
    assert numbered("error: (18:self-signed certificate)") == numbered("error: (18:)")


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
def test_what_differs_differs(one: str, other: str) -> None:
    stamp = "2024/07/15 17:14:08 "
    assert list(error_lines(stamp + one)) != list(error_lines(stamp + other))


ROW = Scenario("row", "a rule", logs=("connect() failed (111: x)",), status=502)
PLACE = Place(ROW, (4711,))
SEEN = Observation(
    hellos=("upstream 1, connection 1: SNI none",),
    requests=("GET /row HTTP/1.1\\r",),
    responses=("HTTP/1.1 502 Bad Gateway\\r",),
    logs=("[error] *1 connect() failed (111) while connecting to upstream", "access: a line"),
    statuses=(502,),
    server_names=(None,),
    offers=(False,),
    resumed=(),
    staying=0,
)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_compared(part: str) -> None:
    assert differences(SEEN, SEEN, ("a", "b")) == ""
    more: dict[str, Any] = {part: (*getattr(SEEN, part), "a line more")}
    other = replace(SEEN, **more)
    report = differences(SEEN, other, ("a", "b"))
    assert PARTS[part] in report
    (marked,) = (line for line in report.splitlines() if line.startswith("!"))
    assert marked.endswith("| a line more")


def test_a_row_that_holds() -> None:
    assert broken_promises(PLACE, SEEN) == []


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, status=200),
        replace(ROW, sni="a.test"),
        replace(ROW, logs=()),
        replace(ROW, logs=("connect() failed (110: x)",)),
        replace(ROW, logs=(*ROW.logs, *ROW.logs)),
        replace(ROW, offers=(True,)),
        replace(ROW, staying=1),
        replace(ROW, accesses=2),
        replace(ROW, repeat=2),
    ],
)
def test_a_row_that_does_not_hold(row: Scenario) -> None:
    assert broken_promises(Place(row, (4711,)), SEEN) != []


def test_dates_are_replaced() -> None:
    reception = ClientRecord(
        responses=[b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"]
    )
    assert "Date: (now)\\r" in observe((), [reception], "", "").responses


def test_placeholders() -> None:
    row = Scenario("row", "", upstreams=(catalog.GOOD, catalog.GOOD))
    place = Place(row, (4711, 4712))
    filled = "127.0.0.1:4711 127.0.0.1:4712 4711 4712 /row row.groups.test row PEERS"
    assert place.fill("PEER PEER2 PORT PORT2 PATH GROUP NAME PEERS") == filled


def test_a_name_stands_once_in_a_table() -> None:
    with pytest.raises(ValueError, match=r"several scenarios called .*row"):
        Table("table", (ROW, ROW))


def test_configuration() -> None:
    row = replace(ROW, group="server PEER;", directives="proxy_ssl_verify off;")
    text = configuration(Table("table", (row,)), (Place(row, (4711,)),), "1.1.1.1:1", "1.1.1.1:2")
    assert "upstream row.groups.test { server 127.0.0.1:4711; }" in text
    assert "location /row { proxy_pass https://row.groups.test; proxy_ssl_verify off; }" in text
    assert "listen 1.1.1.1:2 ssl;" in text

"""What the command makes of the output of scripts; the scripts themselves are not in the suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tlsfuzzer.catalog import load
from tests.tlsfuzzer.outcome import (
    differences,
    log_difference,
    outcomes,
    reasons,
    same_other_lines,
)
from tests.tlsfuzzer.site import SERVERS, dh_parameters
from tests.tlsfuzzer.source import SourceError, install

OUTPUT = """\
sanity ...
OK

bad one ...
Error encountered while processing node ExpectAlert(level=2) with last message being: None
Error while processing
Traceback (most recent call last):
  File "x.py", line 1, in main
AssertionError: Unexpected message from peer: Alert(fatal, decode_error)

"after" repeat 0...
OK

sanity ...
OK

Test end
bad one ...
"""
BAD = "AssertionError: Unexpected message from peer: Alert(fatal, decode_error)"


def test_outcomes_are_read_from_the_output() -> None:
    assert outcomes(OUTPUT) == {
        "sanity #1": "OK",
        "bad one #1": BAD,
        '"after" repeat 0 #1': "OK",
        "sanity #2": "OK",
    }


def test_script_that_did_not_end_is_noticed() -> None:
    assert outcomes("sanity ...\n") == {"sanity #1": "", "": "the script did not end"}


def test_differences_have_both_outcomes() -> None:
    nginx, sniproxy = {"a": "OK", "b": "OK", "c": "x"}, {"a": "OK", "b": "y"}
    assert differences(nginx, sniproxy) == {"b": ("OK", "y"), "c": ("x", "not played")}


def test_logs_are_compared_without_the_words_of_releases() -> None:
    theirs = [
        "[info] SSL_read() failed (SSL: error:0A000119:SSL routines::one error:0A000139:SSL "
        "routines::record layer failure)",
        "[info] client timed out (110: Operation timed out)",
    ]
    ours = [
        "[info] client timed out (110: Connection timed out)",
        "[info] SSL_read() failed (SSL: error:0A000119:SSL routines::two)",
    ]
    assert log_difference(theirs, ours) is None
    assert log_difference(theirs, ours[:1]) == (
        "1 x [info] SSL_read() failed (SSL: error:0A000119:SSL routines::…)",
        "nothing",
    )
    assert same_other_lines(theirs, ours)
    assert not same_other_lines(theirs, ours[1:])
    assert dict(reasons(theirs)) == {("one", "record layer failure"): 1}


def test_every_script_runs_against_a_server_of_the_site() -> None:
    catalog = load()
    assert {script.server for script in catalog.scripts} == set(SERVERS)
    assert len(set(catalog.scripts)) == len(catalog.scripts)
    assert not {script.command[0] for script in catalog.scripts} & catalog.left_out.keys()
    assert catalog.missing(["test-new.py", "test-ccs.py", "README"]) == ["test-new.py"]
    assert [script.name for script in catalog.matching("test-alpn*-d")] == [
        "test-alpn-negotiation -d"
    ]


def test_explanations_apply_to_whole_outcomes() -> None:
    catalog = load()
    (script,) = catalog.matching("test-connection-abort*")
    closed = "7 x [info] peer closed connection in SSL handshake"
    assert catalog.explain(script, "(error log)", f"{closed} (104)", closed) is not None
    assert catalog.explain(script, "(error log)", f"{closed} (104)", f"{closed}; x") is None
    assert catalog.explain(script, "other", f"{closed} (104)", closed) is None


def test_dh_parameters_are_those_of_rfc_7919() -> None:
    # Its first line in PEM, as OpenSSL prints ffdhe2048.
    assert b"MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz\n+8yTnc4k" in (
        dh_parameters().replace(b"\n", b"").replace(b"TZBFGQz", b"TZBFGQz\n")
    )


def test_missing_source_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a checkout of tlsfuzzer nor its repository"):
        install(tmp_path, tmp_path)


def test_command_refuses_an_unknown_script() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.tlsfuzzer", "--scripts", "test-nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr == 'tests.tlsfuzzer: no script matches "test-nothing"\n'

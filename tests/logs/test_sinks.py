"""Log files: appending, reopening, one sink per path, errors."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from sniproxy.logs.sinks import FileSink, Sinks, StderrSink
from sniproxy.models import ConfigError


def test_lines_are_appended_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"before\n")
    sink = FileSink(str(file))
    sink.write("\xe9\n")
    assert file.read_bytes() == b"before\n\xe9\n"
    sink.close()


def test_reopen_after_rename(tmp_path: Path) -> None:
    sinks = Sinks()
    sink = sinks.file(str(tmp_path / "a.log"))
    sink.write("one\n")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    sink.write("two\n")
    sinks.reopen()
    sink.write("three\n")
    assert (tmp_path / "a.log.1").read_text() == "one\ntwo\n"
    assert (tmp_path / "a.log").read_text() == "three\n"
    sinks.close()


def test_one_sink_per_path(tmp_path: Path) -> None:
    sinks = Sinks()
    path = str(tmp_path / "a.log")
    assert sinks.file(path) is sinks.file(path)
    sinks.close()


def test_unopenable_file_is_a_config_error(tmp_path: Path) -> None:
    path = tmp_path / "none" / "a.log"
    with pytest.raises(ConfigError) as refused:
        Sinks().file(str(path))
    assert str(refused.value) == f'open() "{path}" failed (2: No such file or directory)'


def test_write_error_drops_only_the_line() -> None:
    sink = FileSink("/dev/full")
    sink.write("lost\n")
    sink.close()


def test_stderr_is_looked_up_at_each_write(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = StderrSink()
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw))
    sink.write("\xe9\n")
    assert raw.getvalue() == b"\xe9\n"
    text = io.StringIO()
    monkeypatch.setattr(sys, "stderr", text)
    sink.write("plain\n")
    assert text.getvalue() == "plain\n"

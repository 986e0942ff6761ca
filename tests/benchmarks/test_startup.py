"""What `python -m benchmarks.startup` says; that its figures are good, it says itself."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from benchmarks.startup import ResourceCount, main


def test_a_start_is_quick_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--starts", "30"]) == 0
    assert re.fullmatch(
        r"start to first byte  median +[\d.]+ ms   99 % +[\d.]+ ms\n"
        r"stop                 median +[\d.]+ ms   99 % +[\d.]+ ms\n"
        r"left behind by 30 starts and stops: nothing\n",
        capsys.readouterr().out,
    )


def test_what_is_left_is_found() -> None:
    before = ResourceCount.now()
    assert ResourceCount.now().more_than(before) == []
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with socket.socket():
        things = [[] for _ in range(1000)]  # type: ignore[var-annotated]
        assert ResourceCount.now().more_than(before)[:2] == ["1 descriptors", "1 threads"]
        assert len(things) == 1000
    stop.set()
    thread.join()

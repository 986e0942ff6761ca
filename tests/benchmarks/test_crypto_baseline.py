"""The crypto alone: every case that has any is in the table, and more of it costs more."""

from __future__ import annotations

import pytest

from benchmarks import crypto_baseline


def test_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(crypto_baseline, "REPEATED", 5)
    monkeypatch.setattr(crypto_baseline, "MEBIBYTES_MOVED", 1)
    assert crypto_baseline.main() == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    costs = {words[0]: float(words[-3]) for words in lines}
    assert list(costs) == ["a", "b", "c", "d", "e", "ha", "hc", "g"]
    assert costs["a"] < costs["c"]
    assert costs["a"] == costs["e"]

from __future__ import annotations

import io

import pytest

from aai_gateway.cli.transcript_ids import read_ids


def test_ids_are_taken_once_from_both_sides(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("# of Tuesday\nt-2\n\n  t-3 \n #t-4\nt-1\n"))
    assert ["t-1", "t-2", "t-3"] == read_ids(["t-1", "-"])
    assert [] == read_ids(None)

from __future__ import annotations

import sys

from aai_gateway.cli.progress import counted, job_progress, measured


def test_nobody_need_listen(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with measured("sentences") as report:
        report(1, 2)
    with counted(2, "transcripts") as advance:
        advance()
    with job_progress(["a.mp3"]) as tell:
        tell("a.mp3", "queued", None)

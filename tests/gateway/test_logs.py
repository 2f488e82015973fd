from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
from collections.abc import Iterator

import pytest

from aai_gateway.gateway.logs import MOST_LINES, LineWriter, Logs
from aai_gateway.gateway.observing import begin

log = logging.getLogger("aai_gateway")
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The gateway's logger is the whole process's: it is put back."""
    before = (log.handlers[:], log.propagate, log.level)
    yield
    log.handlers[:], log.propagate = before[:2]
    log.setLevel(before[2])


def lines(stream: io.StringIO, logs: Logs) -> list[str]:
    logs.close()
    return stream.getvalue().splitlines()


def test_a_request_is_one_readable_line() -> None:
    stream = io.StringIO()
    logs = Logs("readable", stream)
    logs.request(False, {"team": "research", "status": 200, "added_ms": 0.5, "odd": 'two "words" = \n'})
    [line] = lines(stream, logs)
    assert re.fullmatch(
        rf'{MOMENT} info     request team=research status=200 added_ms=0\.5 odd="two \\"words\\" = \\n"', line
    )


def test_a_request_is_one_json_object() -> None:
    stream = io.StringIO()
    logs = Logs("json", stream)
    logs.request(True, {"team": "a\nb", "status": 502})
    [line] = lines(stream, logs)
    said = json.loads(line)
    assert ["time", "level", "event", "team", "status"] == list(said)
    assert re.fullmatch(MOMENT, said.pop("time"))
    assert {"level": "error", "event": "request", "team": "a\nb", "status": 502} == said


@pytest.mark.parametrize("format_", ["readable", "json"])
def test_the_gateways_own_records_come_in_the_same_form(format_: str) -> None:
    stream = io.StringIO()
    logs = Logs(format_, stream)  # type: ignore[arg-type]  # one of two
    begin([(b"x-request-id", b"my-id")])
    log.debug("not this")
    log.warning("refused %s", "a path\nwith a line of its own")
    text = lines(stream, logs)
    assert 1 == len(text)
    if format_ == "json":
        said = json.loads(text[0])
        assert ("warning", "refused a path\nwith a line of its own") == (said["level"], said["event"])
        assert "my-id" == said["request_id"]
    else:
        assert re.fullmatch(
            rf"{MOMENT} warning  refused a path\\nwith a line of its own request_id=my-id", text[0]
        )


@pytest.mark.parametrize("format_", ["readable", "json"])
def test_a_traceback_shows_no_values(format_: str) -> None:
    def fail(secret: str) -> None:
        raise ZeroDivisionError("of nothing")

    stream = io.StringIO()
    logs = Logs(format_, stream)  # type: ignore[arg-type]  # one of two
    try:
        fail("s3cret" + "-value")
    except ZeroDivisionError:
        log.exception("it failed")
    logs.close()
    said = stream.getvalue()
    assert "ZeroDivisionError: of nothing" in said and "Traceback" in said
    assert "s3cret-value" not in said


def test_a_stream_that_takes_nothing_holds_nobody_up_and_says_what_was_lost() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        writer = LineWriter(stream)
        for number in range(MOST_LINES + 5000):  # far more than a pipe holds
            writer.write(f"line {number} {'x' * 100}")
        heard: list[str] = []
        listener = threading.Thread(target=lambda: heard.extend(reader))
        listener.start()
        writer.close()
        while writer._thread.is_alive():
            writer.close()
        stream.close()
        listener.join()
    told = [int(line.split()[0]) for line in heard if line.endswith("written fast enough\n")]
    assert "line 0 " in heard[0]
    assert MOST_LINES + 5000 == sum(told) + sum(line.startswith("line ") for line in heard)


def test_what_cannot_be_written_at_all_is_no_failure() -> None:
    stream = io.StringIO()
    logs = Logs("readable", stream)
    stream.close()
    logs.request(False, {"status": 200})
    logs.close()

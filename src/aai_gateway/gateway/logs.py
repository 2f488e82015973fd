"""The gateway's log: one line for each request and what the gateway itself has to say, in one form.

Lines are written by a thread: a request never waits for a terminal, a pipe or a disk. LiteLLM's and uvicorn's
own lines are left as they are, but for uvicorn's of each request, which ours replace.
"""

from __future__ import annotations

import atexit
import json
import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.processors import add_log_level
from structlog.typing import EventDict, WrappedLogger

from aai_gateway.gateway.observing import current

LogFormat = Literal["readable", "json"]

MOST_LINES = 20_000
"""Lines that may wait to be written; further ones are dropped, and counted."""
GATHERED_SECONDS = 0.05
"""For how long lines are gathered before they are written together."""
LAST_SECONDS = 2.0
"""How long the process waits at its end for the last lines to be written."""

_FIRST = ("time", "level", "event")
_PLAIN = re.compile(r"[A-Za-z0-9._:/@+{}-]+")


class LineWriter:
    """Writes lines to a stream in a thread of its own, in order. A stream that takes nothing loses lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._is_due = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aai-gateway-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, line: str) -> None:
        """Have a line written soon."""
        if len(self._lines) >= MOST_LINES:
            self._dropped += 1
            return
        self._lines.append(line)
        if not self._is_due.is_set():
            self._is_due.set()

    # Every level of a record ends in the same stream.
    msg = debug = info = warning = error = critical = exception = write

    def close(self) -> None:
        """Write what is left, unless the stream takes it too slowly."""
        self._is_over.set()
        self._is_due.set()
        self._thread.join(LAST_SECONDS)

    def _run(self) -> None:
        while True:
            self._is_due.wait()
            is_over = self._is_over.wait(GATHERED_SECONDS)
            self._is_due.clear()
            self._write()
            if is_over and not self._lines:
                return

    def _write(self) -> None:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            lines.append(f"{dropped} lines of the log were dropped: they could not be written fast enough")
        try:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()
        except (OSError, ValueError):
            pass  # there is nowhere left to say so


class Logs:
    """How this process logs. Making it changes where the records of `aai_gateway` go."""

    def __init__(self, format_: LogFormat, stream: TextIO | None = None) -> None:
        self._writer = LineWriter(stream or sys.stdout)
        render = _json if format_ == "json" else _readable
        self._own = structlog.wrap_logger(
            self._writer,
            processors=[add_log_level, _stamp, render],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        ).bind()
        self._handler = _Handler(self._writer)
        self._handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[add_log_level, _stamp, _add_request_id],
                # A traceback as Python prints it: structlog's prettier ones show the values of variables.
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    render,
                ],
            )
        )
        self.take_over("aai_gateway", logging.INFO)

    def take_over(self, name: str, level: int) -> None:
        """Have a logger's records from `level` on written here, and nowhere else."""
        log = logging.getLogger(name)
        log.handlers[:] = [self._handler]
        log.propagate = False
        log.setLevel(level)

    def request(self, failed: bool, fields: Mapping[str, Any]) -> None:
        """One line for a request that is over."""
        (self._own.error if failed else self._own.info)("request", **fields)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class _Handler(logging.Handler):
    def __init__(self, writer: LineWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.write(self.format(record))
        except Exception:
            self.handleError(record)


_second = (-1, "")


def _stamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The UTC moment to the millisecond. structlog's own stamp costs as much as the rest of a line."""
    global _second
    now = time.time()
    number = int(now)
    if _second[0] != number:
        _second = (number, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(number)))
    event["time"] = f"{_second[1]}.{int(now * 1000) % 1000:03d}Z"
    return event


def _add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if request_id := current().id:
        event["request_id"] = request_id
    return event


def _json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {name: event.pop(name) for name in _FIRST}
    return orjson.dumps({**first, **event}, default=str).decode()


def _readable(_: WrappedLogger, __: str, event: EventDict) -> str:
    """One line, whatever a client put into its words; a traceback below it."""
    moment, level, text = (event.pop(name) for name in _FIRST)
    traceback = event.pop("exception", None)
    fields = "".join(
        [f" {name}={_shown(value) if type(value) is str else value}" for name, value in event.items()]
    )
    line = f"{moment} {level:<8} {text if text.isprintable() else json.dumps(text)[1:-1]}{fields}"
    return f"{line}\n{traceback}" if traceback else line


def _shown(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=not value.isprintable())

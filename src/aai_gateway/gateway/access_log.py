"""Keeps successful polls out of the access log: each job is polled every few seconds until it has ended.

Their lines would bury the others, and LiteLLM searches each line for secrets, which costs more than the poll.
The callbacks of webhooks are kept out too: nobody is to guess their URLs, or to read them in a log.
"""

from __future__ import annotations

import logging
import re

_POLL = re.compile(r"/(?:eu\.)?assemblyai/v2/transcript/[^/?]+(?:\?|$)")
_CALLBACK = re.compile(r"[^?]*/webhooks/assemblyai/", re.IGNORECASE)


class WithoutPolls(logging.Filter):
    """Drops uvicorn's access records of polls that were answered with 200, and of callbacks."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep a record; uvicorn's args are client, method, path, HTTP version and status."""
        args = record.args
        if not isinstance(args, tuple) or len(args) != 5:
            return True
        if _CALLBACK.match(str(args[2])):
            return False
        return not (args[1] == "GET" and args[4] == 200 and _POLL.match(str(args[2])))


def leave_out_polls() -> None:
    """Put the filter before any other of uvicorn's access log."""
    logging.getLogger("uvicorn.access").filters.insert(0, WithoutPolls())

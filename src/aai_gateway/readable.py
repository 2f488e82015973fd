"""Whether a key may still read a transcript, asked of the gateway with the standard library alone.

Each search asks it, and to load the SDK or httpx takes longer than to search.
"""

from __future__ import annotations

import json
import os
import ssl
import time
from functools import cached_property
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPSHandler, OpenerDirector, Request, build_opener

from aai_gateway.core.regions import Region
from aai_gateway.errors import Refused, UpstreamFailed
from aai_gateway.retries import delay_before_retry
from aai_gateway.wire_errors import bare_key, broken_off, error_in, too_slow, unreachable, usable_url

DELETED_URL = "http://deleted_by_user"
"""The audio's address in a transcript that was deleted (AssemblyAI documentation, "Delete transcript")."""
TIMEOUT = 60.0
"""Seconds that the gateway may take to connect, and between two pieces of an answer."""


class ReadableTranscripts:
    """What one virtual key (`sk-…` or `Bearer sk-…`) may read through the gateway at `url`.

    Several threads may ask at once. Raises ConfigurationError for an address or a key that cannot be used.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = usable_url(url).rstrip("/")
        self._key = bare_key(key)

    def may_read(self, region: Region, transcript_id: str) -> bool:
        """Whether a transcript is there, the team's own, and not deleted.

        429 and 503 are asked again as their `Retry-After` says, a few times. Raises Refused for a key that
        may read none, UpstreamFailed.
        """
        base = f"{self._url}/{region.speech_prefix}"
        request = Request(f"{base}/v2/transcript/{quote(transcript_id, safe='')}")  # noqa: S310  # http(s)
        # Not for wherever a redirection leads to.
        request.add_unredirected_header("Authorization", f"Bearer {self._key}")
        attempt = 1
        while True:
            try:
                status, retry_after, answer = self._answer(request, base)
            except TimeoutError:
                raise too_slow(base) from None
            except URLError as error:
                timed_out = isinstance(error.reason, TimeoutError)
                raise (too_slow(base) if timed_out else unreachable(base)) from None
            except (OSError, HTTPException) as error:
                raise broken_off(base, error) from None
            # AssemblyAI's form of an error, and so the gateway's. At a wrong address others say 404 as well,
            # and what they do not have is not gone.
            if status in (400, 404) and isinstance(answer.get("error"), str):
                return False
            if status == 200:
                return answer.get("audio_url") != DELETED_URL
            delay = delay_before_retry(status, retry_after, attempt)
            if delay is None:
                raise Refused(error_in(answer) or f"HTTP {status}", status=status)
            time.sleep(delay)
            attempt += 1

    def _answer(self, request: Request, base: str) -> tuple[int, str | None, dict[str, Any]]:
        """The status, the header `Retry-After` and the body of an answer, as an object."""
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                status, headers, body = response.status, response.headers, response.read()
        except HTTPError as error:
            with error:
                status, headers, body = error.code, error.headers, error.read()
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return status, headers.get("Retry-After"), answer
        if status == 200:
            raise UpstreamFailed(f"{base} answered what is not a transcript.")
        return status, headers.get("Retry-After"), {}

    @cached_property
    def _opener(self) -> OpenerDirector:
        if urlsplit(self._url).scheme == "http":
            return build_opener()
        # The authorities that httpx trusts, and with it every other command.
        own = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
        if own:
            return build_opener(HTTPSHandler(context=ssl.create_default_context()))
        import certifi

        return build_opener(HTTPSHandler(context=ssl.create_default_context(cafile=certifi.where())))

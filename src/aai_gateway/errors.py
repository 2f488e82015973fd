"""Every error that aai-gateway raises on purpose.

    GatewayError
    ├── ConfigurationError          a setting, file or argument is missing or wrong
    ├── Refused                     a request is turned away; carries the HTTP status and AssemblyAI's text
    │   ├── Unauthenticated           401  no key, an unknown, expired or revoked key
    │   ├── Forbidden                 403  a region or model that the key may not use
    │   ├── NotFound                  400  a transcript that is not there, or not this team's
    │   ├── UnknownOperation          404  nothing that the gateway forwards
    │   ├── MethodNotAllowed          405  a known path, another method
    │   ├── InvalidRequest            400  a body that AssemblyAI would not take
    │   ├── ClientTooSlow             408  a client that has gone silent in the middle of a body
    │   ├── BudgetExceeded            400  the key or its team has spent its budget
    │   ├── TooManyUnknownKeys        429  keys that nobody has keep coming from this address
    │   ├── TooManyRequests           429  a limit of the key, its team or the account is reached
    │   │   └── AccountBusy             429  the account runs as many jobs as it may
    │   └── UpstreamFailed            502, 503, 504  AssemblyAI unreachable, region without a key, too slow
    ├── StoreError                  the store cannot be opened, read or migrated
    ├── PriceError                  a price book that cannot be read
    ├── TranscriptionFailed         AssemblyAI ended a job with an error
    ├── ModelAnswerError            a chat model's answer could not be used (not JSON, a tag outside the list)
    └── IndexUnavailable            the quote index cannot be opened or lacks its packages

Library users catch `GatewayError`; the command line prints its text and exits with 1.
"""

from __future__ import annotations

import math


class GatewayError(Exception):
    """Base of all errors here. `str(error)` is a sentence that a user can act on."""


class ConfigurationError(GatewayError):
    """A setting, file or argument is missing or wrong."""


class Refused(GatewayError):
    """A request is turned away with `status` and the text of AssemblyAI's `{"error": text}` body."""

    status = 400

    def __init__(
        self, text: str, *, status: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.text = text
        self.status = status if status is not None else type(self).status
        self.headers = headers or {}


class Unauthenticated(Refused):
    """No key, or one that is unknown, expired or revoked. Text as AssemblyAI's own 401."""

    status = 401

    def __init__(self, text: str = "Authentication error, API token missing/invalid") -> None:
        super().__init__(text)


class Forbidden(Refused):
    """The key may not use this region or model."""

    status = 403


class NotFound(Refused):
    """What AssemblyAI answers, with status 400, for a transcript id that does not exist."""

    status = 400

    def __init__(self, text: str = "Transcript lookup error, transcript id not found") -> None:
        super().__init__(text)


class UnknownOperation(Refused):
    """A path that is no operation of AssemblyAI's API: refused, never forwarded."""

    status = 404


class MethodNotAllowed(Refused):
    """A known path with a method that AssemblyAI does not serve on it."""

    status = 405


class InvalidRequest(Refused):
    """A body that is not what the operation takes."""

    status = 400


class ClientTooSlow(Refused):
    """Nothing came of a body for too long. The rest of it is not waited for: the connection ends."""

    status = 408

    def __init__(self, seconds: float) -> None:
        text = f"Nothing of the request's body came for {seconds:g} seconds."
        super().__init__(text, headers={"Connection": "close"})


class BudgetExceeded(Refused):
    """The key or its team has spent its budget."""

    status = 400


class TooManyUnknownKeys(Refused):
    """Keys that nobody has keep coming from this address: it has to wait `seconds`."""

    status = 429

    def __init__(self, seconds: float) -> None:
        wait = max(1, math.ceil(seconds))
        text = f"Too many unknown keys came from this address. Try again in {wait} seconds."
        super().__init__(text, headers={"Retry-After": str(wait)})


class TooManyRequests(Refused):
    """A limit of the key, its team or the account is reached; `retry_after` is the seconds to wait."""

    status = 429

    def __init__(self, text: str, *, retry_after: float, headers: dict[str, str] | None = None) -> None:
        # At least a second: a client that takes 0 at its word would hammer.
        wait = max(1, math.ceil(retry_after))
        super().__init__(f"Too Many Requests: {text}", headers={**(headers or {}), "retry-after": str(wait)})
        self.retry_after = wait


class AccountBusy(TooManyRequests):
    """The account runs as many jobs as it may: the submission waits its turn, or is refused."""


class UpstreamFailed(Refused):
    """AssemblyAI cannot be reached (502), the region has no key (503), or the answer is too slow (504).

    `sent` says whether the request may have arrived: without it, nothing has happened at AssemblyAI.
    `retry_after` is the seconds that AssemblyAI asked to wait.
    """

    status = 502

    def __init__(
        self, text: str, *, status: int | None = None, sent: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(text, status=status)
        self.sent = sent
        self.retry_after = retry_after


class StoreError(GatewayError):
    """The store cannot be opened, read or migrated."""


class PriceError(GatewayError):
    """A price book that cannot be read."""


class TranscriptionFailed(GatewayError):
    """AssemblyAI ended a transcription job with an error."""


class ModelAnswerError(GatewayError):
    """A chat model's answer could not be used."""


class IndexUnavailable(GatewayError):
    """The quote index cannot be opened, or the `quotes` extra is not installed."""

"""Which key a request presents: one rule for every route, LiteLLM's included.

LiteLLM reads a key from several headers and silently takes the first in an order of its own
(`user_api_key_auth.get_api_key`). Here any of them may carry it, and two that differ are refused: whoever
authenticates must see the same caller as whoever serves.
"""

from __future__ import annotations

from collections.abc import Iterable

from aai_gateway.core.tenancy import presented_key
from aai_gateway.errors import InvalidRequest

KEY_HEADERS = (
    *("authorization", "x-litellm-api-key", "x-litellm-key", "api-key", "x-api-key"),
    *("x-goog-api-key", "ocp-apim-subscription-key"),
)
"""Headers that may carry a key, bare or after `Bearer`: AssemblyAI's and OpenAI's, LiteLLM's own, and those
that clients of Azure, Anthropic and Google send. `x-litellm-key` is the one LiteLLM's documentation gives for
`litellm_key_header_name`."""


def key_of_request(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key that raw request headers present, or None. Raises InvalidRequest for two different ones.

    A header that comes twice, and headers of several names, are fine while they say the same.
    """
    found: dict[str, str] = {}
    for raw_name, value in headers:
        name = raw_name.decode("latin-1").lower()
        if name in KEY_HEADERS and (key := presented_key(value.decode("latin-1"))) is not None:
            found.setdefault(key, name)
    if len(found) > 1:
        names = ", ".join(dict.fromkeys(found.values()))
        raise InvalidRequest(f"The request presents different keys ({names}); send one.")
    return next(iter(found), None)

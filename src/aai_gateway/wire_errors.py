"""What is asked of an address and a key before they are used, what is raised when a gateway gives no answer,
and what is read of an answer that is an error.

No HTTP library is loaded for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from aai_gateway.errors import ConfigurationError, UpstreamFailed

_PROVIDER = "AssemblyaiException - "
_ADDED = ("\n\nLiteLLM: ", ". Received Model Group=")
"""What LiteLLM puts before and after AssemblyAI's words."""


def usable_url(url: str) -> str:
    """An address as it was given. Raises ConfigurationError for one that is not http(s) or names no host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url} is not an http or https address.")
    return url


def fits_header(key: str) -> bool:
    """Whether a key can be sent: a header is one line of ASCII."""
    return key.isascii() and key.isprintable()


def bare_key(key: str) -> str:
    """A key (`sk-…` or `Bearer sk-…`) alone. Raises ConfigurationError for one that no request can carry."""
    bare = key.removeprefix("Bearer ").strip()
    if not bare:
        raise ConfigurationError("The key is empty.")
    if not fits_header(bare):
        raise ConfigurationError("The key has characters that no key has, such as … or a line's end.")
    return bare


def unreachable(url: str) -> UpstreamFailed:
    """The error for a gateway that nobody answers at."""
    return UpstreamFailed(
        f"Nothing answers at {url}. Is the gateway running (`aai-gateway serve`)? "
        "AAI_GATEWAY_URL or --url says where it is."
    )


def too_slow(url: str) -> UpstreamFailed:
    """The error for an answer that did not come in time."""
    return UpstreamFailed(f"{url} did not answer in time.", status=504)


def broken_off(url: str, reason: Exception) -> UpstreamFailed:
    """The error for an answer that ended before its end."""
    return UpstreamFailed(f"{url} broke off the answer ({type(reason).__name__}).")


def own_words(text: str) -> str:
    """AssemblyAI's words of a LiteLLM error, without what that puts around them."""
    said = text.rpartition(_PROVIDER)[2]
    for added in _ADDED:
        said = said.partition(added)[0]
    return said


def error_in(data: Mapping[str, Any]) -> str | None:
    """What an error body says, in OpenAI's shape or either of AssemblyAI's; None where it says nothing."""
    error = data.get("error")
    inner = error.get("message") if isinstance(error, dict) else error
    texts = (inner, data.get("message"), data.get("detail"))
    return next((text for text in texts if isinstance(text, str) and text), None)

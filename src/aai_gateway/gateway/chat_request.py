"""What a chat request says, as LiteLLM holds it: pure functions over its keyword arguments.

A client can put AssemblyAI's own parameters at the top level and in `extra_body`, and a fallback may replace
any of them (AssemblyAI documentation, "LLM Gateway: Fallbacks"): whatever names a transcript counts, wherever
it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aai_gateway.core.model_requests import MOST_FALLBACKS
from aai_gateway.errors import InvalidRequest

MOVED = ("fallbacks", "fallback_config", "thinking")
"""Parameters of AssemblyAI's that LiteLLM would take for its own or refuse; they travel in `extra_body`."""

CONTROLS = frozenset(
    {"api_version", "client", "custom_llm_provider", "extra_headers", "extra_query", "headers"}
    | {"litellm_credential_name", "litellm_params", "organization", "provider_specific_header"}
    | {"specific_deployment", "ssl_verify"}
)
"""Parameters that steer LiteLLM's connection. A client's are dropped: the gateway sets these."""

_STEERING = re.compile(r"region|location|endpoint|base|url|host|^(aws|azure|s3|vertex|watsonx)_")

_OWN_PLACE = ("api_key", "messages", "model", "stream", "stream_options")
"""Parameters that LiteLLM reads at the top level only; in `extra_body` they would contradict it unseen."""

_OURS = frozenset({"extra_body", "fallback_config", "fallbacks", "model", "model_region", "transcript_id"})
_OPAQUE = frozenset(
    {"contents", "functions", "input", "litellm_metadata", "messages", "metadata", "prompt"}
    | {"proxy_server_request", "response_format", "secret_fields", "tool_choice", "tools"}
)
"""Parameters whose members are text, schemas or LiteLLM's own, and never parameters of AssemblyAI's."""


@dataclass(frozen=True, slots=True)
class Fallback:
    """One entry of AssemblyAI's `fallbacks`: its model, and whether it runs at list price."""

    model: str
    is_global: bool


def check_form(data: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for what LiteLLM and AssemblyAI could read differently than the gateway does."""
    if "," in str(data.get("model")):
        raise InvalidRequest("model must name one model.")
    extra = data.get("extra_body")
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidRequest("extra_body must be a JSON object.")
    for name in _OWN_PLACE:
        if name in (extra or {}):
            raise InvalidRequest(f"extra_body may not carry {name}.")
    if len(fallback_entries(data)) > MOST_FALLBACKS:
        raise InvalidRequest(f"A request may name at most {MOST_FALLBACKS} fallbacks.")
    for name in _names(data):
        # A reader that ignores case would take these for the parameters that the gateway checks.
        if (plain := name.casefold()) != name and plain in _OURS:
            raise InvalidRequest(f"{name} is no parameter; did you mean {plain}?")


def as_sent(data: dict[str, Any]) -> dict[str, Any]:
    """Move AssemblyAI's parameters out of LiteLLM's reach; `fallbacks` that are names stay LiteLLM's own."""
    moved = {name: data[name] for name in MOVED if _is_assemblyais(data.get(name))}
    if not moved:
        return data
    rest = {name: value for name, value in data.items() if name not in moved}
    return {**rest, "extra_body": {**(data.get("extra_body") or {}), **moved}}


def steers(name: str) -> bool:
    """Whether a parameter's name sounds as if it chose where a provider is asked, or as whom."""
    return name in CONTROLS or _STEERING.search(name.casefold()) is not None


def transcript_ids(data: Mapping[str, Any]) -> list[str]:
    """Every transcript id of a request, as text; one that is no text cannot be anyone's."""
    return [str(value) for name, value in _parameters(data) if name == "transcript_id" and value is not None]


def wants_global(data: Mapping[str, Any]) -> bool:
    """Whether the request asks for `model_region: "global"`, the list price."""
    return any(place.get("model_region") == "global" for place in _places(data))


def names_region(data: Mapping[str, Any]) -> bool:
    """Whether the request carries a `model_region` of any value at a place that AssemblyAI may read."""
    return any(name == "model_region" and value is not None for name, value in _parameters(data))


def fallbacks(data: Mapping[str, Any]) -> tuple[Fallback, ...]:
    """AssemblyAI's own `fallbacks`, without a prefix; an entry inherits the request's `model_region`."""
    is_global = wants_global(data)
    return tuple(
        Fallback(str(entry.get("model")), entry.get("model_region", is_global and "global") == "global")
        for entry in fallback_entries(data)
    )


def fallback_entries(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of AssemblyAI's own `fallbacks` as sent: a model, and what replaces parameters."""
    lists = [place.get("fallbacks") for place in _places(data)]
    entries = [entry for found in lists if isinstance(found, list) for entry in found]
    return [entry for entry in entries if isinstance(entry, Mapping)]


def trusted_metadata(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata that LiteLLM wrote itself, of the two places where it may stand.

    LiteLLM removes `user_api_key_*` from what a client sends, so the place with the key's hash is its own.
    """
    for name in ("litellm_metadata", "metadata"):
        found = values.get(name)
        if isinstance(found, Mapping) and found.get("user_api_key_hash"):
            return found
    return {}


def tags(metadata: Mapping[str, Any]) -> list[Any]:
    """The tags of a request, as LiteLLM has gathered them from its body and headers."""
    found = metadata.get("tags")
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str | bytes) else []


def _places(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Where a client may have put AssemblyAI's own parameters."""
    extra = data.get("extra_body")
    return [data, extra] if isinstance(extra, Mapping) else [data]


def _names(data: Mapping[str, Any]) -> Iterator[str]:
    return (name for name, _ in _parameters(data))


def _parameters(value: Any) -> Iterator[tuple[str, Any]]:
    """Every name and value of a request at any depth, except below what is opaque."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield str(name), member
            if str(name).casefold() not in _OPAQUE:
                yield from _parameters(member)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            yield from _parameters(item)


def _is_assemblyais(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)

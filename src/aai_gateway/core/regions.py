"""US and EU: where a region's bytes may go, and who may send them there.

Hosts: AssemblyAI documentation, "Cloud endpoints and data residency" (US `api.assemblyai.com`, EU
`api.eu.assemblyai.com`). Each region has routes, a chat model prefix and hosts of its own; nothing here
ever answers "the other region".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from aai_gateway.errors import Forbidden


class Region(str, Enum):
    """A region of AssemblyAI's service."""

    US = "us"
    EU = "eu"

    @property
    def speech_prefix(self) -> str:
        """First path segment of the region's speech-to-text route."""
        return "assemblyai" if self is Region.US else "eu.assemblyai"

    @property
    def model_prefix(self) -> str:
        """Prefix of the region's chat models, with the slash."""
        return f"{self.speech_prefix}/"


ALL_REGIONS: tuple[Region, ...] = (Region.US, Region.EU)


class Host(str, Enum):
    """A kind of AssemblyAI's hosts: each region has one of each."""

    SPEECH = "speech"
    """`api.assemblyai.com`, `api.eu.assemblyai.com`."""
    LLM_GATEWAY = "llm-gateway"
    """`llm-gateway.assemblyai.com`, `llm-gateway.eu.assemblyai.com`."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where one host of AssemblyAI's stands in the gateway: its name without `.com` (and without `api.`)."""

    host: Host
    region: Region

    @property
    def prefix(self) -> str:
        """First path segment."""
        kind = "" if self.host is Host.SPEECH else f"{self.host.value}."
        return f"{kind}{self.region.speech_prefix}"


ALL_ROUTES: tuple[Route, ...] = tuple(Route(host, region) for host in Host for region in ALL_REGIONS)


def route_of_segment(segment: str) -> Route | None:
    """The route that begins with this path segment, if any."""
    return next((route for route in ALL_ROUTES if segment == route.prefix), None)


def region_of_model(model: str) -> tuple[Region, str] | None:
    """Split `eu.assemblyai/x` or `assemblyai/x` into region and AssemblyAI's model name; None for others."""
    for region in ALL_REGIONS:
        if model.startswith(region.model_prefix) and len(model) > len(region.model_prefix):
            return region, model[len(region.model_prefix) :]
    return None


def require_region(region: Region, allowed: Collection[Region]) -> None:
    """Raise Forbidden unless `region` is allowed."""
    if region not in allowed:
        names = " and ".join(f"/{r.speech_prefix}" for r in ALL_REGIONS if r in allowed) or "no region"
        raise Forbidden(f"This key may not use the {region.value.upper()} region; it is limited to {names}.")

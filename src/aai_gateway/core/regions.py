"""US and EU: where a region's bytes may go, and who may send them there.

Hosts: AssemblyAI documentation, "Cloud endpoints and data residency" (US `api.assemblyai.com`, EU
`api.eu.assemblyai.com`). Each region has routes, a chat model prefix and hosts of its own; nothing here
ever answers "the other region".
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from aai_gateway.errors import Forbidden

_AWS = re.compile(r"(?:.+\.)?(?:s3-)?([a-z0-9-]+)\.amazonaws\.com")
_EU_OF_AWS = frozenset({"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"})
"""AWS's regions in the European Union; eu-west-2 is in London, eu-central-2 in Zurich."""


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


def link_stays(url: str, region: Region, own_hosts: Collection[str] = ()) -> bool:
    """Whether a link that AssemblyAI gave, such as to redacted audio, leads nowhere but to `region`.

    Only the EU is kept to itself: its links must name a host of `*.eu.assemblyai.com`, of AWS in a region of
    the European Union, or of `own_hosts` (`host` or `host:port`). A host that is not known to be there is
    taken to be elsewhere: AssemblyAI documents a bucket of the US only.
    """
    if region is not Region.EU:
        return True
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        authority = parts.netloc.casefold()
    except ValueError:
        return False
    # Readers of URLs differ over these, and a bucket's link has none.
    if "@" in authority or "\\" in url or parts.scheme not in ("http", "https"):
        return False
    if authority in own_hosts or host in own_hosts or host.endswith(".eu.assemblyai.com"):
        return True
    aws = _AWS.fullmatch(host)
    return aws is not None and aws.group(1) in _EU_OF_AWS


def require_region(region: Region, allowed: Collection[Region]) -> None:
    """Raise Forbidden unless `region` is allowed."""
    if region not in allowed:
        names = " and ".join(f"/{r.speech_prefix}" for r in ALL_REGIONS if r in allowed) or "no region"
        raise Forbidden(f"This key may not use the {region.value.upper()} region; it is limited to {names}.")

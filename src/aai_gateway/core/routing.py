"""Where a request may go: the one decision about residency, taken before anything leaves.

`forward` decides requests to AssemblyAI's routes, `model` each attempt that LiteLLM makes at a model.
Whatever they answer is in a region that key and team allow; everything else raises Refused. What nobody says
to be in the EU counts as outside it, on the side of the US. (AssemblyAI documentation, "Cloud endpoints and
data residency": what the EU endpoints take never leaves the EU.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from aai_gateway.core.operations import Target, resolve
from aai_gateway.core.regions import Region, region_of_model, require_region
from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import Forbidden

_EU_LLM_HOST = "llm-gateway.eu.assemblyai.com"
_LLM_HOSTS = frozenset({"llm-gateway.assemblyai.com", _EU_LLM_HOST})


class Provider(str, Enum):
    """What answers for models: AssemblyAI's LLM Gateway, or a provider beside it in LiteLLM's config."""

    ASSEMBLYAI = "assemblyai"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Forward:
    """The way is free to this host of this region, and to no other."""

    provider: Provider
    region: Region


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of LiteLLM's `model_list`: its name (maybe with `*`), and where its parameters lead.

    `region_name` is LiteLLM's own parameter of that name: where the operator says that it runs.
    """

    name: str
    model: str
    is_assemblyai: bool
    api_base: str = ""
    region_name: str | None = None

    def region(self, eu_llm_url: str) -> Region:
        """Where it runs: by an AssemblyAI name, by `region_name: eu`, or at the EU's LLM Gateway.

        A wildcard of another provider's is never known to be in the EU: with some providers the model that a
        client names carries the region.
        """
        if self.is_assemblyai:
            if named := region_of_model(self.name):
                return named[0]
        elif "*" in self.name or "*" in self.model:
            return Region.US
        is_eu = (self.region_name or "").casefold() == Region.EU.value
        at_eu_gateway = _authority(self.api_base) in (_authority(eu_llm_url), _EU_LLM_HOST)
        return Region.EU if is_eu or at_eu_gateway else Region.US

    def require_own_provider(self, llm_urls: Iterable[str]) -> None:
        """Raise Forbidden for AssemblyAI's LLM Gateway under another provider's name.

        Nobody would look whose the transcript is that a request names, and nothing would be charged.
        """
        hosts = _LLM_HOSTS.union(map(_authority, llm_urls))
        if not self.is_assemblyai and _authority(self.api_base) in hosts:
            raise Forbidden(
                f"{self.name} leads to AssemblyAI's LLM Gateway under another provider's name: its "
                "configuration must say `model: assemblyai/…`."
            )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a model: where its deployment runs, and what the request asks for there.

    `models` are the names that a key must allow, fallbacks of AssemblyAI's included; `is_global` says that
    AssemblyAI may process it anywhere (LLM Gateway, `model_region: "global"`).
    """

    provider: Provider
    region: Region
    models: tuple[str, ...] = ()
    is_global: bool = False


def forward(caller: Caller, method: str, path: str) -> Target:
    """The operation, and with it the region's host, that a request to a route of AssemblyAI's goes to.

    Raises UnknownOperation, MethodNotAllowed, or Forbidden for a region that the caller may not use.
    """
    target = resolve(method, path)
    require_region(target.region, caller.regions)
    return target


def model(caller: Caller, attempt: Attempt, begun_in: Region | None = None) -> Forward:
    """Where this attempt goes; `begun_in` is the region of the request's first attempt, if there was one.

    Raises Forbidden for a region or model that the caller may not use, and for an attempt that would take a
    request out of the EU that began there.
    """
    if begun_in is Region.EU and attempt.region is not Region.EU:
        raise Forbidden("This request began in the EU and stays there: no fallback leads out.")
    if attempt.provider is Provider.ASSEMBLYAI:
        require_region(attempt.region, caller.regions)
    elif attempt.region not in caller.regions:
        raise Forbidden(
            f"This key is limited to {_allowed(caller)}, and the configuration does not say that this model "
            "runs there."
        )
    if attempt.is_global and not may_leave_eu(caller):
        raise Forbidden(
            f"This key is limited to {_allowed(caller)}: model_region would let AssemblyAI process the "
            "request elsewhere."
        )
    for name in attempt.models:
        if not caller.may_use_model(name):
            raise Forbidden(f"This key may not use {name}.")
    return Forward(attempt.provider, attempt.region)


def may_leave_eu(caller: Caller) -> bool:
    """Whether anything of this caller's may be processed outside the EU."""
    return Region.US in caller.regions


def begins_in(regions: Iterable[Region]) -> Region | None:
    """Where a request begins whose model leads to these regions; None where its first attempt decides."""
    found = set(regions)
    return found.pop() if len(found) == 1 else None


def _allowed(caller: Caller) -> str:
    return " and ".join(f"the {region.value.upper()} region" for region in caller.regions) or "no region"


def _authority(url: str) -> str:
    """Host and port of a URL, in lower case, without user information; empty for what is none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].casefold()
    except ValueError:
        return ""

"""Where a request may go: exhaustively, nothing of an EU-bound caller's leads to a host outside the EU."""

from __future__ import annotations

from itertools import product

import pytest

from aai_gateway.core import routing
from aai_gateway.core.operations import Operation
from aai_gateway.core.regions import ALL_REGIONS, Region, route_of_segment
from aai_gateway.core.routing import Attempt, Deployment, Forward, Provider
from aai_gateway.core.tenancy import MASTER, Caller, Team, VirtualKey
from aai_gateway.errors import Forbidden, Refused
from aai_gateway.settings import Settings

ID = "e5a56f4f-b658-44b0-925a-f7d761ec0d96"
EU_LLM = "https://llm-gateway.eu.assemblyai.com"
POLICIES = ((), (Region.US,), (Region.EU,), ALL_REGIONS)
MODELS = ((), ("eu.assemblyai/*",), ("assemblyai/gpt-5",), ("*",))
PATHS = ("upload", "transcript", f"transcript/{ID}", "account")
PATHS += tuple(f"transcript/{ID}/{rest}" for rest in (*(o.value for o in Operation), "nothing"))
METHODS = ("GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "get")
ROUTES = ("assemblyai", "eu.assemblyai", "us.assemblyai", "EU.assemblyai", "eu.assemblyai/../assemblyai")


def callers() -> list[Caller]:
    """Every policy of a team and of a key, alone and together, and every list of models."""
    found = []
    for team, key, models in product((None, *POLICIES), (None, *POLICIES), MODELS):
        stored = VirtualKey("h", "sk-...", regions=key, models=models)
        found.append(Caller(stored, Team("t", "t", regions=team) if team is not None else None))
        if team is not None:
            found.append(Caller(stored, Team("t", "t", regions=team, models=models)))
    return found


def stays_in_the_eu(caller: Caller) -> bool:
    """What the policies mean, said anew."""
    of_team = caller.team.regions if caller.team else ALL_REGIONS
    of_key = caller.key.regions if caller.key and caller.key.regions is not None else ALL_REGIONS
    return not (Region.US in of_team and Region.US in of_key)


def test_no_speech_request_of_an_eu_bound_caller_leads_out():
    settings, forwarded, refused = Settings(), 0, 0
    for caller, route, path, method in product(callers(), ROUTES, PATHS, METHODS):
        try:
            target = routing.forward(caller, method, f"/{route}/v2/{path}")
        except Refused:
            refused += 1
            continue
        forwarded += 1
        assert target.region in caller.regions
        assert target.region is route_of_segment(route).region
        if stays_in_the_eu(caller):
            assert "https://api.eu.assemblyai.com" == settings.speech_url(target.region)
    assert forwarded > 1000 < refused


DEPLOYMENTS = [
    Deployment(name, model, is_assemblyai, base, region_name)
    for (name, model, is_assemblyai), base, region_name in product(
        [
            ("assemblyai/*", "assemblyai/*", True),
            ("eu.assemblyai/*", "assemblyai/*", True),
            ("assemblyai/gpt-5", "assemblyai/gpt-5", True),
            ("house", "assemblyai/gpt-5", True),
            ("gpt-4o", "openai/gpt-4o", False),
            ("openai/*", "openai/*", False),
            ("any", "bedrock/*", False),
            ("eu.assemblyai/lookalike", "openai/gpt-4o", False),
        ],
        ["", f"{EU_LLM}/v1", "https://eu.example.org/v1"],
        [None, "EU", "europe"],
    )
]
FALLBACKS = ((), ("gpt-5",), ("claude-sonnet-4-6", "gpt-5"))


def test_no_attempt_of_an_eu_bound_caller_leads_out_and_no_request_leaves_the_eu_that_began_there():
    settings, forwarded, refused = Settings(), 0, 0
    space = product((*callers(), MASTER), DEPLOYMENTS, FALLBACKS, (False, True), (None, Region.US, Region.EU))
    for caller, deployment, fallbacks, is_global, begun_in in space:
        provider = Provider.ASSEMBLYAI if deployment.is_assemblyai else Provider.OTHER
        region = deployment.region(EU_LLM)
        models = tuple(f"{region.model_prefix}{model}" for model in ("gpt-5", *fallbacks))
        try:
            forward = routing.model(caller, Attempt(provider, region, models, is_global), begun_in)
        except Refused:
            refused += 1
            continue
        forwarded += 1
        assert Forward(provider, region) == forward
        assert forward.region in caller.regions
        assert all(caller.may_use_model(model) for model in models)
        if not caller.is_admin and stays_in_the_eu(caller):
            assert not is_global
            assert known_to_be_in_the_eu(deployment)
            if provider is Provider.ASSEMBLYAI:
                assert EU_LLM == settings.llm_url(forward.region)
        if begun_in is Region.EU:
            assert known_to_be_in_the_eu(deployment)
    assert forwarded > 10_000 < refused


def known_to_be_in_the_eu(deployment: Deployment) -> bool:
    """What a configuration means, said anew."""
    if deployment.is_assemblyai and "assemblyai/" in deployment.name:
        return deployment.name.startswith("eu.")
    told = deployment.region_name == "EU" or deployment.api_base == f"{EU_LLM}/v1"
    return told and (deployment.is_assemblyai or "*" not in deployment.model)


def test_a_refusal_says_why():
    bound = Caller(VirtualKey("h", "sk-..."), Team("t", "t", regions=(Region.EU,)))
    said = {}
    for name, attempt, begun_in in (
        ("us", Attempt(Provider.ASSEMBLYAI, Region.US), None),
        ("other", Attempt(Provider.OTHER, Region.US), None),
        ("global", Attempt(Provider.ASSEMBLYAI, Region.EU, is_global=True), None),
        ("begun", Attempt(Provider.ASSEMBLYAI, Region.US), Region.EU),
    ):
        with pytest.raises(Forbidden) as refused:
            routing.model(bound, attempt, begun_in)
        said[name] = refused.value.text
    assert {
        "us": "This key may not use the US region; it is limited to /eu.assemblyai.",
        "other": "This key is limited to the EU region, and the configuration does not say that this model "
        "runs there.",
        "global": "This key is limited to the EU region: model_region would let AssemblyAI process the "
        "request elsewhere.",
        "begun": "This request began in the EU and stays there: no fallback leads out.",
    } == said


@pytest.mark.parametrize(
    ("regions", "expected"),
    [([Region.EU], Region.EU), ([Region.EU, Region.EU], Region.EU), (ALL_REGIONS, None), ([], None)],
)
def test_a_request_begins_where_all_its_ways_lead(regions, expected):
    assert expected is routing.begins_in(regions)


@pytest.mark.parametrize(
    "base",
    [
        "https://llm-gateway.eu.assemblyai.com.example.org/v1",
        "https://llm-gateway.eu.assemblyai.com@example.org/v1",
        "https://example.org/llm-gateway.eu.assemblyai.com",
        "http://[",
        "llm-gateway.eu.assemblyai.com",
    ],
)
def test_an_address_that_only_looks_like_the_eu_is_not(base):
    assert Region.US is Deployment("house", "assemblyai/gpt-5", True, base).region(EU_LLM)


@pytest.mark.parametrize(
    "base", ["https://llm-gateway.assemblyai.com/v1", f"{EU_LLM}/v1", "http://127.0.0.1:9/v1"]
)
def test_assemblyais_gateway_goes_by_no_other_providers_name(base: str):
    urls = ("http://127.0.0.1:9", EU_LLM)
    with pytest.raises(Forbidden, match="summaries leads to AssemblyAI's LLM Gateway"):
        Deployment(
            "summaries", "openai/claude-sonnet-4-6", is_assemblyai=False, api_base=base
        ).require_own_provider(urls)
    Deployment("ours", "assemblyai/claude", is_assemblyai=True, api_base=base).require_own_provider(urls)
    for other in ("", "https://api.openai.com/v1", "https://llm-gateway.assemblyai.com.example.org/v1"):
        Deployment("theirs", "openai/gpt-5", is_assemblyai=False, api_base=other).require_own_provider(urls)

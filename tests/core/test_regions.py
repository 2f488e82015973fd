"""Regions have routes and model prefixes of their own, and nothing answers for the other one."""

from __future__ import annotations

import pytest

from aai_gateway.core.regions import (
    ALL_REGIONS,
    ALL_ROUTES,
    Host,
    Region,
    Route,
    region_of_model,
    require_region,
    route_of_segment,
)
from aai_gateway.errors import Forbidden


def test_each_route_is_found_by_its_own_segment_only():
    assert {
        "assemblyai": Route(Host.SPEECH, Region.US),
        "eu.assemblyai": Route(Host.SPEECH, Region.EU),
        "llm-gateway.assemblyai": Route(Host.LLM_GATEWAY, Region.US),
        "llm-gateway.eu.assemblyai": Route(Host.LLM_GATEWAY, Region.EU),
    } == {route.prefix: route_of_segment(route.prefix) for route in ALL_ROUTES}
    for other in ("", "Assemblyai", "eu", "eu.assemblyai.com", "us.assemblyai", "assemblyai/", "llm-gateway"):
        assert None is route_of_segment(other)
    assert None is route_of_segment("eu.llm-gateway.assemblyai")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("assemblyai/claude-sonnet-4-6", (Region.US, "claude-sonnet-4-6")),
        ("eu.assemblyai/claude-sonnet-4-6", (Region.EU, "claude-sonnet-4-6")),
        ("assemblyai/global/gpt-5", (Region.US, "global/gpt-5")),
        ("assemblyai/", None),
        ("eu.assemblyai/", None),
        ("EU.assemblyai/gpt-5", None),
        ("openai/assemblyai/gpt-5", None),
        ("gpt-5", None),
        ("", None),
    ],
)
def test_a_model_name_holds_its_region(model, expected):
    assert expected == region_of_model(model)


def test_an_allowed_region_is_let_through():
    require_region(Region.EU, (Region.EU,))
    require_region(Region.US, ALL_REGIONS)


@pytest.mark.parametrize(
    ("region", "allowed", "limits"),
    [
        (Region.US, (Region.EU,), "/eu.assemblyai"),
        (Region.EU, (Region.US,), "/assemblyai"),
        (Region.EU, (), "no region"),
    ],
)
def test_another_region_is_refused_and_says_where_to_go(region, allowed, limits):
    with pytest.raises(Forbidden) as refused:
        require_region(region, allowed)

    assert 403 == refused.value.status
    assert (
        f"This key may not use the {region.value.upper()} region; it is limited to {limits}."
        == refused.value.text
    )

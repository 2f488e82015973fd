"""Regions have routes and model prefixes of their own, and nothing answers for the other one."""

from __future__ import annotations

import pytest

from aai_gateway.core.regions import (
    ALL_REGIONS,
    ALL_ROUTES,
    Host,
    Region,
    Route,
    link_stays,
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


LINKS = {
    "https://s3.eu-west-1.amazonaws.com/bucket/redacted-audio/a.mp3?X-Amz-Signature=s": True,
    "https://bucket.s3.eu-central-1.amazonaws.com/a.mp3": True,
    "https://bucket.s3-eu-west-1.amazonaws.com/a.mp3": True,
    "https://s3.dualstack.eu-north-1.amazonaws.com/bucket/a.mp3": True,
    "https://CDN.EU.assemblyai.com/a.mp3": True,
    "http://127.0.0.1:4001/a.mp3": True,
    "https://audio.example.org/a.mp3": True,
    "https://s3.us-west-2.amazonaws.com/api.assembly.ai.usw2/redacted-audio/a.mp3": False,
    "https://api.assembly.ai.usw2.s3.amazonaws.com/a.mp3": False,
    "https://s3.amazonaws.com/eu-west-1/a.mp3": False,
    "https://s3.us-eu-west-1.amazonaws.com/a.mp3": False,
    "https://eu-west-1.s3.us-east-1.amazonaws.com/a.mp3": False,
    "https://s3.eu-west-2.amazonaws.com/london.mp3": False,
    "https://s3.eu-west-1.amazonaws.com.example.net/a.mp3": False,
    "https://s3.eu-west-1.amazonaws.com@example.net/a.mp3": False,
    "https://example.net\\@s3.eu-west-1.amazonaws.com/a.mp3": False,
    "https://cdn.assemblyai.com/a.mp3": False,
    "https://eu.assemblyai.com.example.net/a.mp3": False,
    "http://127.0.0.1:4000/a.mp3": False,
    "https://unknown.cloudfront.net/a.mp3": False,
    "ftp://cdn.eu.assemblyai.com/a.mp3": False,
    "//cdn.eu.assemblyai.com/a.mp3": False,
    "http://[": False,
    "": False,
}


@pytest.mark.parametrize("url", LINKS)
def test_a_link_of_the_eu_route_stays_in_the_eu(url):
    own = ("127.0.0.1:4001", "audio.example.org")

    assert LINKS[url] == link_stays(url, Region.EU, own)
    assert link_stays(url, Region.US, own)

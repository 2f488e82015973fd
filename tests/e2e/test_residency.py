"""What is bound to the EU, or began there, stays there, whatever LiteLLM's configuration and clients say.

The gateway's configuration has other providers, aliases and fallbacks that lead out; what counts is which
requests arrived at which host.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fuzzing import residency
from gateway_process import TeamAccess
from residency_world import EU_MODEL, US_MODEL, ResidencyWorld, residency_world

from aai_gateway.emulator import EmulatorConfig, Fault, running_emulator

MESSAGES = [{"role": "user", "content": "Repeat: a quick brown fox."}]
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResidencyWorld]:
    """With an emulator of its own, because its hosts' logs are counted."""
    with (
        running_emulator(EmulatorConfig(job_seconds=0.2)) as emulator,
        residency_world(emulator, tmp_path_factory.mktemp("residency")) as world,
    ):
        yield world


@pytest.fixture(scope="module")
def newsroom(world: ResidencyWorld) -> TeamAccess:
    """Bound to the EU."""
    return world.gateway.team(regions=["eu"])


@pytest.fixture(scope="module")
def research(world: ResidencyWorld) -> TeamAccess:
    """Free to use both regions."""
    return world.gateway.team()


@pytest.fixture(autouse=True)
def plain(world: ResidencyWorld) -> None:
    world.emulator.faults.clear()
    world.emulator.requests.clear()
    world.outside.requests.clear()
    world.inside.requests.clear()
    world.inside.bodies.clear()


def post(world: ResidencyWorld, team: TeamAccess, path: str = CHAT, **body: Any) -> httpx.Response:
    body = {"messages": MESSAGES, **body}
    return httpx.post(f"{world.gateway.url}{path}", json=body, headers=team.bearer, timeout=60)


def arrived(world: ResidencyWorld) -> list[str]:
    """Where requests arrived, in order for each kind of host."""
    hosts = [request.host for request in world.emulator.requests]
    return [*hosts, *["outside"] * len(world.outside.requests), *["inside"] * len(world.inside.requests)]


ELSEWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "the US": (CHAT, {"model": US_MODEL}),
    "another provider": (CHAT, {"model": "outside-gpt-4o-mini"}),
    "another provider's wildcard": (CHAT, {"model": "openai/gpt-4o"}),
    "a wildcard that is said to be in the EU": (CHAT, {"model": "inside-wildcard/gpt-4o"}),
    "a US deployment with a name of its own": (CHAT, {"model": "house-us"}),
    "an alias": (CHAT, {"model": "slow"}),
    "an alias with an EU name": (CHAT, {"model": "eu.assemblyai/sneaky"}),
    "an unknown model, which has default fallbacks": (CHAT, {"model": "nothing"}),
    "several models": (CHAT, {"model": f"outside-gpt-4o-mini,{EU_MODEL}"}),
    "global": (CHAT, {"model": EU_MODEL, "model_region": "global"}),
    "global in extra_body": (CHAT, {"model": EU_MODEL, "extra_body": {"model_region": "global"}}),
    "global in a fallback": (
        CHAT,
        {"model": EU_MODEL, "fallbacks": [{"model": "gemini-2.5-flash", "model_region": "global"}]},
    ),
    "global by an alias": (CHAT, {"model": "fast", "model_region": "global"}),
    "embeddings": ("/v1/embeddings", {"model": "outside-text-embedding-3-small", "input": "x"}),
    "moderations without a model": ("/v1/moderations", {"input": "x", "model_info": {"id": "x"}}),
    "rerank": ("/v1/rerank", {"model": "outside-rerank", "query": "x", "documents": ["a"]}),
    "images": ("/v1/images/generations", {"model": "outside-gpt-image-1", "prompt": "x"}),
    "audio": ("/v1/audio/speech", {"model": "outside-tts-1", "input": "x", "voice": "alloy"}),
    "messages": ("/v1/messages", {"model": "anthropic/claude-3-5-haiku", "max_tokens": 9}),
    "responses": ("/v1/responses", {"model": "openai/gpt-4o", "input": "x"}),
    "generateContent": ("/v1beta/models/openai/gpt-4o:generateContent", {"contents": []}),
    "count_tokens": ("/v1/messages/count_tokens", {"model": "anthropic/claude-3-5-haiku"}),
    "token_counter": ("/utils/token_counter?call_endpoint=true", {"model": EU_MODEL, "prompt": "x"}),
}


@pytest.mark.parametrize("way", ELSEWHERE)
def test_an_eu_bound_key_is_refused_elsewhere(world: ResidencyWorld, newsroom: TeamAccess, way: str):
    path, body = ELSEWHERE[way]

    response = post(world, newsroom, path, **body)

    assert (403, []) == (response.status_code, arrived(world)), response.text


@pytest.mark.parametrize(
    ("path", "body", "host"),
    [
        (CHAT, {"model": EU_MODEL}, "llm-eu"),
        (CHAT, {"model": "house-eu"}, "llm-eu"),
        (CHAT, {"model": "fast"}, "llm-eu"),
        (CHAT, {"model": "inside-gpt-4o-mini"}, "inside"),
        ("/v1/embeddings", {"model": "inside-text-embedding-3-small", "input": "x"}, "inside"),
        ("/v1/messages", {"model": EU_MODEL, "max_tokens": 9}, "llm-eu"),
        ("/v1/responses", {"model": "fast", "input": "x"}, "llm-eu"),
        (
            f"/v1beta/models/{EU_MODEL}:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
            "llm-eu",
        ),
    ],
    ids=["chat", "own name", "alias", "provider", "embeddings", "messages", "responses", "generateContent"],
)
def test_what_is_in_the_eu_is_served_there_to_everyone_alike(
    world: ResidencyWorld,
    newsroom: TeamAccess,
    research: TeamAccess,
    path: str,
    body: dict[str, Any],
    host: str,
):
    answers = [post(world, team, path, **body) for team in (newsroom, research)]

    assert [200, 200] == [answer.status_code for answer in answers], answers[0].text
    assert [host, host] == arrived(world)


LEADING_OUT: dict[str, dict[str, Any]] = {
    "the router's fallbacks": {"model": EU_MODEL},
    "the default fallbacks": {"model": "eu.assemblyai/gemini-2.5-flash"},
    "fallbacks of a name of its own": {"model": "house-eu"},
    "fallbacks of an alias": {"model": "fast"},
    "the client's fallbacks": {"model": EU_MODEL, "fallbacks": [US_MODEL, "outside-gpt-4o-mini"]},
    "for the length": {"model": EU_MODEL, "context_window_fallbacks": [{EU_MODEL: [US_MODEL]}]},
    "for the policy": {"model": EU_MODEL, "content_policy_fallbacks": [{EU_MODEL: [US_MODEL]}]},
    "streamed": {"model": EU_MODEL, "stream": True},
}


@pytest.mark.parametrize("way", LEADING_OUT)
@pytest.mark.parametrize("status", [400, 503])
def test_no_fallback_leads_out_of_the_eu_for_anyone(
    world: ResidencyWorld, newsroom: TeamAccess, research: TeamAccess, way: str, status: int
):
    for team in (newsroom, research):
        world.emulator.faults.add(Fault(host="llm-eu", status=status, count=None))
        response = post(world, team, **LEADING_OUT[way])
        world.emulator.faults.clear()
        assert status == response.status_code, response.text
    assert {"llm-eu"} == set(arrived(world))


def test_a_model_that_the_eu_does_not_serve_is_an_error(
    world: ResidencyWorld, newsroom: TeamAccess, research: TeamAccess
):
    for team in (newsroom, research):
        for body in (
            {"model": "eu.assemblyai/gpt-5"},
            {"model": "eu.assemblyai/nope", "fallbacks": [{"model": "gpt-5"}]},
            {"model": "eu.assemblyai/gpt-5", "fallbacks": [US_MODEL]},
        ):
            assert 400 == post(world, team, **body).status_code
    assert {"llm-eu"} == set(arrived(world))


def test_a_key_of_both_regions_falls_back_from_the_us_and_asks_for_global(
    world: ResidencyWorld, research: TeamAccess
):
    """The control: this configuration does lead elsewhere."""
    world.emulator.faults.add(Fault(host="llm-us", status=503))
    assert 200 == post(world, research, model=US_MODEL, fallbacks=["outside-gpt-4o-mini"]).status_code
    assert 200 == post(world, research, model=EU_MODEL, model_region="global").status_code
    assert 200 == post(world, research, model="openai/gpt-4o").status_code
    assert {"llm-us", "llm-eu", "outside"} == set(arrived(world))


def test_a_client_cannot_steer_another_providers_deployment_in_the_eu(
    world: ResidencyWorld, newsroom: TeamAccess
):
    levers = {
        "region_name": "us",
        "organization": "o",
        "vertex_location": "us-east1",
        "custom_llm_provider": "x",
    }

    response = post(world, newsroom, model="inside-gpt-4o-mini", seed=7, api_key="other", **levers)

    assert (200, ["inside"]) == (response.status_code, arrived(world)), response.text
    assert [{"model": "gpt-4o-mini", "messages": MESSAGES, "seed": 7}] == world.inside.bodies


def test_the_list_of_models_shows_an_eu_bound_key_what_it_may_use(
    world: ResidencyWorld, newsroom: TeamAccess, research: TeamAccess
):
    def listed(team: TeamAccess) -> set[str]:
        answer = httpx.get(f"{world.gateway.url}/v1/models", headers=team.bearer, timeout=60)
        return {model["id"] for model in answer.json()["data"]}

    seen = listed(newsroom)
    assert {EU_MODEL, "house-eu", "inside-gpt-4o-mini"} <= seen
    assert not {name for name in seen if name.startswith(("assemblyai/", "outside-", "openai/", "house-us"))}
    assert {US_MODEL, "outside-gpt-4o-mini", "house-us"} <= listed(research)


def test_a_redirect_from_the_eu_leads_nowhere(world: ResidencyWorld, newsroom: TeamAccess):
    urls = world.emulator.urls
    world.emulator.faults.add(Fault(host="llm-eu", status=307, location=f"{urls.llm_us}/v1/chat/completions"))
    world.emulator.faults.add(Fault(host="eu", status=307, location=f"{urls.us}/v2/transcript"))
    headers = {"Authorization": newsroom.key}

    chat = post(world, newsroom, model=EU_MODEL)
    job = httpx.post(
        f"{world.gateway.url}/eu.assemblyai/v2/transcript",
        json={"audio_url": "https://example.org/audio.wav"},
        headers=headers,
        follow_redirects=True,
        timeout=60,
    )

    assert [502, 502] == [chat.status_code, job.status_code]
    assert not {"us", "llm-us", "outside"} & set(arrived(world))


def test_assemblyais_gateway_is_not_reached_by_another_providers_name(
    world: ResidencyWorld, research: TeamAccess
):
    post(world, research, model="disguised", transcript_id="another-team-s")
    # LiteLLM then tries what the configuration has as its default.
    assert {"outside"} == {*arrived(world)}


def test_a_web_socket_for_responses_is_refused(world: ResidencyWorld, newsroom: TeamAccess):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", **newsroom.bearer}

    assert 403 == httpx.get(f"{world.gateway.url}/v1/responses", headers=upgrade, timeout=60).status_code


def test_random_requests_of_eu_bound_keys_never_arrive_outside(world: ResidencyWorld):
    """A short run of `scripts/fuzz residency`."""
    verdict = residency.fuzz(world, requests=250, seed=7, chat_share=0.4)

    assert [] == verdict.wrongs
    assert 250 == verdict.bound.endings.total

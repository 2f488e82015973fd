"""`aai.LLMGateway` of the official SDK through the real proxy: models, chat and speech understanding."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import assemblyai as aai
import httpx
import pytest
from chat_world import bodies, booked, held, transcribed
from gateway_process import GatewayProcess, TeamAccess

from aai_gateway.emulator import Emulator, Fault

UNKNOWN = "8e8e8e8e-0000-4000-8000-000000000000"
MODEL = "claude-sonnet-4-6"
ASK = [{"role": "user", "content": "Summarize.\n\n{{ transcript }}"}]
TASKS = {"translation": {"target_languages": ["es"]}, "custom_formatting": {"date": "mm/dd/yyyy"}}
ROUTES = {"us": "llm-gateway.assemblyai", "eu": "llm-gateway.eu.assemblyai"}

Connect = Callable[..., aai.LLMGateway]


@pytest.fixture
def connect(gateway: GatewayProcess) -> Connect:
    def connect(team: TeamAccess, region: str = "us") -> aai.LLMGateway:
        url = f"{gateway.url}/{ROUTES[region]}"
        settings = aai.Settings(api_key=team.key, llm_gateway_base_url=url, llm_gateway_http_timeout=60)
        return aai.LLMGateway(client=aai.Client(settings=settings))

    return connect


@pytest.fixture(scope="module")
def research(gateway: GatewayProcess) -> TeamAccess:
    return gateway.team()


@pytest.fixture(scope="module")
def stranger(gateway: GatewayProcess) -> TeamAccess:
    return gateway.team()


@pytest.fixture(scope="module")
def transcript_id(gateway: GatewayProcess, research: TeamAccess) -> str:
    return transcribed(gateway, research)


def hosts_asked(emulator: Emulator, since: int) -> set[str]:
    return {request.host for request in emulator.requests[since:]}


@pytest.mark.parametrize("region", ROUTES)
def test_models_are_the_regions_own(
    connect: Connect, research: TeamAccess, emulator: Emulator, region: str
) -> None:
    direct = httpx.get(f"{emulator.urls.llm_us if region == 'us' else emulator.urls.llm_eu}/v1/models").json()

    listed = connect(research, region).models.list()

    assert [model["id"] for model in direct["data"]] == [model.id for model in listed.data]


def test_chat_by_a_bare_name_is_litellms_chat(
    connect: Connect, gateway: GatewayProcess, emulator: Emulator, transcript_id: str, research: TeamAccess
) -> None:
    before = len(booked(gateway, research))
    asked = {"model": MODEL, "transcript_id": transcript_id, "fallbacks": [{"model": "gpt-5"}]}

    answer = connect(research).chat.completions.create(messages=ASK, max_tokens=50, **asked)

    assert answer.choices[0].message.content
    assert asked.items() <= bodies(emulator.urls.llm_us)[-1].items()
    [row] = booked(gateway, research)[before:]
    charge = emulator.invoice.micros_of("chat", "us", answer.request_id)
    assert (MODEL, charge) == (row["model"], row["micros"])


def test_chat_is_streamed(connect: Connect, gateway: GatewayProcess, research: TeamAccess) -> None:
    asked = [{"role": "user", "content": "Repeat: a quick brown fox."}]
    before = len(booked(gateway, research))

    chunks = connect(research).chat.completions.create(model="gpt-5", messages=asked, stream=True)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "a quick brown fox" in text
    assert 1 == len(booked(gateway, research)[before:])


@pytest.mark.parametrize("stream", [False, True])
def test_chat_about_anothers_transcript_is_as_about_an_unknown_one(
    connect: Connect,
    gateway: GatewayProcess,
    emulator: Emulator,
    transcript_id: str,
    stranger: TeamAccess,
    stream: bool,
) -> None:
    create = connect(stranger).chat.completions.create

    def refused(wanted: str) -> aai.LLMGatewayError:
        with pytest.raises(aai.LLMGatewayError) as error:
            list(create(model=MODEL, messages=ASK, transcript_id=wanted, stream=stream))
        return error.value

    before = len(bodies(emulator.urls.llm_us))
    foreign, unknown = refused(transcript_id), refused(UNKNOWN)

    assert ("transcript not found", 404) == (str(foreign), foreign.status_code)
    assert (str(unknown), unknown.status_code) == (str(foreign), foreign.status_code)
    assert None not in (foreign.request_id, unknown.request_id)
    assert before == len(bodies(emulator.urls.llm_us))
    assert [] == [*booked(gateway, stranger), *held(gateway, stranger)]


def test_assemblyais_own_refusals_come_back_as_they_are(
    connect: Connect, gateway: GatewayProcess, emulator: Emulator, research: TeamAccess
) -> None:
    create = connect(research).chat.completions.create
    with pytest.raises(aai.LLMGatewayError) as wrong:
        create(model=MODEL, messages=ASK, temperature=9)
    assert (400, ["temperature must be between 0 and 2"]) == (wrong.value.status_code, wrong.value.errors)
    with pytest.raises(aai.LLMGatewayError, match="without a prefix") as prefixed:
        create(model=f"assemblyai/{MODEL}", messages=ASK)
    assert 400 == prefixed.value.status_code
    emulator.faults.add(Fault(host="llm-us", status=429, retry_after=17))
    path, sent = f"{gateway.url}/{ROUTES['us']}/v1/chat/completions", {"model": MODEL, "messages": ASK}
    limited = httpx.post(path, json=sent, headers={"Authorization": research.key}, timeout=60)
    assert (429, "17") == (limited.status_code, limited.headers["retry-after"])
    assert "too many requests for this action" == limited.json()["message"]


@pytest.mark.parametrize("method", ["create", "validate"])
def test_understanding_is_the_owners_and_all_others_get_the_same_bytes(
    gateway: GatewayProcess,
    emulator: Emulator,
    connect: Connect,
    research: TeamAccess,
    stranger: TeamAccess,
    transcript_id: str,
    method: str,
) -> None:
    answer = getattr(connect(research).understanding, method)(transcript_id=transcript_id, request=TASKS)
    if method == "create":
        assert answer.translated_texts["es"].startswith("[es] ")
        [row] = understood(gateway, research)
        charge = emulator.invoice.micros_of("understanding", "us", answer.request_id)
        assert (charge, "completed") == (row["micros"], row["status"])
    since = len(emulator.requests)
    path = "/v1/understanding" if method == "create" else "/v1/understanding/validate"

    def asked(base: str, key: str, wanted: str) -> tuple[int, bytes, list[str]]:
        body = {"transcript_id": wanted, "speech_understanding": {"request": TASKS}}
        found = httpx.post(f"{base}{path}", json=body, headers={"Authorization": key}, timeout=60)
        request_id = found.json()["request_id"].encode()
        return found.status_code, found.content.replace(request_id, b""), sorted(found.headers)

    us, eu = (f"{gateway.url}/{route}" for route in ROUTES.values())
    answers = [
        asked(us, stranger.key, UNKNOWN),
        asked(us, stranger.key, transcript_id),
        asked(eu, stranger.key, transcript_id),
        asked(eu, research.key, transcript_id),
        asked(us, research.key, UNKNOWN),
    ]

    assert [answers[0]] * 5 == answers
    assert set() == hosts_asked(emulator, since)
    assert asked(emulator.urls.llm_us, emulator.config.account_key, UNKNOWN)[:2] == answers[0][:2]
    assert [] == understood(gateway, stranger)


def test_a_team_of_the_eu_reaches_the_eu_alone(
    connect: Connect, gateway: GatewayProcess, emulator: Emulator
) -> None:
    team = gateway.team(regions=["eu"])
    wanted = transcribed(gateway, team, "eu.assemblyai")
    since = len(emulator.requests)

    eu, us = connect(team, "eu"), connect(team)
    assert eu.models.list().data
    assert eu.understanding.create(transcript_id=wanted, request=TASKS).request_id
    answer = eu.chat.completions.create(model=MODEL, messages=ASK, transcript_id=wanted)
    assert emulator.invoice.micros_of("chat", "eu", answer.request_id)
    for call in (
        us.models.list,
        lambda: us.understanding.create(transcript_id=wanted, request=TASKS),
        lambda: us.chat.completions.create(model=MODEL, messages=ASK),
        lambda: eu.chat.completions.create(model=MODEL, messages=ASK, fallbacks=["assemblyai/gpt-5"]),
    ):
        with pytest.raises(aai.LLMGatewayError):
            call()

    assert {"llm-eu"} == hosts_asked(emulator, since)
    assert ["eu"] == [row["region"] for row in understood(gateway, team)]


def test_a_spent_budget_refuses_chat_and_understanding(
    connect: Connect, gateway: GatewayProcess, emulator: Emulator
) -> None:
    team = gateway.team()
    wanted = transcribed(gateway, team)
    with gateway.admin() as admin:
        admin.post("/team/update", json={"team_id": team.id, "max_budget": 0.0}).raise_for_status()
    since = len(emulator.requests)

    llm = connect(team)
    for call in (
        lambda: llm.understanding.create(transcript_id=wanted, request=TASKS),
        lambda: llm.chat.completions.create(model=MODEL, messages=ASK, transcript_id=wanted),
    ):
        with pytest.raises(aai.LLMGatewayError, match="Budget has been exceeded"):
            call()

    assert set() == hosts_asked(emulator, since)


def understood(gateway: GatewayProcess, team: TeamAccess) -> list[dict[str, Any]]:
    """The team's rows of speech understanding in the gateway's store."""
    query = "select * from usage where service = 'understanding' and team_id = ?"
    with closing(sqlite3.connect(f"file:{gateway.store_path}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        return [dict(row) for row in store.execute(query, (team.id,))]

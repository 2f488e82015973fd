"""The chat hooks on a real store, called as LiteLLM calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import litellm
import pytest
from litellm.proxy._types import ProxyException

from aai_gateway.core.budgets import Budget
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key
from aai_gateway.gateway import litellm_host
from aai_gateway.gateway.chat import ChatHooks
from aai_gateway.gateway.context import Gateway, Runtime
from aai_gateway.settings import Settings
from aai_gateway.store import holds, keys, teams, usage
from aai_gateway.store.holds import Hold

KEY = hash_key("sk-research")


@dataclass
class House:
    """The hooks, their gateway, and a team with a key."""

    hooks: ChatHooks
    gateway: Gateway

    async def allow(self, call_type: str = "acompletion", **kwargs: Any) -> dict[str, Any] | None:
        """What the deployment hook makes of these arguments; the call is noted in their logging object."""
        metadata = {"user_api_key_hash": KEY, "model_group": "assemblyai/claude-sonnet-4-6"}
        common = {"model": "assemblyai/claude-sonnet-4-6", "metadata": metadata}
        logged = {"litellm_logging_obj": SimpleNamespace(model_call_details={})}
        return await self.hooks.async_pre_call_deployment_hook({**common, **logged, **kwargs}, call_type)

    async def finish(self, kwargs: dict[str, Any], **details: Any) -> None:
        details = {**kwargs["litellm_logging_obj"].model_call_details, **details}
        response = litellm.ModelResponse(usage=litellm.Usage(prompt_tokens=100, completion_tokens=10))
        await self.hooks.async_log_success_event(details, response, None, None)

    async def holds(self) -> list[Hold]:
        async with self.gateway.store.read() as connection:
            return list(await holds.list_all(connection))

    async def rows(self) -> list[usage.UsageRow]:
        async with self.gateway.store.read() as connection:
            return list(await usage.list_rows(connection))


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "the-account-key")
    runtime = Runtime(Settings(data_dir=tmp_path))
    gateway = await runtime.ready()
    async with gateway.store.write() as connection:
        await teams.create(connection, Team("t", "research"))
        await keys.create(connection, VirtualKey(KEY, "sk-...arch", team_id="t"))
    yield House(ChatHooks(runtime.ready), gateway)
    await runtime.close()


async def test_an_allowed_call_goes_to_its_region_with_the_account_key(house: House) -> None:
    us = await house.allow()
    eu = await house.allow(
        metadata={"user_api_key_hash": KEY, "model_group": "eu.assemblyai/claude-sonnet-4-6"},
        api_base="https://elsewhere.example/v1",
        extra_headers={"authorization": "other"},
    )

    assert us is not None and eu is not None
    assert "https://llm-gateway.assemblyai.com/v1" == us["api_base"]
    assert "https://llm-gateway.eu.assemblyai.com/v1" == eu["api_base"]
    assert "the-account-key" == us["api_key"] == eu["api_key"]
    assert 0 == us["max_retries"]
    assert "extra_headers" not in eu


async def test_a_completion_is_booked_though_its_key_is_gone_by_then(house: House) -> None:
    allowed = await house.allow()
    assert allowed is not None
    async with house.gateway.store.write() as connection:
        await keys.delete(connection, KEY)

    await house.finish(allowed)

    [row] = await house.rows()
    assert ("team:t", "t", KEY, "claude-sonnet-4-6") == (row.owner, row.team_id, row.key_hash, row.model)
    assert 495 == row.micros  # (100 x $3 + 10 x $15) x 1.1 per million


async def test_a_call_is_booked_once_however_often_it_is_tried_and_reported(house: House) -> None:
    allowed = await house.allow()
    assert allowed is not None
    again = await house.allow(litellm_logging_obj=allowed["litellm_logging_obj"])
    assert again is not None

    await house.finish(allowed)
    await house.finish(again)

    assert 1 == len(await house.rows())


@pytest.mark.parametrize(
    "details", [{"cache_hit": True}, {"aai_gateway_call": None}, {"aai_gateway_call": "forged"}]
)
async def test_what_the_cache_answered_or_nobody_allowed_is_not_booked(house: House, details: Any) -> None:
    allowed = await house.allow()
    assert allowed is not None

    await house.finish(allowed, **details)

    assert [] == await house.rows()


async def test_another_providers_call_is_left_alone(house: House) -> None:
    assert await house.allow(model="openai/gpt-4o") is None


@pytest.mark.parametrize(
    ("kwargs", "status"),
    [
        ({"metadata": {}}, 401),
        ({"metadata": {"user_api_key_hash": "unknown"}}, 401),
        ({"extra_body": [["transcript_id", "t"]]}, 400),
        ({"model": "assemblyai/claude-sonnet-4-6", "fallbacks": [{"Model": "x"}]}, 400),
    ],
)
async def test_refusals_are_in_openais_shape(house: House, kwargs: dict[str, Any], status: int) -> None:
    with pytest.raises(ProxyException) as refused:
        await house.allow(**kwargs)

    assert str(status) == refused.value.code


async def test_an_unknown_transcript_is_not_found(house: House) -> None:
    with pytest.raises(litellm.NotFoundError, match="transcript not found"):
        await house.allow(transcript_id="8e8e8e8e-0000-4000-8000-000000000000")


async def test_a_budget_that_was_spent_since_refuses_a_fallback_too(house: House) -> None:
    async with house.gateway.store.write() as connection:
        await teams.update(connection, "t", budget=Budget(max_micros=0))

    with pytest.raises(ProxyException) as refused:
        await house.allow()

    assert ("budget_exceeded", "422") == (refused.value.type, refused.value.code)


async def test_a_hold_that_led_to_nothing_is_given_back(house: House) -> None:
    allowed = await house.allow()
    assert allowed is not None
    assert 1 == len(await house.holds())

    await house.hooks.async_post_call_failure_deployment_hook(allowed, RuntimeError(), "acompletion")

    assert [] == await house.holds()


async def test_what_the_cache_answers_gives_the_hold_back(house: House) -> None:
    allowed = await house.allow()
    assert allowed is not None

    await house.finish(allowed, cache_hit=True)

    assert ([], []) == (await house.holds(), await house.rows())


async def test_the_chat_call_takes_over_the_hold_of_the_route_around_it(house: House) -> None:
    around = await house.allow("aresponses", messages=None, input="Hello.")
    assert around is not None and "client" not in around
    [first] = await house.holds()

    inside = await house.allow(litellm_logging_obj=around["litellm_logging_obj"], max_tokens=10)

    assert inside is not None and inside["client"].base_url == "https://llm-gateway.assemblyai.com/v1/"
    [second] = await house.holds()
    assert first.id == second.id
    assert first.micros > second.micros


async def test_a_chat_call_that_does_not_fit_gives_back_the_hold_of_the_route_around_it(house: House) -> None:
    around = await house.allow("aresponses", messages=None, input="Hello.", max_output_tokens=10)
    assert around is not None
    [hold] = await house.holds()
    async with house.gateway.store.write() as connection:
        await teams.update(connection, "t", budget=Budget(max_micros=hold.micros))

    with pytest.raises(ProxyException) as refused:
        await house.allow(litellm_logging_obj=around["litellm_logging_obj"], max_tokens=100)

    assert ("budget_exceeded", "422") == (refused.value.type, refused.value.code)
    assert [] == await house.holds()


@pytest.mark.parametrize("call_type", ["aembedding", "aimage_generation", "amoderation", "aspeech"])
async def test_a_call_that_is_no_chat_is_not_let_out(house: House, call_type: str) -> None:
    with pytest.raises(ProxyException) as refused:
        await house.allow(call_type, input="Hello.")

    assert "404" == refused.value.code
    assert [] == await house.holds()


async def test_tags_and_the_end_user_are_on_the_hold(house: House) -> None:
    metadata = {"user_api_key_hash": KEY, "tags": ["a", 7, "b"], "user_api_key_end_user_id": "reader"}

    await house.allow(metadata=metadata)

    [hold] = await house.holds()
    assert (("a", "b"), "reader") == (hold.tags, hold.end_user)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/chat/completions", True),
        ("/chat/completions", True),
        ("/openai/deployments/assemblyai/gpt-5/chat/completions", True),
        ("/v1/messages", True),
        ("/v1/responses", True),
        ("/v1/models", True),
        ("/v1beta/models/assemblyai/gpt-5:generateContent", True),
        ("/v1/responses/resp_1", False),
        ("/v1/files", False),
        ("/v1/batches", False),
        ("/openai/v1/chat/completions", False),
        ("/anthropic/v1/messages", False),
        ("/key/generate", False),
        ("/v1/chat/completions/../../key/generate", False),
        ("/model/new", False),
    ],
)
def test_a_virtual_key_may_call_models_only(path: str, expected: bool) -> None:
    from starlette.requests import Request

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [],
        "query_string": b"",
        "root_path": "",
    }

    assert expected == litellm_host.is_model_request(
        Request({**scope, "server": ("x", 80), "scheme": "http"})
    )

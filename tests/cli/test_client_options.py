from __future__ import annotations

from decimal import Decimal

import pytest

from aai_gateway.chat_client import ChatAnswer
from aai_gateway.cli.client_options import (
    gateway_url,
    namespace_for,
    open_chat,
    open_speech,
    spent,
    timestamp,
    virtual_key,
)
from aai_gateway.core.regions import Region
from aai_gateway.errors import ConfigurationError
from aai_gateway.quotes.index_folder import namespace_of


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_URL", "http://gateway:4000")
    monkeypatch.setenv("AAI_GATEWAY_KEY", "sk-mine")
    monkeypatch.setenv("AAI_GATEWAY_CHAT_MODEL", "gpt-5")


def test_options_win_over_settings():
    assert ("http://gateway:4000", "http://other") == (gateway_url(None), gateway_url("http://other/"))
    assert ("sk-mine", "sk-other") == (virtual_key(None), virtual_key("sk-other"))


@pytest.mark.parametrize("empty", [None, " "])
def test_a_missing_key_says_which_variable_and_how_to_get_one(monkeypatch, empty):
    monkeypatch.delenv("AAI_GATEWAY_KEY")
    with pytest.raises(ConfigurationError, match=r"AAI_GATEWAY_KEY.*aai-gateway keys create --team"):
        virtual_key(empty)


def test_clients_are_made_for_the_region():
    client = open_speech(None, None, Region.EU)
    assert ("http://gateway:4000/eu.assemblyai", "sk-mine") == (
        client.settings.base_url,
        client.settings.api_key,
    )
    with open_chat(None, None, Region.EU, None) as chat:
        assert ("http://gateway:4000/v1", "eu.assemblyai/gpt-5") == (chat.base_url, chat.model)
    with open_chat(None, None, Region.US, "claude-x") as chat:
        assert "assemblyai/claude-x" == chat.model


def test_a_namespace_is_the_keys_unless_it_is_given():
    assert namespace_of("sk-mine") == namespace_for(None, None)
    assert "ours" == namespace_for("ours", None)


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(0, "0:00:00.000"), (61_005, "0:01:01.005"), (3_600_000, "1:00:00.000"), (36_059_999, "10:00:59.999")],
)
def test_positions_are_shown_to_the_millisecond(milliseconds, expected):
    assert expected == timestamp(milliseconds)


def test_what_answers_took_is_summed_and_unknown_costs_are_not_guessed():
    known = ChatAnswer("x", "m", 1000, 20, Decimal("0.0012345"), truncated=False)
    unknown = ChatAnswer("x", "m", 1, 2, None, truncated=False)
    assert "m, 2,000 tokens in, 40 out, $0.002469" == spent([known, known])
    assert "m, 1,001 tokens in, 22 out" == spent([known, unknown])

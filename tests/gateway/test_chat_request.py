"""Reading a chat request without LiteLLM."""

from __future__ import annotations

from typing import Any

import pytest

from aai_gateway.errors import InvalidRequest
from aai_gateway.gateway.chat_request import (
    Fallback,
    as_sent,
    check_form,
    fallbacks,
    transcript_ids,
    trusted_metadata,
    wants_global,
)


@pytest.mark.parametrize(
    "data",
    [
        {"transcript_id": "t"},
        {"extra_body": {"transcript_id": "t"}},
        {"extra_body": {"extra_body": {"transcript_id": "t"}}},
        {"fallbacks": [{"model": "a", "transcript_id": "t"}]},
        {"extra_body": {"fallbacks": [{"model": "a", "transcript_id": "t"}]}},
        {"fallback_config": {"transcript_id": "t"}},
        {"anything": [[{"transcript_id": "t"}]]},
    ],
)
def test_a_transcript_id_is_seen_wherever_it_stands(data: dict[str, Any]) -> None:
    assert ["t"] == transcript_ids({"model": "m", **data})


@pytest.mark.parametrize(
    "data",
    [
        {"transcript_id": None},
        {"tools": [{"function": {"parameters": {"properties": {"transcript_id": {"type": "string"}}}}}]},
        {"response_format": {"json_schema": {"schema": {"properties": {"transcript_id": {}}}}}},
        {"messages": [{"content": "x", "transcript_id": "t"}]},
        {"metadata": {"transcript_id": "t"}},
        {"proxy_server_request": {"body": {"transcript_id": "t"}}},
    ],
)
def test_schemas_texts_and_metadata_name_no_transcript(data: dict[str, Any]) -> None:
    assert [] == transcript_ids({"model": "m", **data})


def test_a_transcript_id_that_is_no_text_is_nobodys() -> None:
    assert ["['t']", "7"] == transcript_ids({"transcript_id": ["t"], "extra_body": {"transcript_id": 7}})


@pytest.mark.parametrize(
    "data",
    [
        {"model": "assemblyai/a,assemblyai/b"},
        {"extra_body": [["transcript_id", "t"]]},
        {"extra_body": "x"},
        {"extra_body": {"stream": True}},
        {"extra_body": {"model": "b"}},
        {"extra_body": {"messages": []}},
        {"Transcript_Id": "t"},
        {"tranſcript_id": "t"},
        {"Extra_Body": {"transcript_id": "t"}},
        {"fallbacks": [{"Model": "b"}]},
        {"extra_body": {"MODEL_REGION": "global"}},
    ],
)
def test_what_could_be_read_two_ways_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        check_form({"model": "assemblyai/a", **data})


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"extra_body": None},
        {"extra_body": {"transcript_id": "t", "top_k": 3}},
        {"tools": [{"Model": "in a schema"}]},
        {"metadata": {"Model": "a label"}},
        {"X-Unknown": 1},
    ],
)
def test_the_usual_is_not_refused(data: dict[str, Any]) -> None:
    check_form({"model": "assemblyai/a", **data})


def test_assemblyais_parameters_travel_in_extra_body() -> None:
    entries, config, thinking = [{"model": "b"}], {"depth": 1}, {"type": "enabled"}

    sent = as_sent(
        {
            "model": "a",
            "fallbacks": entries,
            "fallback_config": config,
            "thinking": thinking,
            "extra_body": {"x": 1},
        }
    )

    moved = {"fallbacks": entries, "fallback_config": config, "thinking": thinking}
    assert {"model": "a", "extra_body": {"x": 1, **moved}} == sent


@pytest.mark.parametrize("value", [None, [], ["assemblyai/b"], ["x", {"model": "b"}]])
def test_litellms_own_fallbacks_stay(value: Any) -> None:
    assert {"model": "a", "fallbacks": value} == as_sent({"model": "a", "fallbacks": value})


def test_fallbacks_inherit_the_price_list_unless_they_name_theirs() -> None:
    entries = [{"model": "b"}, {"model": "c", "model_region": "global"}, "not an entry"]

    assert (Fallback("b", False), Fallback("c", True)) == fallbacks({"fallbacks": entries})
    inherited = fallbacks({"model_region": "global", "extra_body": {"fallbacks": entries}})
    assert (Fallback("b", True), Fallback("c", True)) == inherited


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, False),
        ({"model_region": "global"}, True),
        ({"extra_body": {"model_region": "global"}}, True),
        ({"model_region": "eu"}, False),
    ],
)
def test_only_global_is_the_list_price(data: dict[str, Any], expected: bool) -> None:
    assert expected == wants_global(data)


def test_the_metadata_with_the_keys_hash_is_litellms_own() -> None:
    own = {"user_api_key_hash": "h", "model_group": "g"}

    assert own == trusted_metadata({"metadata": {"model_group": "forged"}, "litellm_metadata": own})
    assert own == trusted_metadata({"metadata": own, "litellm_metadata": {"model_group": "forged"}})
    assert {} == trusted_metadata({"metadata": {"model_group": "forged"}})


@pytest.mark.parametrize("place", [lambda data: data, lambda data: {"extra_body": data}])
def test_more_fallbacks_than_can_be_priced_at_once_are_refused(place):
    entry = {"model": "gpt-5"}
    check_form({"model": "m", **place({"fallbacks": [entry] * 20})})
    with pytest.raises(InvalidRequest, match="at most 20 fallbacks"):
        check_form({"model": "m", **place({"fallbacks": [entry] * 21})})

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from assemblyai.llm_gateway.v1.models import LLMGatewayModelList

from aai_gateway.emulator.catalogue import MODELS, models_body, served

PUBLISHED = Path(__file__).parents[3] / "shared" / "assemblyai" / "llm_gateway_models.json"


def test_the_sdk_reads_the_catalogue_of_both_regions():
    for region in ("us", "eu"):
        listed = LLMGatewayModelList.model_validate(models_body(region)).data
        assert set(served(region)) == {model.id for model in listed}


def test_the_eu_serves_only_some_claude_and_gemini_models():
    assert {
        "claude-haiku-4-5-20251001",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-6",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite",
        "gemini-2.5-pro",
        "gemini-3.6-flash",
        "gemini-3.7-flash",
    } == set(served("eu"))


def test_an_item_gives_the_global_price_and_the_price_in_each_region():
    (item,) = [item for item in models_body("eu")["data"] if item["id"] == "claude-sonnet-4-6"]
    assert 3.0 == item["pricing"]["global"]["prompt"]
    assert 16.5 == item["pricing"]["eu"]["completions"]
    assert 10.0 == item["pricing"]["regional_increase_percent"]


def test_a_retirement_date_is_unix_time_and_0_without_one():
    dates = {item["id"]: item["retirement_date"] for item in models_body("us")["data"]}
    assert 1809648000 == dates["gemini-3.1-flash-lite"]
    assert 0 == dates["gpt-5"]


def test_the_us_catalogue_lists_eu_for_a_model_that_the_eu_does_not_serve():
    (qwen,) = [item for item in models_body("us")["data"] if item["id"] == "qwen3.5-4b-32k-fast"]
    assert ["us", "eu"] == qwen["available_regions"]
    assert "qwen3.5-4b-32k-fast" not in served("eu")


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published model list is not beside this checkout")
def test_every_figure_is_the_published_one():
    published = json.loads(PUBLISHED.read_text(), parse_float=Decimal)["models"]
    assert {row["id"] for row in published} == set(MODELS)
    for row in published:
        model = MODELS[row["id"]]
        prices = (model.input, model.output, model.cache_read, model.cache_write, model.cache_write_1h)
        names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
        assert tuple(row[f"{name}_per_1m"] for name in names) == prices
        assert (row["context"], row["provider"], row["retirement"]) == (
            model.context,
            model.provider,
            model.retirement,
        )
        assert row["regional_surcharge"] == model.surcharge
        assert set(row["supported_parameters"]) == set(model.supported_parameters)

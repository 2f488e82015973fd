from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import httpx
import pytest
from assemblyai.llm_gateway.v1.models import LLMGatewayModelList

from aai_gateway.emulator import Emulator, PriceChange
from aai_gateway.emulator.model_list import models_body
from aai_gateway.emulator.price_changes import Prices
from aai_gateway.emulator.price_list import PUBLISHED


def item(body: dict, name: str) -> dict:
    (found,) = [item for item in body["data"] if item["id"] == name]
    return found


@pytest.mark.parametrize("region", ["us", "eu"])
def test_the_sdk_reads_the_list_of_each_region(region: str):
    listed = LLMGatewayModelList.model_validate(models_body(region, PUBLISHED)).data
    assert list(PUBLISHED.served(region)) == [model.id for model in listed]


def test_an_item_gives_the_global_price_and_the_price_in_each_region():
    pricing = item(models_body("eu", PUBLISHED), "claude-sonnet-4-6")["pricing"]
    assert {"us", "eu", "global", "regional_increase_percent"} == pricing.keys()
    assert {
        "prompt": 3.0,
        "completions": 15.0,
        "input_cache_read": 0.3,
        "input_cache_write": 3.75,
        "input_cache_write_1h": 6.0,
    } == pricing["global"]
    assert (16.5, 10.0) == (pricing["eu"]["completions"], pricing["regional_increase_percent"])


def test_a_retirement_date_is_unix_time_and_0_without_one():
    dates = {item["id"]: item["retirement_date"] for item in models_body("us", PUBLISHED)["data"]}
    assert 1809648000 == dates["gemini-3.1-flash-lite"]
    assert 0 == dates["gpt-5"]


def test_the_us_list_names_eu_for_a_model_that_the_eu_does_not_serve():
    assert ["us", "eu"] == item(models_body("us", PUBLISHED), "qwen3.5-4b-32k-fast")["available_regions"]
    assert "qwen3.5-4b-32k-fast" not in PUBLISHED.served("eu")


def test_a_surcharge_of_a_region_shows_in_its_prices_only():
    prices = Prices()
    prices.change(PriceChange(surcharges={"us": Decimal("0.12")}))
    us, eu = (
        item(models_body(region, prices.now()), "claude-sonnet-4-6")["pricing"] for region in ("us", "eu")
    )
    assert (12.0, 10.0) == (us["regional_increase_percent"], eu["regional_increase_percent"])
    assert (3.36, 3.3, 3.0) == (us["us"]["prompt"], us["eu"]["prompt"], us["global"]["prompt"])
    free = item(models_body("us", prices.now()), "qwen3-32B")["pricing"]
    assert (0.0, free["global"]) == (free["regional_increase_percent"], free["us"])


def test_the_served_list_shows_what_holds_now(emulator: Emulator):
    url = f"{emulator.urls.llm_us}/v1/models"
    change = {"chat": {"gpt-5": {"input": "1.5", "cache_read": None}}}
    later = datetime(2999, 1, 1, tzinfo=timezone.utc)
    emulator.prices.change(PriceChange.from_json(change | {"from": later.isoformat()}))
    assert 1.25 == item(httpx.get(url).json(), "gpt-5")["pricing"]["global"]["prompt"]
    emulator.prices.change(PriceChange.from_json(change))
    assert {"prompt": 1.5, "completions": 10.0} == item(httpx.get(url).json(), "gpt-5")["pricing"]["global"]

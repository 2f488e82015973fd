from __future__ import annotations

from decimal import Decimal

from aai_gateway.emulator.price_list import PUBLISHED


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
    } == set(PUBLISHED.served("eu"))


def test_what_has_no_price_is_charged_like_the_dearest():
    assert max(PUBLISHED.speech_models.values()) == PUBLISHED.speech_model("new-model")
    assert max(PUBLISHED.add_ons.values()) == PUBLISHED.add_on("speech_understanding.summarization")


def test_a_model_has_its_surcharge_in_each_region_or_none():
    sonnet, qwen = PUBLISHED.models["claude-sonnet-4-6"], PUBLISHED.models["qwen3-32B"]
    assert {Decimal("0.1")} == {PUBLISHED.surcharge(sonnet, region) for region in ("us", "eu")}
    assert Decimal(0) == PUBLISHED.surcharge(qwen, "us")

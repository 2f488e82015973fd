from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from aai_gateway.emulator.invoice import Invoice
from aai_gateway.emulator.price_list import PUBLISHED

PAGES = Path(__file__).parents[3] / "shared" / "assemblyai" / "prices.json"


def transcript(**fields):
    return {
        "id": "t1",
        "status": "completed",
        "speech_model_used": "universal-2",
        "audio_duration": 3600,
        **fields,
    }


def items(invoice: Invoice) -> dict[str, int]:
    return {item.name: item.micros for row in invoice.rows for item in row.items}


@pytest.mark.parametrize(
    ("model", "micros"),
    [
        ("universal-3-5-pro", 210_000),
        ("universal-3-pro", 210_000),
        ("best", 210_000),
        ("universal-2", 150_000),
        ("nano", 150_000),
    ],
)
def test_an_hour_costs_the_price_of_the_model_that_ran(model, micros):
    invoice = Invoice()
    invoice.charge_transcript("us", transcript(speech_model_used=model, speech_models=["universal-2"]))
    assert micros == invoice.total_micros()


def test_a_model_without_a_price_is_charged_like_the_dearest():
    invoice = Invoice()
    invoice.charge_transcript("us", transcript(speech_model_used="slam-1"))
    assert {"slam-1": 210_000} == items(invoice)


def test_a_task_or_domain_without_a_price_is_charged_like_the_dearest_add_on():
    invoice = Invoice()
    tasks = {"summarization": {"summary_type": "bullets"}, "translation": {}}
    body = transcript(domain="legal-v1", speech_understanding={"request": tasks})
    invoice.charge_transcript("us", body)
    assert {
        "universal-2": 150_000,
        "domain=legal-v1": 150_000,
        "speech_understanding.summarization": 150_000,
    } == items(invoice)


def test_every_add_on_has_its_own_line():
    invoice = Invoice()
    body = transcript(
        speaker_labels=True,
        entity_detection=True,
        sentiment_analysis=True,
        auto_chapters=True,
        auto_highlights=True,
        iab_categories=True,
        summarization=True,
        domain="medical-v1",
        keyterms_prompt=["aortic"],
        prompt="A cardiologist speaks.",
        filter_profanity=True,
        redact_pii=True,
        redact_pii_audio=True,
        content_safety=True,
        speech_understanding={
            "request": {
                "speaker_identification": {"speaker_type": "name"},
                "translation": {"target_languages": ["de"]},
                "custom_formatting": {"date": "mm/dd/yyyy"},
            }
        },
    )
    invoice.charge_transcript("eu", body)
    assert {
        "universal-2": 150_000,
        "speaker_labels": 20_000,
        "entity_detection": 80_000,
        "sentiment_analysis": 20_000,
        "auto_chapters": 80_000,
        "auto_highlights": 10_000,
        "iab_categories": 150_000,
        "summarization": 30_000,
        "domain=medical-v1": 150_000,
        "keyterms_prompt": 50_000,
        "prompt": 50_000,
        "filter_profanity": 10_000,
        "redact_pii": 80_000,
        "redact_pii_audio": 50_000,
        "content_safety": 150_000,
        "speech_understanding.speaker_identification": 20_000,
        "speech_understanding.translation": 60_000,
        "speech_understanding.custom_formatting": 30_000,
    } == items(invoice)
    assert 1_190_000 == invoice.total_micros(region="eu", service="speech")


def test_options_that_were_not_asked_for_cost_nothing():
    body = transcript(
        speaker_labels=False, keyterms_prompt=[], prompt=None, domain="general", speech_understanding=None
    )
    invoice = Invoice()
    invoice.charge_transcript("us", body)
    assert {"universal-2": 150_000} == items(invoice)


@pytest.mark.parametrize("apart", ["multichannel", "dual_channel"])
def test_channels_multiply_the_model_and_the_add_ons(apart: str):
    invoice = Invoice()
    body = transcript(audio_channels=2, audio_duration=1800, sentiment_analysis=True)
    invoice.charge_transcript("us", body | {apart: True})
    assert {"universal-2": 150_000, "sentiment_analysis": 20_000} == items(invoice)
    assert {3600} == {item.quantity for item in invoice.rows[0].items}


def test_each_line_is_rounded_half_to_even_on_its_own():
    invoice = Invoice()
    invoice.charge_transcript("us", transcript(audio_duration=282, speaker_labels=True))
    # 0.15 * 282 / 3600 = 0.01175 exactly; 0.02 * 282 / 3600 = 0.00156666...
    assert {"universal-2": 11_750, "speaker_labels": 1_567} == items(invoice)

    halves = Invoice()
    halves.charge_chat(
        "us", "r", "gpt-4.1", {"prompt_tokens": 1, "completion_tokens": 0}, global_region=False
    )
    # 2 * 1.10 = 2.2 micro-dollars
    assert {"input": 2} == items(halves)
    even = Invoice()
    usage = {"prompt_tokens": 2, "completion_tokens": 6}
    even.charge_chat("us", "r", "gemini-2.5-pro", usage, global_region=True)
    # 2 * 1.25 = 2.5 is rounded to 2, the even neighbour; 6 * 10 = 60
    assert {"input": 2, "output": 60} == items(even)


@pytest.mark.parametrize("status", ["queued", "processing", "error"])
def test_a_job_that_is_not_completed_costs_nothing(status):
    invoice = Invoice()
    invoice.charge_transcript("us", transcript(status=status))
    assert [] == invoice.rows


def test_a_second_charge_of_the_same_job_or_request_changes_nothing():
    invoice = Invoice()
    for _ in range(2):
        invoice.charge_transcript("us", transcript())
        invoice.charge_chat("us", "r1", "gpt-5", {"prompt_tokens": 1000}, global_region=True)
    assert {"speech": 150_000, "chat": 1_250, "understanding": 0} == invoice.by_service()


def test_in_region_chat_costs_ten_percent_more_unless_the_model_has_no_surcharge():
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    invoice = Invoice()
    invoice.charge_chat("us", "r1", "claude-sonnet-4-6", usage, global_region=False)
    invoice.charge_chat("us", "r2", "claude-sonnet-4-6", usage, global_region=True)
    invoice.charge_chat("us", "r3", "qwen3.5-4b-32k-fast", usage, global_region=False)
    assert [4_950, 4_500, 150] == [row.micros for row in invoice.rows]
    assert ["3.3", "16.5"] == [item.unit_price for item in invoice.rows[0].items]


def test_cached_and_cache_written_tokens_leave_the_input_line():
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 0,
        "prompt_tokens_details": {
            "cached_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 300},
        },
    }
    claude, qwen = Invoice(), Invoice()
    claude.charge_chat("us", "r", "claude-sonnet-4-6", usage, global_region=True)
    qwen.charge_chat("us", "r", "qwen3-32B", usage, global_region=True)
    assert {"input": 1_200, "cache_read": 30, "cache_write_5m": 750, "cache_write_1h": 1_800} == items(claude)
    assert {"input": 60, "cache_read": 15, "cache_write_5m": 30, "cache_write_1h": 45} == items(qwen)


def test_both_names_of_the_token_counts_are_read():
    old, new = Invoice(), Invoice()
    old.charge_chat(
        "us",
        "r",
        "gpt-5",
        {"input_tokens": 800, "output_tokens": 80, "prompt_tokens": None},
        global_region=True,
    )
    new.charge_chat("us", "r", "gpt-5", {"prompt_tokens": 800, "completion_tokens": 80}, global_region=True)
    assert items(new) == items(old) == {"input": 1_000, "output": 800}


def test_totals_by_region_and_service_and_as_json():
    invoice = Invoice()
    invoice.charge_transcript("us", transcript())
    invoice.charge_transcript("eu", transcript(id="t2", audio_duration=36))
    invoice.charge_chat("eu", "r1", "claude-sonnet-4-6", {"prompt_tokens": 1000}, global_region=True)
    assert 154_500 == invoice.total_micros()
    assert 4_500 == invoice.total_micros(region="eu")
    assert 3_000 == invoice.total_micros(region="eu", service="chat")
    body = json.loads(json.dumps(invoice.to_json()))
    assert {"us": 150_000, "eu": 4_500} == body["totals"]["by_region"]
    assert ["t1", "t2", "r1"] == [row["id"] for row in body["rows"]]


@pytest.mark.skipif(not PAGES.exists(), reason="the published prices are not beside this checkout")
def test_every_speech_price_is_the_published_one():
    published = json.loads(PAGES.read_text(), parse_float=str)
    models = {
        name: Decimal(row["usd_per_hour"])
        for name, row in published["async_models"].items()
        if row["usd_per_hour"] and not name.startswith("_")
    }
    assert models == PUBLISHED.speech_models
    add_ons = {name: Decimal(row["usd_per_hour"]) for name, row in published["async_addons"].items()}
    # No request field that selects experimental diarization is documented.
    add_ons.pop("speaker_labels_experimental")
    assert add_ons == PUBLISHED.add_ons

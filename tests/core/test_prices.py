"""What things cost, checked against worked figures and against exact arithmetic."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aai_gateway.core.price_book import surcharge
from aai_gateway.core.prices import (
    FALLBACK,
    SpeechJob,
    TokenUsage,
    billable_options,
    chat_models,
    line_item,
    price_chat,
    price_speech,
    price_understanding,
    speech_job_from,
    token_usage_from,
    understanding_addons,
)
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.speech_prices import FREE_OPTIONS
from aai_gateway.errors import PriceError
from aai_gateway.price_book import load_price_book

SHARED = Path(__file__).parents[3] / "shared" / "assemblyai"
needs_facts = pytest.mark.skipif(
    not SHARED.exists(), reason="the collected price facts are not beside this clone"
)

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
BOOK = load_price_book()
ADDONS = sorted(BOOK.speech_addons)
EVERYTHING = {
    "speaker_labels": True,
    "entity_detection": True,
    "sentiment_analysis": True,
    "auto_chapters": True,
    "auto_highlights": True,
    "iab_categories": True,
    "summarization": True,
    "keyterms_prompt": ["Hölderlin"],
    "prompt": "Two surgeons talk.",
    "filter_profanity": True,
    "redact_pii": True,
    "redact_pii_audio": True,
    "content_safety": True,
    "domain": "medical-v1",
    "speech_understanding": {
        "request": {
            "speaker_identification": {"speaker_type": "name"},
            "translation": {"target_languages": ["de"]},
            "custom_formatting": {"date": "yyyy-mm-dd"},
        }
    },
}


def completed(**fields: object) -> dict[str, object]:
    return {"status": "completed", "audio_duration": 282, "speech_model_used": "universal-2"} | fields


def speech(model: str | None = "universal-2", seconds: int = 3600, **fields: object) -> SpeechJob:
    values = {"channels": 1, "addons": (), "failed": False, "at": NOW} | fields
    return SpeechJob(model=model, seconds=seconds, **values)


def lines(cost) -> dict[str, int]:
    return {item.name: item.micros for item in cost.items}


# Line items


@given(
    st.integers(0, 10**9),
    st.sampled_from(["second", "token"]),
    st.decimals("0", "1000", places=6),
)
def test_a_line_is_rounded_half_to_even_from_the_exact_amount(quantity, unit, price):
    divisor = {"second": 3600, "token": 1_000_000}[unit]
    # Multiples of 1/divisor that are ties need no more than these digits to be seen as ties.
    exact = price * quantity * 1_000_000 / Decimal(divisor)

    item = line_item("x", quantity, unit, price)

    assert int(exact.quantize(Decimal(1), ROUND_HALF_EVEN)) == item.micros


@pytest.mark.parametrize(("tokens", "micros"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_halves_go_to_the_even_neighbour(tokens, micros):
    assert micros == line_item("input", tokens, "token", Decimal("0.5")).micros


# Speech


@given(
    st.sampled_from([*BOOK.speech_models, "best", "nano", "slam-1", None]),
    st.integers(0, 36_000),
    st.integers(1, 8),
    st.lists(st.sampled_from(ADDONS), unique=True),
)
def test_a_cost_is_the_sum_of_its_lines_one_for_the_model_and_each_addon(model, seconds, channels, addons):
    cost = price_speech(BOOK, speech(model, seconds, channels=channels, addons=tuple(addons)))

    assert sum(item.micros for item in cost.items) == cost.micros
    assert [model or "unknown", *addons] == [item.name for item in cost.items]
    assert {seconds * channels} == {item.quantity for item in cost.items}


@pytest.mark.parametrize(
    ("model", "micros"),
    [("universal-3-5-pro", 210_000), ("universal-2", 150_000), ("best", 210_000), ("nano", 150_000)],
)
def test_an_hour_of_each_model(model, micros):
    cost = price_speech(BOOK, speech(model))

    assert (micros, None) == (cost.micros, cost.priced_as)


def test_seconds_are_prorated():
    # AssemblyAI bills 282 s as 0.0783333 h.
    assert 11_750 == price_speech(BOOK, speech("universal-2", 282)).micros


def test_channels_multiply_the_model_and_its_addons():
    cost = price_speech(BOOK, speech(channels=2, addons=("speaker_labels",)))

    assert {"universal-2": 300_000, "speaker_labels": 40_000} == lines(cost)


@pytest.mark.parametrize("model", ["slam-1", "universal-9", None])
def test_an_unknown_model_is_priced_at_the_stated_fallback(model):
    cost = price_speech(BOOK, speech(model))

    assert (210_000, FALLBACK, model or "unknown") == (cost.micros, cost.priced_as, cost.model)


def test_an_unknown_addon_is_priced_at_the_stated_fallback():
    cost = price_speech(BOOK, speech(addons=("speech_understanding.summarization",)))

    assert {"universal-2": 150_000, "speech_understanding.summarization": 150_000} == lines(cost)
    assert FALLBACK == cost.priced_as


def unknown_lines(**request: object) -> list[str]:
    """The lines that are charged at a fallback when this is requested."""
    cost = price_speech(BOOK, speech_job_from(completed(), request, at=NOW))
    unknown = [item.name for item in cost.items if item.fallback]
    assert (FALLBACK if unknown else None) == cost.priced_as
    assert {150_000 * 282 // 3600} >= {item.micros for item in cost.items if item.fallback}
    return unknown


@pytest.mark.parametrize(
    ("request_", "unknown"),
    [
        ({"speech_understanding": {"request": {"summarization": {"type": "x"}}}}, ["summarization"]),
        ({"speech_understanding": {"request": {"translation": {}, "dubbing": None}}}, []),
        ({"speech_understanding": {"request": {"dub bing\n": {"a": 1}}}}, ["dub_bing_"]),
        ({"domain": "legal-v1"}, ["domain=legal-v1"]),
        ({"domain": "general"}, []),
        ({"domain": ""}, []),
        ({"emotion_detection": True, "laughter": False, "punctuate": True}, ["emotion_detection"]),
        ({"emotion_detection": {"of": "all"}, "note": "text", "level": 3}, []),
        ({"x" * 200: True}, ["x" * 64]),
    ],
)
def test_what_may_cost_but_is_not_known_is_charged_at_the_fallback(request_, unknown):
    assert unknown == [name.removeprefix("speech_understanding.") for name in unknown_lines(**request_)]


def test_an_answers_own_fields_are_no_options():
    echo = completed(webhook_auth=True, throttled=True, is_deleted=True, brand_new=True)

    assert () == speech_job_from(echo, at=NOW).addons


def test_the_line_that_was_unknown_is_marked():
    cost = price_speech(BOOK, speech("universal-9", addons=("prompt", "domain=new")))

    assert {"universal-9": True, "prompt": False, "domain=new": True} == {
        item.name: item.fallback for item in cost.items
    }


@needs_facts
def test_every_documented_option_is_charged_or_known_to_be_free():
    facts = json.loads((SHARED / "fields.json").read_text(encoding="utf-8"))
    documented = {*facts["request_fields_openapi"], *facts["request_fields_sdk"]}

    assert [] == unknown_lines(**dict.fromkeys(documented - {"speech_model", "speech_models"}, True))
    assert [] == sorted(documented & FREE_OPTIONS & set(EVERYTHING))


def test_a_failed_job_is_free_even_when_it_has_a_length():
    job = speech_job_from({"status": "error", "audio_duration": 60, "error": "Download error"}, at=NOW)

    assert ((), 0) == (price_speech(BOOK, job).items, price_speech(BOOK, job).micros)


def test_a_job_is_read_from_the_echo_of_a_transcript():
    job = speech_job_from(
        completed(multichannel=True, audio_channels=2, prompt="", **{"speaker_labels": True}), at=NOW
    )

    assert SpeechJob("universal-2", 282, 2, ("speaker_labels",), False, NOW) == job


def test_every_option_that_costs_is_charged():
    job = speech_job_from(completed(), EVERYTHING, at=NOW)

    # The experimental diarization has a price, but no option that selects it is documented.
    assert set(ADDONS) - {"speaker_labels_experimental"} == set(job.addons)


def test_options_that_were_not_asked_for_cost_nothing():
    echo = dict.fromkeys(EVERYTHING) | {"keyterms_prompt": [], "prompt": "", "redact_pii": False}
    echo |= {"content_safety_labels": {"status": "unavailable"}, "domain": "general"}

    assert () == speech_job_from(completed(**echo), at=NOW).addons


def test_what_was_requested_wins_over_the_echo():
    echo = completed(speaker_labels=True, filter_profanity=True)
    requested = {"speaker_labels": False, "redact_pii": True}

    assert ("filter_profanity", "redact_pii") == speech_job_from(echo, requested, at=NOW).addons


def test_a_deleted_transcript_is_priced_by_what_was_requested():
    deleted = completed(speech_model_used=None, audio_url="http://deleted_by_user", speaker_labels=None)
    requested = billable_options(
        {"speech_models": ["universal-3-5-pro", "universal-2"], "speaker_labels": True}
    )

    job = speech_job_from(deleted, requested, at=NOW)

    assert SpeechJob("universal-3-5-pro", 282, 1, ("speaker_labels",), False, NOW) == job


def test_channels_count_only_when_asked_for():
    assert 1 == speech_job_from(completed(audio_channels=2, multichannel=False), at=NOW).channels
    assert 1 == speech_job_from(completed(audio_channels=None, multichannel=True), at=NOW).channels


@pytest.mark.parametrize(("duration", "seconds"), [(0, 0), (8, 8), (7.3, 8)])
def test_seconds_are_whole(duration, seconds):
    assert seconds == speech_job_from(completed(audio_duration=duration), at=NOW).seconds


@pytest.mark.parametrize("duration", [None, "8", True, -1, float("nan"), float("inf")])
def test_a_completed_transcript_without_a_length_has_no_price(duration):
    with pytest.raises(PriceError, match="audio_duration"):
        speech_job_from(completed(audio_duration=duration), at=NOW)


@pytest.mark.parametrize("status", ["queued", "processing", None])
def test_a_job_that_has_not_ended_has_no_price(status):
    with pytest.raises(PriceError, match="no cost yet"):
        speech_job_from({"status": status}, at=NOW)


def test_billable_options_keep_no_content():
    request = EVERYTHING | {"audio_url": "https://example.org/a.mp3", "webhook_auth_header_value": "secret"}

    kept = json.dumps(billable_options(request))

    for content in ("surgeons", "Hölderlin", "example.org", "secret", "name", "yyyy"):
        assert content not in kept.replace("_name", "")


@given(
    st.dictionaries(
        st.sampled_from(
            [*EVERYTHING, "multichannel", "dual_channel", "speech_model", "speech_models", "audio_url"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("request"), inner),
        ),
    )
)
def test_billable_options_are_json_and_a_fixed_point(request):
    options = billable_options(request)

    assert options == json.loads(json.dumps(options))
    assert options == billable_options(options)
    assert speech_job_from(completed(), request, at=NOW) == speech_job_from(completed(), options, at=NOW)


@needs_facts
def test_the_book_holds_every_published_speech_price():
    facts = json.loads((SHARED / "prices.json").read_text(encoding="utf-8"))
    models = {n: m["usd_per_hour"] for n, m in facts["async_models"].items() if not n.startswith("_")}

    for name, usd in models.items():
        cost = price_speech(BOOK, speech(name))
        expected = (round(usd * 1e6), None) if usd is not None else (210_000, FALLBACK)
        assert expected == (cost.micros, cost.priced_as), name
    assert {n: Decimal(str(a["usd_per_hour"])) for n, a in facts["async_addons"].items()} == {
        name: history[-1].amount for name, history in BOOK.speech_addons.items()
    }


@needs_facts
def test_a_recorded_transcript_costs_what_its_invoice_line_said():
    recorded = json.loads((SHARED / "fixtures" / "transcript_get.json").read_text(encoding="utf-8"))

    cost = price_speech(BOOK, speech_job_from(recorded, at=NOW))

    assert {"universal-2": 11_750} == lines(cost)


# Chat


def chat(model: str, usage: TokenUsage, *, region: Region = Region.US, global_region: bool = False):
    return price_chat(BOOK, region, model, usage, global_region=global_region, at=NOW)


MILLION = TokenUsage(prompt=1_000_000, completion=1_000_000)


@pytest.mark.parametrize("region", ALL_REGIONS)
def test_staying_in_a_region_costs_a_tenth_more(region):
    in_region = chat("claude-sonnet-4-6", MILLION, region=region)

    assert {"input": 3_300_000, "output": 16_500_000} == lines(in_region)
    assert [Decimal("3.3"), Decimal("16.5")] == [item.unit_price for item in in_region.items]
    assert 18_000_000 == chat("claude-sonnet-4-6", MILLION, region=region, global_region=True).micros


def test_some_models_have_no_surcharge():
    assert 600_000 == chat("qwen3.5-4b-32k-fast", MILLION).micros
    assert (600_000, None) == (
        chat("qwen3.5-4b-32k", MILLION).micros,
        chat("qwen3.5-4b-32k", MILLION).priced_as,
    )


def test_each_kind_of_token_has_its_line_and_price():
    usage = TokenUsage(prompt=1000, completion=10, cached=500, cache_write_5m=200, cache_write_1h=100)

    # 200 fresh at 1, 500 at 0.1, 200 at 1.25, 100 at 2, 10 at 5 USD per million, each a tenth more.
    expected = {"input": 220, "cache_read": 55, "cache_write_5m": 275, "cache_write_1h": 220, "output": 55}
    assert expected == lines(chat("claude-haiku-4-5-20251001", usage))


def test_where_there_is_no_cache_price_the_input_price_holds():
    usage = TokenUsage(prompt=300, cached=100, cache_write_5m=100, cache_write_1h=100)

    assert {"cache_read": 55, "cache_write_5m": 220, "cache_write_1h": 220} == lines(chat("gpt-4.1", usage))
    assert 42 == chat("gemma-4-31b", usage).micros


def test_caches_that_exceed_the_prompt_leave_no_negative_line():
    assert {"cache_read": 11} == lines(chat("claude-haiku-4-5-20251001", TokenUsage(prompt=10, cached=100)))


def test_an_unknown_model_costs_the_highest_known_price_of_each_kind():
    known = [row for entry in BOOK.chat_models.values() for row in entry.terms.prices[Region.US]]
    fallback = BOOK.fallback_chat.prices[Region.US][-1]

    for kind in ("input", "output", "cache_read", "cache_write", "cache_write_1h"):
        highest = max(price for row in known if (price := getattr(row, kind)) is not None)
        assert highest == getattr(fallback, kind)
    cost = chat("gpt-6-sol", MILLION)
    assert all(item.fallback for item in cost.items)
    assert (38_500_000, "gpt-6-sol", FALLBACK) == (cost.micros, cost.model, cost.priced_as)


def test_the_fallbacks_of_speech_are_no_cheaper_than_what_is_known():
    def highest(prices):
        return max(history[-1].amount for history in prices.values())

    assert highest(BOOK.speech_models) == BOOK.fallback_speech_model[-1].amount
    assert highest(BOOK.speech_addons) == BOOK.fallback_addon[-1].amount


tokens = st.integers(0, 2_000_000)


@given(
    st.sampled_from([*BOOK.chat_models, "unknown"]),
    st.builds(TokenUsage, tokens, tokens, tokens, tokens, tokens),
    st.booleans(),
)
def test_a_chat_cost_is_the_sum_of_its_lines(model, usage, global_region):
    cost = chat(model, usage, global_region=global_region)

    assert sum(item.micros for item in cost.items) == cost.micros
    assert all(item.quantity > 0 and item.unit == "token" for item in cost.items)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 16, "completion_tokens": 6}, TokenUsage(16, 6)),
        (
            {"prompt_tokens": None, "completion_tokens": None, "input_tokens": 16, "output_tokens": 6},
            TokenUsage(16, 6),
        ),
        (
            {"prompt_tokens": 0, "input_tokens": 16, "completion_tokens": 0, "output_tokens": 6},
            TokenUsage(16, 6),
        ),
        (
            {
                "input_tokens": 100,
                "prompt_tokens_details": {
                    "cached_tokens": 30,
                    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
                },
            },
            TokenUsage(100, 0, 30, 20, 10),
        ),
        (
            {"prompt_tokens": 100, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 40},
            TokenUsage(100, 0, 40, 30, 0),
        ),
        (
            {
                "prompt_tokens": 100,
                "prompt_tokens_details": {
                    "cached_tokens": 40,
                    "cache_write_tokens": 30,
                    "cache_creation_tokens": 30,
                    "cache_creation_token_details": {
                        "ephemeral_5m_input_tokens": None,
                        "ephemeral_1h_input_tokens": 10,
                    },
                },
                "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 40,
            },
            TokenUsage(100, 0, 40, 20, 10),
        ),
        ({"prompt_tokens": -5, "completion_tokens": "7", "prompt_tokens_details": None}, TokenUsage()),
        ({}, TokenUsage()),
    ],
)
def test_usage_is_read_under_every_naming_scheme(usage, expected):
    assert expected == token_usage_from(usage)


@needs_facts
def test_a_recorded_completion_is_priced_though_its_names_are_null():
    body = json.loads((SHARED / "fixtures" / "llm_complete.json").read_text(encoding="utf-8"))

    cost = chat(body["request"]["model"], token_usage_from(body["usage"]))

    assert {"input": 18, "output": 33} == lines(cost)


# Chat models of a region


def test_the_us_offers_every_priced_model_and_the_eu_its_own():
    assert list(BOOK.chat_models) == [model.id for model in chat_models(BOOK, Region.US, NOW)]
    assert [
        "claude-haiku-4-5-20251001",
        "claude-sonnet-4-5-20250929",
        "claude-sonnet-4-6",
        "gemini-2.5-flash",
        "gemini-2.5-flash-lite",
        "gemini-2.5-pro",
        "gemini-3.6-flash",
        "gemini-3.7-flash",
    ] == [model.id for model in chat_models(BOOK, Region.EU, NOW)]


def test_a_retired_model_is_offered_no_more():
    def offered(moment: datetime) -> bool:
        return "gemini-3.1-flash-lite" in {model.id for model in chat_models(BOOK, Region.US, moment)}

    assert offered(datetime(2027, 5, 6, 23, 59, tzinfo=timezone.utc))
    assert not offered(datetime(2027, 5, 7, tzinfo=timezone.utc))


def test_the_rates_of_a_model_are_those_it_is_charged_at():
    for model in chat_models(BOOK, Region.EU, NOW):
        for rates, global_region in ((model.in_region, False), (model.list_price, True)):
            cost = chat(
                model.id, TokenUsage(400, 100, 100, 100, 100), region=Region.EU, global_region=global_region
            )
            charged = {item.name: item.unit_price for item in cost.items}
            assert {
                "input": rates.input,
                "cache_read": rates.cache_read,
                "cache_write_5m": rates.cache_write,
                "cache_write_1h": rates.cache_write_1h,
                "output": rates.output,
            } == charged


@needs_facts
def test_the_book_holds_every_published_chat_price():
    facts = json.loads((SHARED / "llm_gateway_models.json").read_text(encoding="utf-8"))["models"]

    def published(model, kind):
        price = model[f"{kind}_per_1m"]
        return None if price is None else Decimal(str(price))

    for fact in facts:
        entry = BOOK.chat_models[fact["id"]]
        row = entry.terms.prices[Region.US][-1]
        for kind in ("input", "output", "cache_read", "cache_write", "cache_write_1h"):
            assert published(fact, kind) == getattr(row, kind), (fact["id"], kind)
        assert Decimal(str(fact["regional_surcharge"])) == surcharge(BOOK, Region.US, entry.terms, NOW)
        assert fact["context"] == entry.context
        assert tuple(fact["supported_parameters"]) == entry.parameters
    assert len(facts) == len(BOOK.chat_models)


# Speech understanding of a transcript that is there already


def test_understanding_costs_its_tasks_by_the_length_and_no_model():
    tasks = {
        "translation": {"target_languages": ["de"]},
        "speaker_identification": {"speaker_type": "name"},
        "custom_formatting": {},
        "summarization": None,
    }

    cost = price_understanding(BOOK, understanding_addons(tasks), 3600, at=NOW)

    assert {
        "speech_understanding.custom_formatting": 30_000,
        "speech_understanding.speaker_identification": 20_000,
        "speech_understanding.translation": 60_000,
    } == lines(cost)
    assert ("speech_understanding", None) == (cost.model, cost.priced_as)


def test_a_task_without_a_price_is_charged_at_the_fallback():
    addons = understanding_addons({"summarization": {}, "po\u202eetry": True, "none": False})

    cost = price_understanding(BOOK, addons, 3600, at=NOW)

    assert {"speech_understanding.po_etry": 150_000, "speech_understanding.summarization": 150_000} == lines(
        cost
    )
    assert FALLBACK == cost.priced_as

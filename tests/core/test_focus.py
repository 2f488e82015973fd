"""FOCUS charges: the specification's columns, exact amounts, nothing that its reader would stumble over."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from random_usage import UNKNOWN, item, random_rows

from aai_gateway.core.focus import COLUMNS, focus_charges
from aai_gateway.core.regions import Region
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.errors import PriceError

SPEECH = UsageRow(
    "speech",
    "t-1",
    Region.EU,
    "team:t1",
    26_633,
    items=(
        item("universal-3-pro", 282, "second", "0.21", 16_450),
        item("speaker_labels", 282, "second", "0.02", 1_567),
        item("clairvoyance", 282, "second", "1.1E-1", 8_616, fallback=True),
    ),
    team_id="t1",
    key_hash="k1",
    model="universal-3-pro",
    priced_as="fallback",
    audio_seconds=282,
    tags=("demo", "=cmd()"),
    end_user="ada",
    created_at=datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=timezone.utc),
)
CHAT = UsageRow(
    "chat",
    "c-1",
    Region.US,
    "master",
    5,
    items=(item("output", 1, "token", "5.000", 5),),
    model="claude-sonnet-4-6",
    global_region=True,
    created_at=datetime(2026, 2, 1, tzinfo=timezone.utc),
)

UNDERSTANDING = UsageRow(
    "understanding",
    "r-1",
    Region.EU,
    "team:t1",
    4_700,
    items=(item("speech_understanding.translation", 282, "second", "0.06", 4_700),),
    model="speech_understanding",
    audio_seconds=282,
)

MANDATORY = (
    *("BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart"),
    *("ChargeCategory", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost"),
    *("EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName"),
    *("PublisherName", "ServiceCategory", "ServiceName"),
)
"""The columns of FOCUS 1.2 that are mandatory and may not be null for usage."""

NUMBERS = (
    *("BilledCost", "ListCost", "ContractedCost", "EffectiveCost", "ListUnitPrice", "ContractedUnitPrice"),
    *("PricingQuantity", "ConsumedQuantity"),
)


def charges(row: UsageRow, team: str | None = None, key: str | None = None) -> list[dict[str, str]]:
    return list(focus_charges(row, team, key))


def test_speech_understanding_is_an_add_on_without_a_model() -> None:
    [charge] = charges(UNDERSTANDING)

    assert "speech/addon/speech_understanding.translation" == charge["SkuId"] == charge["SkuPriceId"]
    assert ("Speech understanding", "AssemblyAI LLM Gateway") == (
        charge["ResourceType"],
        charge["ServiceName"],
    )
    assert ("0.004700", "1") == (charge["BilledCost"], charge["x_Channels"])


@pytest.mark.parametrize(("service", "unit"), [("speech", "transcript"), ("understanding", "request")])
def test_what_nobody_knows_the_end_of_is_a_charge_of_nothing(service, unit) -> None:
    lost = item("unknown_outcome", 1, unit, "0", 0, held_micros=7)

    [charge] = charges(replace(UNDERSTANDING, service=service, micros=0, items=(lost,), status="unknown"))

    assert ("0.000000", "0.000007", "1") == (
        charge["BilledCost"],
        charge["x_HeldCost"],
        charge["ConsumedQuantity"],
    )


def test_each_line_item_is_a_charge() -> None:
    model, addon, unknown = charges(SPEECH, "newsroom", "desk")

    assert {
        "BilledCost": "0.016450",
        "BillingAccountId": "assemblyai",
        "BillingAccountName": "AssemblyAI",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": "2027-01-01T00:00:00Z",
        "BillingPeriodStart": "2026-12-01T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": "Audio by universal-3-pro: 282 seconds at $0.21 per hour",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": "2027-01-01T00:00:00Z",
        "ChargePeriodStart": "2026-12-31T23:59:59Z",
        "ConsumedQuantity": "282",
        "ConsumedUnit": "Seconds",
        "ContractedCost": "0.016450",
        "ContractedUnitPrice": "0.21",
        "EffectiveCost": "0.016450",
        "InvoiceId": "",
        "InvoiceIssuerName": "AssemblyAI",
        "ListCost": "0.016450",
        "ListUnitPrice": "0.21",
        "PricingCategory": "Standard",
        "PricingCurrency": "USD",
        "PricingQuantity": "0.0783333333",
        "PricingUnit": "Hours",
        "ProviderName": "AssemblyAI",
        "PublisherName": "AssemblyAI",
        "RegionId": "eu",
        "RegionName": "European Union",
        "ResourceId": "t-1",
        "ResourceType": "Transcript",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "AssemblyAI Speech-to-Text",
        "ServiceSubcategory": "Natural Language Processing",
        "SkuId": "speech/model/universal-3-pro",
        "SkuMeter": "Audio by universal-3-pro",
        "SkuPriceId": "speech/model/universal-3-pro",
        "SubAccountId": "t1",
        "SubAccountName": "newsroom",
        "SubAccountType": "Team",
        "Tags": model["Tags"],
        "x_BookedAt": "2026-12-31T23:59:59.999999Z",
        "x_Channels": "1",
        "x_HeldCost": "",
        "x_KeyHash": "k1",
        "x_LineItem": "universal-3-pro",
        "x_Model": "universal-3-pro",
        "x_PricedAs": "",
        "x_Status": "completed",
    } == model
    assert {
        "demo": True,
        "=cmd()": True,
        "aai-gateway/end_user": "ada",
        "aai-gateway/key": "desk",
    } == json.loads(model["Tags"])
    assert ("speech/addon/speaker_labels", "") == (addon["SkuId"], addon["x_PricedAs"])
    assert ("fallback", "0.11") == (unknown["x_PricedAs"], unknown["ListUnitPrice"])
    assert unknown["ChargeDescription"].endswith(", the fallback price")


def test_tokens_are_priced_by_the_million_by_place_and_kind() -> None:
    [charge] = charges(CHAT)

    assert ("0.000001", "1000000 Tokens", "1", "Tokens") == tuple(
        charge[name] for name in ("PricingQuantity", "PricingUnit", "ConsumedQuantity", "ConsumedUnit")
    )
    assert ("chat/claude-sonnet-4-6/output", "chat/claude-sonnet-4-6/output/us/global") == (
        charge["SkuId"],
        charge["SkuPriceId"],
    )
    assert ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z") == (
        charge["BillingPeriodStart"],
        charge["BillingPeriodEnd"],
    )
    assert ("", "", "", "{}") == tuple(
        charge[name] for name in ("SubAccountId", "SubAccountName", "SubAccountType", "Tags")
    )
    [in_region] = charges(replace(CHAT, global_region=None))
    assert "chat/claude-sonnet-4-6/output/us/in-region" == in_region["SkuPriceId"]


def test_a_completion_without_an_answer_is_a_charge_of_nothing() -> None:
    [charge] = charges(replace(CHAT, status="unknown", micros=0, items=(UNKNOWN,)))

    assert ("0.000000", "1", "Requests", "unknown", "3000.000000") == tuple(
        charge[name] for name in ("BilledCost", "PricingQuantity", "PricingUnit", "x_Status", "x_HeldCost")
    )


def test_a_failed_job_has_no_charge() -> None:
    assert [] == charges(replace(SPEECH, status="error", micros=0, items=()))


@pytest.mark.parametrize(
    ("items", "micros", "said"),
    [
        (SPEECH.items, 26_634, "add up to 26633 micro-dollars, its row has 26634"),
        (({"name": "input"},), 0, "cannot be read"),
        ((item("input", 1, "furlong", "1", 0),), 0, "cannot be read"),
        ((item("input", 1, "token", "dear", 0),), 0, "cannot be read"),
        ((item("input", 1, "token", "NaN", 0),), 0, "cannot be read"),
    ],
)
def test_a_row_that_does_not_add_up_is_not_exported(items, micros, said) -> None:
    with pytest.raises(PriceError, match=said):
        charges(replace(SPEECH, items=items, micros=micros))


def test_random_rows_give_sound_charges_that_add_up() -> None:
    rows = random_rows(7, 2_000)
    found = [charge for row in rows for charge in charges(row, row.team_id, row.key_hash)]

    assert sum(row.micros for row in rows) == 1_000_000 * sum(Decimal(one["BilledCost"]) for one in found)
    for charge in found:
        assert COLUMNS == tuple(charge)
        assert [] == [name for name in MANDATORY if not charge[name]]
        assert all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", charge[name]) for name in NUMBERS), charge
        times = [charge[name] for name in COLUMNS if name.endswith(("PeriodStart", "PeriodEnd"))]
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)
        product = Decimal(charge["ListUnitPrice"]) * Decimal(charge["PricingQuantity"])
        assert abs(product - Decimal(charge["ListCost"])) < Decimal("0.000001")
    # A price has one SKU, a SKU one meter (FOCUS, "SKU Price ID" and "SKU Meter").
    for narrow, wide in (("SkuPriceId", "SkuId"), ("SkuId", "SkuMeter")):
        assert len({charge[narrow] for charge in found}) == len({(one[narrow], one[wide]) for one in found})


def test_columns_are_in_the_order_of_the_alphabet_ours_last() -> None:
    focus = [name for name in COLUMNS if not name.startswith("x_")]

    assert (*sorted(focus), *sorted(set(COLUMNS) - set(focus))) == COLUMNS


def test_the_charge_s_second_is_in_its_month() -> None:
    [charge, *_] = charges(replace(SPEECH, created_at=SPEECH.created_at + timedelta(microseconds=1)))

    assert "2027-01-01T00:00:00Z" == charge["BillingPeriodStart"] == charge["ChargePeriodStart"]

"""Prices that change: in the lists, over HTTP, and on the invoice of what came before and after."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import httpx
import pytest

from aai_gateway.emulator import (
    Emulator,
    EmulatorConfig,
    Fault,
    Model,
    PriceChange,
    Prices,
    PricesError,
    running_emulator,
)

HELLO = "https://example.org/audio.wav"
NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
CLAUDE = "claude-sonnet-4-6"


def changed(since: datetime, **models: str) -> PriceChange:
    return PriceChange(since, speech_models={name: Decimal(price) for name, price in models.items()})


def test_each_change_holds_from_its_moment_whatever_the_order_it_was_told_in():
    prices = Prices()
    prices.change(changed(NOW + timedelta(days=2), nano="0.3"))
    prices.change(changed(NOW, nano="0.2", best="0.4"))
    held = [prices.at(NOW + timedelta(days=days)).speech_models for days in (-1, 0, 1, 2)]
    assert ["0.15", "0.2", "0.2", "0.3"] == [str(models["nano"]) for models in held]
    assert ["0.21", "0.4", "0.4", "0.4"] == [str(models["best"]) for models in held]
    assert "0.2" == str(prices.at(NOW + timedelta(days=2, microseconds=-1)).speech_models["nano"])
    prices.reset()
    assert Decimal("0.15") == prices.at(NOW + timedelta(days=3)).speech_models["nano"]


def test_of_two_changes_at_the_same_moment_the_later_told_wins():
    prices = Prices()
    prices.change(changed(NOW, nano="0.2"))
    prices.change(changed(NOW, nano="0.1"))
    assert Decimal("0.1") == prices.at(NOW).speech_models["nano"]


def test_a_chat_price_that_is_not_named_stays():
    prices = Prices()
    prices.change(PriceChange(NOW, chat={CLAUDE: {"input": Decimal("3.5"), "cache_read": None}}))
    model = prices.at(NOW).models[CLAUDE]
    assert (Decimal("3.5"), Decimal(15), None) == (model.input, model.output, model.cache_read)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "prices is a JSON object"),
        ({}, "nothing changes"),
        ({"speech": {"models": {}}}, "nothing changes"),
        ({"colour": 1}, "unknown field colour"),
        ({"speech": {"models": {"nano": 0.16}}}, "speech.models.nano: 0.16 is no amount"),
        ({"speech": {"models": {"nano": "-1"}}}, "is no amount"),
        ({"speech": {"models": {"nano": "1e3"}}}, "is no amount"),
        ({"speech": {"addons": {"punctuate": "1"}}}, "punctuate is no add-on"),
        ({"speech": {"addons": {"gold plating": "1"}}}, "gold plating is no add-on"),
        ({"chat": {CLAUDE: {}}}, "nothing changes"),
        ({"chat": {CLAUDE: {"input": None}}}, "input: None is no amount"),
        ({"chat": {CLAUDE: {"prompt": "1"}}}, "unknown field prompt"),
        ({"surcharge": {"mars": "0.1"}}, "mars is no region"),
        ({"from": "soon", "surcharge": {"us": "0.1"}}, "'soon' is no moment"),
    ],
)
def test_impossible_changes_are_refused(value: object, reason: str):
    with pytest.raises(PricesError, match=reason.replace(".", r"\.")):
        PriceChange.from_json(value)


def test_a_change_of_a_chat_model_that_is_not_served_is_refused():
    with pytest.raises(PricesError, match="gpt-99 is no model that is served"):
        Prices().change(PriceChange(NOW, chat={"gpt-99": {"input": Decimal(1)}}))


@pytest.mark.parametrize(
    ("since", "utc"),
    [
        ("2026-11-21T12:00:00Z", NOW),
        ("2026-11-21T14:00:00+02:00", NOW),
        ("2026-11-21T12:00:00", NOW),
        ("2026-11-21", NOW - timedelta(hours=12)),
    ],
)
def test_moments_are_utc_unless_they_say_otherwise(since: str, utc: datetime):
    assert utc == PriceChange.from_json({"from": since, "surcharge": {"us": "0.1"}}).since


def test_what_holds_and_what_is_to_come_over_http(emulator: Emulator):
    control = f"{emulator.urls.eu}/_emulator/prices"
    scheduled = {
        "from": "2999-01-01T00:00:00+00:00",
        "speech": {"models": {"universal-2": "0.17"}, "addons": {}},
        "chat": {CLAUDE: {"cache_write": None, "output": "16"}},
        "surcharge": {"us": "0.12"},
    }
    assert 200 == httpx.post(control, json=scheduled).status_code
    change = {
        "speech": {
            "models": {"universal-2": "0.16"},
            "addons": {"speech_understanding.translation": "0.07", "domain=medical-v1": "0.16"},
        }
    }
    told = httpx.post(control, json=change).json()
    assert told | {"at": None} == httpx.get(control).json() | {"at": None}
    assert [scheduled] == told["scheduled"]
    assert ("0.16", "0.21") == tuple(told["speech"]["models"][name] for name in ("universal-2", "best"))
    assert "0.07" == told["speech"]["addons"]["speech_understanding.translation"]
    assert {
        "input": "3",
        "output": "15",
        "cache_read": "0.3",
        "cache_write": "3.75",
        "cache_write_1h": "6",
    } == told["chat"][CLAUDE]
    assert {} == told["surcharge"]
    refused = httpx.post(control, json={"speech": {"models": {"nano": 1}}})
    assert (400, ["error"]) == (refused.status_code, list(refused.json()))
    assert 400 == httpx.post(control, content=b"x").status_code
    original = httpx.delete(control).json()
    assert ([], "0.15") == (original["scheduled"], original["speech"]["models"]["universal-2"])


def test_a_transcript_costs_what_held_when_it_was_submitted():
    with running_emulator(EmulatorConfig(job_seconds=0.3)) as emulator:
        headers = {"Authorization": emulator.config.account_key}
        with httpx.Client(base_url=emulator.urls.us, headers=headers) as us:
            body = {"audio_url": HELLO, "speech_models": ["universal-2"], "speaker_labels": True}
            early = us.post("/v2/transcript", json=body).json()["id"]
            emulator.prices.change(
                PriceChange.from_json(
                    {"speech": {"models": {"universal-2": "0.30"}, "addons": {"speaker_labels": "0.07"}}}
                )
            )
            late = us.post("/v2/transcript", json=body).json()["id"]
            emulator.prices.reset()  # what was submitted keeps its price
            last = us.post("/v2/transcript", json=body).json()["id"]
            while len(emulator.invoice.rows) < 3:
                time.sleep(0.01)
    rows = {row.id: [item.unit_price for item in row.items] for row in emulator.invoice.rows}
    assert {early: ["0.15", "0.02"], late: ["0.30", "0.07"], last: ["0.15", "0.02"]} == rows


def ask(emulator: Emulator, model: str = CLAUDE, **fields: object) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}
    headers = {"Authorization": emulator.config.account_key}
    return httpx.post(f"{emulator.urls.llm_us}/v1/chat/completions", json=body, headers=headers)


def unit_prices(emulator: Emulator) -> list[list[str]]:
    return [[item.unit_price for item in row.items] for row in emulator.invoice.rows]


def test_a_completion_costs_what_held_when_it_arrived(emulator: Emulator):
    emulator.faults.add(Fault(host="llm-us", delay_seconds=0.5))
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask, emulator)
        while emulator.faults:  # until the request has arrived
            time.sleep(0.01)
        emulator.prices.change(
            PriceChange(chat={CLAUDE: {"input": Decimal(4)}}, surcharges={"us": Decimal("0.2")})
        )
        asked.result()
    ask(emulator)
    ask(emulator, model_region="global", stream=True)
    assert [["3.3", "16.5"], ["4.8", "18"], ["4", "15"]] == unit_prices(emulator)


def test_a_speech_model_that_is_new_is_taken_and_runs_until_it_is_taken_back(
    emulator: Emulator, us: httpx.Client
):
    body = {"audio_url": HELLO, "speech_models": ["universal-9"]}
    assert 400 == us.post("/v2/transcript", json=body).status_code
    emulator.prices.change(PriceChange(speech_models={"universal-9": Decimal("0.5")}))
    made = us.post("/v2/transcript", json=body).json()["id"]
    assert "universal-9" == us.get(f"/v2/transcript/{made}").json()["speech_model_used"]
    (row,) = emulator.invoice.rows
    assert [("universal-9", "0.5")] == [(item.name, item.unit_price) for item in row.items]
    emulator.prices.reset()
    assert 400 == us.post("/v2/transcript", json=body).status_code


def test_an_add_on_that_is_new_is_a_field_that_is_taken_and_charged(emulator: Emulator, us: httpx.Client):
    body = {"audio_url": HELLO, "speech_models": ["universal-2"], "gold_plating": True, "domain": "legal-v1"}
    assert 400 == us.post("/v2/transcript", json=body).status_code
    prices = {"gold_plating": Decimal("0.4"), "domain=legal-v1": Decimal("0.3")}
    emulator.prices.change(PriceChange(add_ons=prices))
    assert 400 == us.post("/v2/transcript", json=body | {"gold_plating": "very"}).status_code
    assert us.post("/v2/transcript", json=body).json()["gold_plating"]
    assert 200 == us.post("/v2/transcript", json=body | {"gold_plating": False, "domain": None}).status_code
    with_add_ons, without = (
        {item.name: item.unit_price for item in row.items} for row in emulator.invoice.rows
    )
    assert {"universal-2": "0.15", "gold_plating": "0.4", "domain=legal-v1": "0.3"} == with_add_ons
    assert {"universal-2": "0.15"} == without


def test_a_chat_model_that_no_book_knows_is_served_listed_and_charged(emulator: Emulator):
    control = f"{emulator.urls.us}/_emulator/models"
    model = {"id": "nova-1", "input": "2", "output": "8", "context": 1000, "regions": ["us"]}
    assert "2" == httpx.post(control, json=model).json()["chat"]["nova-1"]["input"]
    lists = [
        {item["id"]: item for item in httpx.get(f"{url}/v1/models").json()["data"]}
        for url in (emulator.urls.llm_us, emulator.urls.llm_eu)
    ]
    assert ["nova-1" in ids for ids in lists] == [True, False]
    assert (1000, 2.2) == (
        lists[0]["nova-1"]["context_length"],
        lists[0]["nova-1"]["pricing"]["us"]["prompt"],
    )
    assert 200 == ask(emulator, "nova-1").status_code
    emulator.prices.change(PriceChange(chat={"nova-1": {"input": Decimal(3)}}))
    assert 200 == ask(emulator, "nova-1", model_region="global").status_code
    assert [["2.2", "8.8"], ["3", "8"]] == unit_prices(emulator)
    emulator.prices.reset()
    assert Decimal(2) == emulator.prices.now().models["nova-1"].input
    httpx.delete(control)
    assert 400 == ask(emulator, "nova-1").status_code


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": None}, "is no id of a model"),
        ({"id": CLAUDE}, "served already"),
        ({"output": 2}, "output: 2 is no amount"),
        ({"input": None}, "input: None is no amount"),
        ({"context": 0}, "context: 0 is no number of tokens"),
        ({"regions": ["mars"]}, 'regions is a list of "us" and "eu"'),
        ({"retirement": "soon"}, "retirement: 'soon' is no day"),
        ({"colour": "red"}, "unknown field colour"),
    ],
)
def test_impossible_models_are_refused(fields: dict, reason: str):
    with pytest.raises(PricesError, match=reason):
        Prices().add_model(Model.from_json({"id": "nova-1", "input": "2", "output": "8"} | fields))
    with pytest.raises(PricesError, match="input, output is missing"):
        Model.from_json({"id": "nova-1"})

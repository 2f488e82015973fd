"""Speech understanding at the emulated LLM Gateway, by the official SDK and AssemblyAI's description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import assemblyai as aai
import httpx
import jsonschema
import pytest
import yaml

from aai_gateway.emulator import Emulator
from aai_gateway.emulator.chat_request import ChatError
from aai_gateway.emulator.rate_limit import RateLimit
from aai_gateway.emulator.sample_audio import Word
from aai_gateway.emulator.understanding import understood
from aai_gateway.emulator.understanding_api import checked

SPEC = Path(__file__).parents[3] / "shared" / "assemblyai" / "llm-gateway.yml"
INTERVIEW = "https://assembly.ai/wildfires.mp3"
UNKNOWN = "8e8e8e8e-0000-4000-8000-000000000000"
IDENTIFY = {"speaker_identification": {"speaker_type": "name", "known_values": ["Ann", "Ben"]}}
TRANSLATE = {"translation": {"target_languages": ["es", "de"], "match_original_utterance": True}}
FORMAT = {"custom_formatting": {"date": "mm/dd/yyyy", "phone_number": "(xxx)xxx-xxxx"}}
SUMMARIZE = {"summarization": {}}


@pytest.fixture
def sdk(emulator: Emulator) -> aai.LLMGateway:
    return sdk_at(emulator.urls.llm_us, emulator.config.account_key)


def sdk_at(url: str, key: str) -> aai.LLMGateway:
    return aai.LLMGateway(client=aai.Client(settings=aai.Settings(api_key=key, llm_gateway_base_url=url)))


@pytest.fixture
def transcript_id(us: httpx.Client) -> str:
    job = us.post("/v2/transcript", json={"audio_url": INTERVIEW, "speaker_labels": True})
    return str(job.raise_for_status().json()["id"])


def test_each_task_is_answered_from_the_transcript_and_described(
    emulator: Emulator, sdk: aai.LLMGateway, us: httpx.Client, transcript_id: str
):
    transcript = us.get(f"/v2/transcript/{transcript_id}").json()
    request = IDENTIFY | TRANSLATE | FORMAT | SUMMARIZE

    answer = sdk.understanding.create(transcript_id=transcript_id, request=request)

    response = answer.speech_understanding["response"]
    assert request == answer.speech_understanding["request"]
    assert {"A": "Ann", "B": "Ben"} == response["speaker_identification"]["mapping"]
    assert {"es": f"[es] {transcript['text']}", "de": f"[de] {transcript['text']}"} == answer.translated_texts
    first = answer.utterances[0]
    assert "Ann" == first["speaker"]
    assert f"[es] {first['text']}" == first["translated_texts"]["es"]
    assert {"503-555-0142": "(503)555-0142"} == response["custom_formatting"]["mapping"]
    assert "line at (503)555-0142" in response["custom_formatting"]["formatted_text"]
    assert len(answer.utterances) == len(response["custom_formatting"]["formatted_utterances"])
    assert response["summarization"]["summary"]
    # It is not kept: the transcript is as it was.
    assert transcript == us.get(f"/v2/transcript/{transcript_id}").json()
    [row] = [row for row in emulator.invoice.rows if row.service == "understanding"]
    assert (answer.request_id, "us") == (row.id, row.region)
    seconds = transcript["audio_duration"]
    prices = {"speaker_identification": "0.02", "translation": "0.06", "custom_formatting": "0.03"}
    assert {f"speech_understanding.{k}": v for k, v in {**prices, "summarization": "0.15"}.items()} == {
        item.name: item.unit_price for item in row.items
    }
    assert {seconds} == {item.quantity for item in row.items}


@pytest.mark.skipif(not SPEC.exists(), reason="AssemblyAI's description is not beside this checkout")
@pytest.mark.parametrize(
    ("task", "schema"),
    [
        (TRANSLATE, "LLMGatewayTranslationResponse"),
        (IDENTIFY, "LLMGatewaySpeakerIdentificationResponse"),
        (FORMAT, "LLMGatewayCustomFormattingResponse"),
    ],
)
def test_answers_are_as_described(emulator: Emulator, transcript_id: str, task: dict[str, Any], schema: str):
    spec = yaml.safe_load(SPEC.read_text("utf-8"))
    body = {"transcript_id": transcript_id, "speech_understanding": {"request": task}}
    for name, described in ((schema, post(emulator, body).json()), ("UnderstandingRequest", body)):
        wanted = {"$ref": f"#/components/schemas/{name}", "components": spec["components"]}
        jsonschema.Draft202012Validator(wanted).validate(described)


def post(emulator: Emulator, body: Any, path: str = "", key: str | None = None) -> httpx.Response:
    headers = {"Authorization": emulator.config.account_key if key is None else key}
    return httpx.post(f"{emulator.urls.llm_us}/v1/understanding{path}", json=body, headers=headers)


def asked(transcript_id: Any, request: Any = TRANSLATE) -> dict[str, Any]:
    return {"transcript_id": transcript_id, "speech_understanding": {"request": request}}


@pytest.mark.parametrize("path", ["", "/validate"])
def test_an_unknown_transcript_is_not_found_and_costs_nothing(emulator: Emulator, path: str):
    answer = post(emulator, asked(UNKNOWN), path)

    request_id = answer.json()["request_id"]
    expected = f'{{"request_id":"{request_id}","message":"transcript not found","code":404}}'
    assert (404, expected) == (answer.status_code, answer.text)
    assert [] == emulator.invoice.rows


def test_a_transcript_of_the_other_region_or_a_deleted_one_is_not_found(
    emulator: Emulator, us: httpx.Client, transcript_id: str
):
    eu = sdk_at(emulator.urls.llm_eu, emulator.config.account_key)
    with pytest.raises(aai.LLMGatewayError, match="transcript not found"):
        eu.understanding.create(transcript_id=transcript_id, request=TRANSLATE)
    us.delete(f"/v2/transcript/{transcript_id}").raise_for_status()
    assert 404 == post(emulator, asked(transcript_id)).status_code


def test_what_has_not_completed_or_has_no_speakers_is_refused(emulator: Emulator, us: httpx.Client):
    failed = us.post("/v2/transcript", json={"audio_url": "https://audio.invalid/a.mp3"}).json()["id"]
    plain = us.post("/v2/transcript", json={"audio_url": INTERVIEW}).json()["id"]

    answers = [post(emulator, asked(failed)), post(emulator, asked(plain, IDENTIFY))]

    assert [400, 400] == [answer.status_code for answer in answers]
    assert ["transcript is not completed", "speaker_labels or multichannel required"] == [
        answer.json()["message"] for answer in answers
    ]
    assert 200 == post(emulator, asked(plain)).status_code


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"translation": None},
        {"poetry": {}},
        {"translation": True},
        {"translation": {"target_languages": []}},
        {"translation": {"target_languages": ["es"], "formal": "yes"}},
        {"speaker_identification": {"speaker_type": "job"}},
        {"speaker_identification": {"speaker_type": "role"}},
        {"speaker_identification": {"speaker_type": "role", "known_values": ["x" * 36]}},
        {"speaker_identification": {"speaker_type": "name", "speakers": [{"role": "host"}]}},
        {"custom_formatting": {}},
        {"custom_formatting": {"date": 5}},
        {"summarization": {"summary_type": 1}},
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_its_faults(request_: dict[str, Any]):
    with pytest.raises(ChatError) as refused:
        checked({"speech_understanding": {"request": request_}})
    assert (400, 1) == (refused.value.status, len(refused.value.errors))


@pytest.mark.parametrize(
    "body", [{}, {"speech_understanding": []}, {"speech_understanding": {"request": 1}}, []]
)
def test_a_body_without_a_request_is_refused(emulator: Emulator, body: Any):
    assert 400 == post(emulator, body).status_code
    assert 400 == post(emulator, {**asked(None), "transcript_id": None}).status_code


def test_the_sdk_validates(sdk: aai.LLMGateway, emulator: Emulator, transcript_id: str):
    sdk.understanding.validate(request=TRANSLATE)
    sdk.understanding.validate(request=IDENTIFY, transcript_id=transcript_id)
    with pytest.raises(aai.LLMGatewayError) as refused:
        sdk.understanding.validate(request={"translation": {}, "poetry": {}})
    assert 2 == len(refused.value.errors)
    assert [] == [row for row in emulator.invoice.rows if row.service == "understanding"]


def test_a_key_is_needed(emulator: Emulator, transcript_id: str):
    wrong, none = (
        post(emulator, asked(transcript_id), key="wrong"),
        post(emulator, asked("x"), "/validate", ""),
    )
    assert [401, 401] == [wrong.status_code, none.status_code]
    assert ["error", "status", "request_id"] == list(wrong.json())
    assert (
        200 == post(emulator, asked(transcript_id), key=f"Bearer {emulator.config.account_key}").status_code
    )


def test_too_many_requests_wait():
    limit = RateLimit(1, "speech-understanding", "speech-understanding")
    first = limit.count("speech-understanding")
    with pytest.raises(ChatError, match="too many requests for this action") as refused:
        limit.count("speech-understanding")
    assert ("speech-understanding", "0") == (first["x-ratelimit-service"], first["x-ratelimit-remaining"])
    assert (429, True) == (refused.value.status, "retry-after" in refused.value.headers)


def test_phone_numbers_and_dates_are_written_as_wanted():
    words = [Word(text, 0, 1, 0.9) for text in ["Call", "555-123-4567", "on", "December", "25,", "2024."]]
    _, answer = understood(FORMAT, words)
    assert {
        "status": "success",
        "mapping": {"555-123-4567": "(555)123-4567", "December 25, 2024": "12/25/2024"},
        "formatted_text": "Call (555)123-4567 on 12/25/2024.",
    } == answer["speech_understanding"]["response"]["custom_formatting"]

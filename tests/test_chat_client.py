from __future__ import annotations

import re
from decimal import Decimal

import httpx
import pytest

from aai_gateway.chat_client import ChatClient, about_transcript, connect_chat, error_text
from aai_gateway.emulator import EmulatorConfig, Fault, running_emulator, sample_path
from aai_gateway.errors import ConfigurationError, ModelAnswerError, Refused, UpstreamFailed
from aai_gateway.speech import client_at, transcribe

HELLO = [{"role": "user", "content": "What did the fox do? The quick brown fox jumped over the lazy dog."}]


@pytest.fixture(scope="module")
def emulator():
    with running_emulator(EmulatorConfig(account_key="account-key", job_seconds=0.05)) as running:
        yield running


@pytest.fixture
def chat(emulator):
    emulator.faults.clear()
    with ChatClient(f"{emulator.urls.llm_us}/v1", "account-key", "claude-sonnet-4-6") as client:
        yield client


def transport_chat(answer, **options) -> ChatClient:
    """A client whose requests `answer` answers: for what a well-behaved server never says."""
    client = ChatClient("http://gateway/v1", "sk-secret", "m", **options)
    client._http = httpx.Client(transport=httpx.MockTransport(answer))
    return client


def test_an_answer_comes_with_its_usage(chat):
    answer = chat.complete(HELLO)
    assert "fox" in answer.text
    assert "claude-sonnet-4-6" == answer.model
    assert answer.prompt_tokens > 0 < answer.completion_tokens
    assert not answer.truncated
    assert {"model", "prompt_tokens", "completion_tokens", "cost_usd"} == answer.usage().keys()


def test_the_transcript_is_put_in_by_assemblyai(emulator, chat):
    speech = client_at(emulator.urls.us, "account-key", polling_interval=0.02)
    transcript = transcribe(speech, sample_path("briefing"))
    prompt = about_transcript("Provide a brief summary of the transcript.")
    answer = chat.complete([{"role": "user", "content": prompt}], transcript_id=transcript.id)
    assert answer.text.split(".")[0] in transcript.text


def test_an_unknown_transcript_is_refused(chat):
    with pytest.raises(Refused, match="transcript not found") as caught:
        chat.complete([{"role": "user", "content": about_transcript("Summarise.")}], transcript_id="nothing")
    assert 404 == caught.value.status


def test_429_is_asked_again_when_retry_after_says(emulator, chat):
    emulator.faults.add(Fault(host="llm-us", status=429, retry_after=0, count=2))
    before = len(emulator.requests)
    assert chat.complete(HELLO).text
    assert [429, 429, 200] == [request.status for request in emulator.requests[before:]]


def test_429_that_never_ends_is_given_up_with_its_text(emulator, chat):
    emulator.faults.add(Fault(host="llm-us", status=429, retry_after=0, count=None))
    before = len(emulator.requests)
    with pytest.raises(Refused, match="too many requests") as caught:
        chat.complete(HELLO)
    assert (429, "0") == (caught.value.status, caught.value.headers["retry-after"])
    assert 5 == len(emulator.requests) - before


def test_500_is_not_asked_again(emulator, chat):
    emulator.faults.add(Fault(host="llm-us", status=500))
    before = len(emulator.requests)
    with pytest.raises(Refused):
        chat.complete(HELLO)
    assert 1 == len(emulator.requests) - before


def test_a_cut_or_slow_answer_is_an_upstream_failure(emulator, chat):
    emulator.faults.add(Fault(host="llm-us", cut=True))
    with pytest.raises(UpstreamFailed, match="broke off"):
        chat.complete(HELLO)
    emulator.faults.add(Fault(host="llm-us", delay_seconds=5))
    with (
        ChatClient(f"{emulator.urls.llm_us}/v1", "account-key", "claude-sonnet-4-6", timeout=0.2) as hasty,
        pytest.raises(UpstreamFailed, match="in time") as caught,
    ):
        hasty.complete(HELLO)
    assert 504 == caught.value.status


def test_a_gateway_that_is_not_there_says_how_to_name_it():
    with (
        ChatClient("http://127.0.0.1:9/v1", "sk-1", "m") as chat,
        pytest.raises(UpstreamFailed, match="--url"),
    ):
        chat.complete(HELLO)


def test_a_key_in_an_error_is_not_repeated():
    chat = transport_chat(
        lambda request: httpx.Response(401, json={"error": {"message": "bad key sk-secret"}})
    )
    with pytest.raises(Refused) as caught:
        chat.complete(HELLO)
    assert "bad key <key>" == str(caught.value)


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'{"choices":[]}', b"[]", b'{"choices":[{"message":null}]}']
)
def test_what_is_no_completion_is_an_upstream_failure(body):
    chat = transport_chat(lambda request: httpx.Response(200, content=body))
    with pytest.raises(UpstreamFailed, match="not a chat completion: "):
        chat.complete(HELLO)


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_an_empty_answer_is_no_answer(content):
    chat = transport_chat(
        lambda request: httpx.Response(200, json={"choices": [{"message": {"content": content}}]})
    )
    with pytest.raises(ModelAnswerError, match="empty answer"):
        chat.complete(HELLO)


def test_usage_is_read_under_either_pair_of_names_and_the_cost_exactly():
    body = {
        "choices": [{"message": {"content": "PONG"}, "finish_reason": "max_tokens"}],
        "model": None,
        "usage": {"prompt_tokens": None, "completion_tokens": None, "input_tokens": 16, "output_tokens": 6},
    }
    headers = {"x-litellm-response-cost": "0.00015180000000000003"}
    answer = transport_chat(lambda request: httpx.Response(200, json=body, headers=headers)).complete(HELLO)
    assert (16, 6, "m") == (answer.prompt_tokens, answer.completion_tokens, answer.model)
    assert Decimal("0.00015180000000000003") == answer.cost
    assert "0.000152" == answer.usage()["cost_usd"]
    assert answer.truncated


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "Too Many Requests"}, "Too Many Requests"),
        ({"error": {"message": "No such model", "type": "x"}}, "No such model"),
        ({"code": 404, "message": "transcript not found", "request_id": "1"}, "transcript not found"),
        ({"detail": "Not Found"}, "Not Found"),
        (
            {"error": {"message": "litellm.X: X: AssemblyaiException - not found\n\nLiteLLM: no fallback"}},
            "not found",
        ),
        ({"detail": [{"loc": []}]}, '{"detail":[{"loc":[]}]}'),
    ],
)
def test_error_texts_are_read_in_every_shape(body, expected):
    assert expected == error_text(httpx.Response(400, json=body))


def test_an_error_without_a_body_is_named_by_its_status():
    assert "HTTP 502" == error_text(httpx.Response(502))


def test_models_are_named_by_region():
    cases = {
        ("us", "x"): "assemblyai/x",
        ("eu", "x"): "eu.assemblyai/x",
        ("eu", "eu.assemblyai/x"): "eu.assemblyai/x",
    }
    for (region, model), expected in cases.items():
        with connect_chat("http://gateway:4000/", "sk-1", region=region, model=model) as chat:
            assert ("http://gateway:4000/v1", expected) == (chat.base_url, chat.model)
    with pytest.raises(ConfigurationError, match="region eu"):
        connect_chat("http://gateway:4000", "sk-1", region="eu", model="assemblyai/x")


def test_only_a_prompt_without_a_place_for_the_transcript_gets_one():
    assert "Summarise.\n\n{{ transcript }}" == about_transcript("Summarise.")
    assert "In {{ transcript }}, who?" == about_transcript("In {{ transcript }}, who?")


def test_a_streamed_answer_comes_in_pieces_and_is_the_same(chat):
    whole, pieces = chat.complete(HELLO), []
    streamed = chat.complete(HELLO, on_text=pieces.append)
    assert len(pieces) > 1
    assert whole.text == streamed.text == "".join(pieces)
    assert (whole.prompt_tokens, whole.completion_tokens) == (
        streamed.prompt_tokens,
        streamed.completion_tokens,
    )


def test_a_stream_is_asked_for_again_before_it_begins(emulator, chat):
    emulator.faults.add(Fault(host="llm-us", status=429, retry_after=0, count=2))
    pieces = []
    assert chat.complete(HELLO, on_text=pieces.append).text == "".join(pieces)


def test_a_model_that_is_not_streamed_answers_at_once():
    def answer(request: httpx.Request) -> httpx.Response:
        if b'"stream":true' in request.content:
            return httpx.Response(400, json={"code": 400, "message": "model m does not support stream"})
        return httpx.Response(200, json={"choices": [{"message": {"content": "PONG"}}]})

    pieces = []
    assert "PONG" == transport_chat(answer).complete(HELLO, on_text=pieces.append).text
    assert ["PONG"] == pieces


def events(*chunks: str) -> bytes:
    return "".join(f"data: {chunk}\n\n" for chunk in chunks).encode()


PIECE = '{"model":"n","choices":[{"delta":{"content":"Hel"}}]}'
END = '{"choices":[{"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'


def test_a_stream_that_was_cut_by_the_limit_says_so():
    body = b": keep-alive\n\n" + events(PIECE, END, '{"choices":[]}', "[DONE]")
    answer = transport_chat(lambda request: httpx.Response(200, content=body)).complete(HELLO, on_text=print)
    assert ("Hel", "n", 3, 1, True) == (
        answer.text,
        answer.model,
        answer.prompt_tokens,
        answer.completion_tokens,
        answer.truncated,
    )


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (events(PIECE), UpstreamFailed, "broke off the answer."),
        (events(PIECE, '{"error":{"message":"no more"}}'), UpstreamFailed, "broke off the answer: no more"),
        (events("<html>"), UpstreamFailed, "not a chat completion: <html>"),
        (events("[]"), UpstreamFailed, "not a chat completion"),
        (b"<html>", UpstreamFailed, "broke off"),
        (events(END, "[DONE]"), ModelAnswerError, "empty answer"),
    ],
)
def test_a_stream_that_is_no_whole_answer_is_an_error(body, error, text):
    chat = transport_chat(lambda request: httpx.Response(200, content=body))
    with pytest.raises(error, match=re.escape(text)):
        chat.complete(HELLO, on_text=[].append)


def test_a_stream_that_the_connection_cuts_is_an_upstream_failure(emulator, chat):
    emulator.faults.add(Fault(host="llm-us", cut=True))
    with pytest.raises(UpstreamFailed, match="broke off"):
        chat.complete(HELLO, on_text=[].append)

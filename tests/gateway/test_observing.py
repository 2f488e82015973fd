from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aai_gateway.core.operations import resolve
from aai_gateway.core.regions import Region
from aai_gateway.core.traffic import Served, Tally
from aai_gateway.gateway import observing
from aai_gateway.gateway.observing import Asking, Observed, begin, current
from aai_gateway.gateway.wire import Message

PIECES: list[Message] = [
    {"type": "http.request", "body": b"abc", "more_body": True},
    {"type": "http.request", "body": b"de"},
    {"type": "http.disconnect"},
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time as a list of one: what a test puts there is what it is."""
    now = [100.0]
    monkeypatch.setattr(observing, "perf_counter", lambda: now[0])
    return now


async def start(observed: Observed, status: int = 200, headers: Any = ()) -> Message:
    """Begin the answer; the message that went out."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    message = {"type": "http.response.start", "status": status, "headers": headers}
    await observed.sending(send)(message)
    return sent[0]


@pytest.mark.parametrize("value", [b"a", b"My-own.id_1", b"x" * 128])
def test_a_clients_own_id_is_kept(value: bytes) -> None:
    assert value.decode() == begin([(b"accept", b"*/*"), (b"x-request-id", value)]).id


@pytest.mark.parametrize("value", [b"", b"x" * 129, b"two words", b"a\nb", b"\xff", b"sk/a", b"{}"])
def test_what_cannot_stand_anywhere_is_no_id(value: bytes) -> None:
    ids = {begin([(b"x-request-id", value)]).id for _ in range(2)}
    assert 2 == len(ids)
    assert all(len(id_) == 32 and id_.isalnum() for id_ in ids)


async def test_the_answer_has_one_id_which_is_ours() -> None:
    observed = begin([(b"x-request-id", b"mine")])
    message = await start(observed, headers=[(b"X-Request-Id", b"theirs"), (b"a", b"b")])
    assert [(b"a", b"b"), (b"x-request-id", b"mine")] == message["headers"]


async def test_a_request_is_current_in_its_own_task_alone() -> None:
    async def one(id_: bytes) -> str:
        begin([(b"x-request-id", id_)])
        await asyncio.sleep(0)
        return await asyncio.ensure_future(two())

    async def two() -> str:
        return current().id

    assert ["a", "b"] == await asyncio.gather(one(b"a"), one(b"b"))


async def test_what_the_gateway_adds_is_what_it_did_not_wait(clock: list[float]) -> None:
    observed = Observed()
    clock[0] += 1  # ours
    with observed.waiting():
        clock[0] += 10
        with observed.waiting():
            clock[0] += 10
        clock[0] += 10
    clock[0] += 2  # ours
    with observed.waiting():
        clock[0] += 10
        await start(observed)
        clock[0] += 100
    clock[0] += 100
    assert observed.added == pytest.approx(3.0)
    assert Served("unknown", "", 200, 0, 0, 3_000_000) == observed.served()


async def test_a_body_is_counted_and_waited_for_up_to_its_end(clock: list[float]) -> None:
    observed, pieces = Observed(), iter(PIECES)

    async def receive() -> Message:
        clock[0] += 5
        return next(pieces)

    receiving = observed.receiving(receive)
    assert PIECES[:2] == [await receiving(), await receiving()]
    clock[0] += 1
    # From here on it is a look for a client that leaves, beside the work.
    assert PIECES[2] == await receiving()
    await start(observed)
    assert 5 == observed.bytes_in
    assert observed.added == pytest.approx(6.0)


async def test_the_answers_bytes_and_end_are_noted() -> None:
    observed = Observed()

    async def send(message: Message) -> None:
        pass

    sending = observed.sending(send)
    await sending({"type": "http.response.start", "status": 200, "headers": []})
    await sending({"type": "http.response.body", "body": b"abc", "more_body": True})
    assert (3, False) == (observed.bytes_out, observed.is_whole)
    await sending({"type": "http.response.body"})
    assert (3, True) == (observed.bytes_out, observed.is_whole)


def test_a_client_that_left_before_an_answer_counts_as_499() -> None:
    assert 499 == Observed().served().status


def test_an_operation_of_assemblyais_is_called_by_its_name() -> None:
    observed = Observed()
    observed.on_target(resolve("GET", "/eu.assemblyai/v2/transcript/abc/srt"))
    assert ("srt", Region.EU) == (observed.operation, observed.region)


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/chat/completions", "chat"),
        ("/root/v1/responses", "chat"),
        ("/v1/messages", "chat"),
        ("/v1beta/models/gemini:streamGenerateContent", "chat"),
        ("/v1/models", "models"),
        ("/models/assemblyai/claude", "models"),
        ("/model_group/info", "models"),
        ("/v1/embeddings", "litellm"),
        ("/v1/models/gemini:countTokens", "litellm"),
        ("/ui/", "litellm"),
        ("/anything/sk-secret", "litellm"),
    ],
)
def test_what_litellm_serves_has_one_of_three_names(path: str, operation: str) -> None:
    observed = Observed()
    observed.on_litellm(path)
    assert operation == observed.operation
    assert (operation != "litellm") == observed.waits_are_known


@pytest.mark.parametrize(
    ("model", "kept"),
    [("claude-sonnet-4-6", True), ("openai/gpt-5.1", True), ("my name is Bob", False), ("x" * 101, False)],
)
def test_what_cannot_be_a_models_name_is_left_out(model: str, kept: bool) -> None:
    observed = Observed()
    observed.on_model(model, Region.US)
    assert (model if kept else None) == observed.model


async def test_how_long_another_provider_took_is_not_known() -> None:
    observed = Observed()
    observed.on_other_provider("openai/gpt-5.1")
    await start(observed)
    assert observed.served().added_microseconds is None


def test_a_question_counts_by_its_outcome(clock: list[float]) -> None:
    tally, observed = Tally(), begin([(b"x-request-id", b"mine")])
    good, lost = Asking(tally, "us.host", "GET"), Asking(tally, "us.host", "GET")
    clock[0] += 10
    good.answered(200)
    good.end()
    good.end()
    lost.end()  # its client left
    bad = Asking(tally, "us.host", "GET")
    bad.answered(500)
    bad.end()
    assert {"ok": 1, "500": 1} == {outcome: n for (_, (_, outcome)), n in tally.take().asked.items()}
    assert "mine" == bad.request_id
    assert observed.seconds() == pytest.approx(10.0)

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from scripted_chat import Scripted

from aai_gateway.chat_client import ChatClient
from aai_gateway.errors import ConfigurationError, ModelAnswerError, Refused, StoreError
from aai_gateway.tasks.parts import Part
from aai_gateway.tasks.topic_batch import Labeller
from aai_gateway.tasks.topic_results import FILE_NAME, WHOLE, Labelled, TopicResults, question_of

TOPICS = {"Sun": "Light.", "Rain": "Water."}
MORNING = Part("Morning", "It shone.", 0, 900)
EVENING = Part("Evening", "It poured.", 900, 1800)
BUDGET = httpx.Response(400, json={"error": {"message": "Budget spent"}})


@pytest.fixture
def results(tmp_path: Path):
    with TopicResults(tmp_path, "mine") as opened:
        yield opened


def labeller(chat: ChatClient, results: TopicResults, **options) -> Labeller:
    return Labeller(TOPICS, chat=chat, results=results, **options)


def test_what_was_answered_is_not_asked_again(results):
    first = labeller(Scripted("Rain").chat, results).label("t-1")
    assert (("Rain",), 1) == (first.labelled[0].topics, len(first.answers))
    second = labeller(Scripted().chat, results).label("t-1")
    assert (first.labelled, ()) == (second.labelled, second.answers)


def test_it_is_asked_again_when_told_so_or_when_the_question_is_another(results):
    labeller(Scripted("Rain").chat, results).label("t-1")
    assert ("Sun",) == labeller(Scripted("Sun").chat, results, again=True).label("t-1").labelled[0].topics
    several = labeller(Scripted('["Rain", "Sun"]').chat, results, max_tags=2)
    assert ("Rain", "Sun") == several.label("t-1").labelled[0].topics
    other_model = Scripted("Rain")
    other_model.chat.model = "model-y"
    assert 1 == len(labeller(other_model.chat, results).label("t-1").answers)


def test_parts_are_labelled_on_their_own_and_go_on_after_an_error(results):
    model = Scripted("Sun", BUDGET)
    parts = {"by": "chapter", "parts_of": lambda transcript_id: [MORNING, EVENING]}
    broken_off = labeller(model.chat, results, **parts).label("t-1")
    assert (Labelled("chapter", 0, "Morning", 0, 900, ("Sun",)),) == broken_off.labelled
    assert isinstance(broken_off.error, Refused)

    model = Scripted("Rain")
    whole = labeller(model.chat, results, **parts).label("t-1")
    assert [("Sun",), ("Rain",)] == [one.topics for one in whole.labelled]
    assert whole.error is None
    assert "It poured." in model.prompts[0]


def test_a_transcript_without_parts_is_an_outcome_too(results):
    def none(transcript_id: str) -> list[Part]:
        raise ConfigurationError("no chapters")

    outcome = labeller(Scripted().chat, results, by="chapter", parts_of=none).label("t-1")
    assert ((), "no chapters") == (outcome.labelled, str(outcome.error))


def answering(text_of) -> ChatClient:
    """A model that answers by the transcript's id."""

    def answer(request: httpx.Request) -> httpx.Response:
        text = text_of(json.loads(request.content)["transcript_id"])
        return httpx.Response(200, json={"choices": [{"message": {"content": text}}]})

    chat = ChatClient("http://gateway/v1", "sk-1", "model-x")
    chat._http = httpx.Client(transport=httpx.MockTransport(answer))
    return chat


def test_many_are_labelled_and_one_that_fails_does_not_end_the_others(results):
    chat = answering(lambda id_: "Snow" if id_ == "t-3" else "Rain")
    ids = [f"t-{number}" for number in range(9)]
    outcomes = {one.transcript_id: one for one in labeller(chat, results).label_all(ids)}
    assert set(ids) == outcomes.keys()
    assert ["t-3"] == [id_ for id_, one in outcomes.items() if isinstance(one.error, ModelAnswerError)]
    assert set(ids) - {"t-3"} == results.transcripts_with("rain")


def test_who_takes_no_more_outcomes_leaves_the_rest_unasked(results):
    asked = []
    chat = answering(lambda id_: asked.append(id_) or "Sun")
    with closing(labeller(chat, results).label_all([f"t-{number}" for number in range(100)])) as outcomes:
        next(outcomes)
    assert len(asked) < 100


def test_who_interrupts_is_told_what_is_waited_for(results):
    told = []
    chat = answering(lambda id_: "Sun")
    outcomes = labeller(chat, results, on_notice=told.append).label_all(["t-1", "t-2"])
    next(outcomes)
    with pytest.raises(KeyboardInterrupt):
        outcomes.throw(KeyboardInterrupt)
    assert 1 == len(told)
    assert "Waiting for answers that are under way" in told[0]


def test_results_are_their_namespaces_alone(tmp_path, results):
    question = question_of(TOPICS, max_tags=1, by=None, model="m")
    results.keep("t-1", question, Labelled(None, 0, WHOLE, None, None, ("Sun",)))
    with TopicResults(tmp_path, "theirs") as theirs:
        assert {} == theirs.found("t-1", question)
        assert set() == theirs.transcripts_with("Sun")
        theirs.forget("t-1")
    assert {"t-1"} == results.transcripts_with("Sun")
    results.forget("t-1")
    assert {} == results.found("t-1", question)


def test_the_file_is_for_its_owner_and_a_broken_one_says_so(tmp_path, results):
    assert 0o600 == stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / FILE_NAME).write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        TopicResults(tmp_path / "broken", "mine")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
        file.execute("DROP TABLE labelled")
    with pytest.raises(StoreError, match="cannot be read or written"):
        results.found("t-1", "q")

from __future__ import annotations

import json
from itertools import combinations

import assemblyai as aai
import httpx
import pytest
from spoken_lines import GARDEN, made_of

from aai_gateway import speech
from aai_gateway.chat_client import ChatClient
from aai_gateway.emulator import EmulatorConfig, running_emulator, sample_path
from aai_gateway.errors import ConfigurationError, ModelAnswerError
from aai_gateway.quotes import best_quotes, open_index, search
from aai_gateway.quotes.index_folder import namespace_of
from aai_gateway.quotes.passages import overlap
from aai_gateway.quotes.windows import numbered
from aai_gateway.settings import Settings, get_settings

KEY = "account-key"


@pytest.fixture(scope="module")
def emulator():
    with running_emulator(EmulatorConfig(account_key=KEY, job_seconds=0.05)) as running:
        yield running


@pytest.fixture(scope="module")
def interview(emulator):
    client = speech.client_at(emulator.urls.us, KEY, polling_interval=0.02)
    config = aai.TranscriptionConfig(speaker_labels=True)
    transcript = speech.transcribe(client, sample_path("interview"), config)
    return transcript.id, numbered(speech.sentences(client, transcript))


def answering(answer) -> ChatClient:
    """A chat model that answers each prompt so."""

    def respond(request):
        content = answer(json.loads(request.content)["messages"][0]["content"])
        return httpx.Response(200, json={"choices": [{"message": {"content": content}}]})

    chat = ChatClient("http://gateway/v1", "sk-1", "m")
    chat._http = httpx.Client(transport=httpx.MockTransport(respond))
    return chat


def proposing(*quotes: str) -> ChatClient:
    """A chat model that proposes these quotes."""
    return answering(lambda prompt: json.dumps({"quotes": quotes}))


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-opus-4-7"])
def test_the_best_quotes_of_a_recording_were_said_there(emulator, interview, index, model):
    transcript_id, sentences = interview
    with ChatClient(f"{emulator.urls.llm_us}/v1", KEY, model) as chat:
        found = best_quotes(transcript_id, sentences, chat=chat, index=index, n=3)
    assert 3 == len(found.quotes)
    assert not any(overlap(a, b) for a, b in combinations(found.quotes, 2))
    for quote in found.quotes:
        said = sentences[quote.first : quote.last + 1]
        assert " ".join(sentence.text for sentence in said) == quote.text
        assert (said[0].start, said[-1].end) == (quote.start, quote.end)
        assert set(quote.speakers) <= {"A", "B"}
        assert quote.speakers
        assert "verbatim" == quote.kind
        assert quote.confidence > 0.95
    assert model == found.answers[0].model
    assert index.count() > 10


def test_a_quote_that_the_model_has_reworded_is_given_in_the_speakers_words(interview, index):
    claim = "Breathing that air for an afternoon is like smoking half a pack of cigarettes."
    (quote,) = best_quotes(*interview, chat=proposing(claim), index=index, n=1).quotes
    assert "Breathing that air for one afternoon is like smoking half a pack of cigarettes." == quote.text
    assert ("close", claim) == (quote.kind, quote.claim)
    assert 0.5 < quote.confidence < 1
    assert quote.before
    assert quote.after


def test_proposals_that_nobody_said_are_named_not_returned(interview, index):
    said, invented = interview[1][32].text, "Our quarterly dividend rose to forty cents a share."
    found = best_quotes(*interview, chat=proposing(invented, said), index=index, n=2)
    assert [said] == [quote.text for quote in found.quotes]
    (missing,) = found.not_found
    assert invented == missing.claim
    assert missing.confidence < 0.5


def test_repeats_leave_room_for_others(interview, index):
    texts = [sentence.text for sentence in interview[1]]
    chat = proposing(texts[30], texts[30] + " " + texts[31], texts[8], texts[20])
    found = best_quotes(*interview, chat=chat, index=index, n=3)
    assert [texts[30], texts[8], texts[20]] == [quote.text for quote in found.quotes]


def long_talk():
    """Two portions; only the first and the last sentence of each are said once."""
    lines = [line for _ in range(110) for line in GARDEN]
    lines[0], lines[-1] = "We began at dawn with cold hands.", "By night the beds were full."
    return made_of(lines, "AB")


def test_a_long_transcript_is_read_in_portions_with_its_speakers(index):
    prompts, told = [], []

    def answer(prompt):
        prompts.append(prompt)
        own = "We began at dawn with cold hands." if "at dawn" in prompt else "By night the beds were full."
        return json.dumps({"quotes": [own, "Slugs come out after rain."]})

    sentences = long_talk()
    found = best_quotes(
        "t", sentences, chat=answering(answer), index=index, n=4, on_portion=lambda *done: told.append(done)
    )
    assert 2 == len(prompts) == len(found.answers)
    assert all("<transcript>\nSpeaker " in prompt for prompt in prompts)
    assert [(1, 2), (2, 2)] == told
    middle = len(sentences) // 2
    rain = [quote.first for quote in found.quotes if quote.text == GARDEN[5]]
    assert (4, 2) == (len(found.quotes), len(rain))
    assert min(rain) < middle < max(rain)
    assert {0, len(sentences) - 1} < {quote.first for quote in found.quotes}


def test_a_portion_whose_answer_cannot_be_read_is_named(index):
    def answer(prompt):
        early = '{"quotes": ["We began at dawn with cold hands."]}'
        return early if "at dawn" in prompt else "I would rather not."

    found = best_quotes("t", long_talk(), chat=answering(answer), index=index)
    assert ["We began at dawn with cold hands."] == [quote.text for quote in found.quotes]
    (unread,) = found.unread
    assert unread.start > 1_000_000
    assert "I would rather not." in unread.error


def test_an_answer_that_can_never_be_read_is_an_error(index, garden):
    chat = answering(lambda prompt: "I would rather not.")
    with pytest.raises(ModelAnswerError, match="I would rather not"):
        best_quotes("t", garden, chat=chat, index=index)


def test_a_transcript_of_one_sentence_can_be_quoted(index, garden):
    found = best_quotes("t", garden[:1], chat=proposing("Tomatoes want sun."), index=index, n=3)
    assert [garden[0].text] == [quote.text for quote in found.quotes]


def test_silence_has_no_quotes_and_costs_nothing(index):
    assert best_quotes("t", [], chat=proposing(), index=index).quotes == ()
    assert 0 == index.count()


def test_a_model_that_finds_nothing_gives_nothing(index, garden):
    assert best_quotes("t", garden, chat=proposing(), index=index).quotes == ()


def test_no_quotes_cannot_be_asked_for(index, garden):
    with pytest.raises(ConfigurationError, match="at least 1"):
        best_quotes("t", garden, chat=proposing(), index=index, n=0)


def test_search_uses_the_index_of_the_settings(tmp_path, monkeypatch, garden):
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    try:
        with open_index("mine", Settings()) as index:
            index.add("garden", garden)
        assert "Slugs" in search("snails", 1, namespace="mine")[0].text
        assert search("snails", 1, namespace="another") == []
    finally:
        get_settings.cache_clear()


def test_a_namespace_hides_the_key_it_is_made_of():
    assert namespace_of("sk-1") == namespace_of("Bearer sk-1") != namespace_of("sk-2")
    assert 16 == len(namespace_of("sk-1"))

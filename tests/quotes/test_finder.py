from __future__ import annotations

import json
from itertools import combinations

import assemblyai as aai
import httpx
import pytest

from aai_gateway import speech
from aai_gateway.chat_client import ChatClient
from aai_gateway.emulator import EmulatorConfig, running_emulator, sample_path
from aai_gateway.errors import ConfigurationError
from aai_gateway.quotes import best_quotes, open_index, search
from aai_gateway.quotes.finder import locate
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


def proposing(*quotes: str) -> ChatClient:
    """A chat model that proposes these quotes."""
    content = json.dumps({"quotes": quotes})
    chat = ChatClient("http://gateway/v1", "sk-1", "m")
    chat._http = httpx.Client(
        transport=httpx.MockTransport(
            lambda request: httpx.Response(200, json={"choices": [{"message": {"content": content}}]})
        )
    )
    return chat


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
        assert pytest.approx(1.0, abs=1e-3) == quote.confidence
    assert model == found.answers[0].model
    assert index.count() > 10


def test_a_quote_in_other_words_is_found_where_it_was_said(interview, index):
    transcript_id, sentences = interview
    index.add(transcript_id, sentences)
    (quote,) = locate(["breathing this for an afternoon equals half a pack of cigarettes"], *interview, index)
    assert "Breathing that air for one afternoon is like smoking half a pack of cigarettes." == quote.text
    assert 0.6 < quote.confidence < 1


def test_proposals_that_nobody_said_are_named_not_returned(interview, index):
    said, invented = interview[1][32].text, "Our quarterly dividend rose to forty cents a share."
    found = best_quotes(*interview, chat=proposing(invented, said), index=index, n=2)
    assert [said] == [quote.text for quote in found.quotes]
    assert (invented,) == found.not_found


def test_repeats_leave_room_for_others_in_the_models_order(interview, index):
    texts = [sentence.text for sentence in interview[1]]
    chat = proposing(texts[30], texts[30] + " " + texts[31], texts[8], texts[20])
    found = best_quotes(*interview, chat=chat, index=index, n=3)
    assert [texts[30], texts[8], texts[20]] == [quote.text for quote in found.quotes]


def test_every_run_of_up_to_three_sentences_given_verbatim_comes_back_exactly(interview, index):
    transcript_id, sentences = interview
    index.add(transcript_id, sentences)
    runs = [(i, i + n - 1) for n in (1, 2, 3) for i in range(len(sentences) - n + 1)]
    claims = [" ".join(one.text for one in sentences[first : last + 1]) for first, last in runs]
    found = locate(claims, transcript_id, sentences, index)
    assert runs == [(quote.first, quote.last) for quote in found]


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

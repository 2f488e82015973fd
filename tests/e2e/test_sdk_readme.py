"""Every pre-recorded call of the official SDK's README through the gateway: both regions, both key forms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import assemblyai as aai
import httpx
import pytest
from gateway_process import GatewayProcess, TeamAccess

from aai_gateway.emulator import Emulator, sample_path
from aai_gateway.speech import connect

WILDFIRES = "https://assembly.ai/wildfires.mp3"
HELLO = "https://example.org/audio.wav"
HEARD = "Hello from the emulator. This short recording is here to test your setup."
MODELS = ["universal-3-pro", "universal-2"]
MISSING = "8e8e8e8e-0000-4000-8000-000000000000"
ROUTES = {"us": "assemblyai", "eu": "eu.assemblyai"}


@pytest.fixture(scope="module")
def team(gateway: GatewayProcess) -> TeamAccess:
    return gateway.team()


@pytest.fixture(params=["us", "eu"])
def region(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sk-…", "Bearer sk-…"])
def key(request: pytest.FixtureRequest, team: TeamAccess) -> str:
    return str(request.param).replace("sk-…", team.key)


@pytest.fixture(autouse=True)
def reached(
    gateway: GatewayProcess, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, region: str, key: str
) -> Iterator[None]:
    """Point the SDK's global settings at one region of the gateway, and see that no other region is asked."""
    monkeypatch.setattr(aai.settings, "base_url", f"{gateway.url}/{ROUTES[region]}")
    monkeypatch.setattr(aai.settings, "api_key", key)
    monkeypatch.setattr(aai.settings, "polling_interval", 0.05)
    before = len(emulator.requests)
    yield
    other = "eu" if region == "us" else "us"
    strayed = [r for r in emulator.requests[before:] if r.host == other and r.method == "POST"]
    assert [] == strayed


def transcribe(source: object = WILDFIRES, **options: Any) -> aai.Transcript:
    config = aai.TranscriptionConfig(speech_models=MODELS, language_detection=True, **options)
    transcript = aai.Transcriber().transcribe(source, config=config)
    assert None is transcript.error
    assert aai.TranscriptStatus.completed == transcript.status
    return transcript


def test_transcribe_file_with_speakers():
    transcript = transcribe(str(sample_path("interview")), speaker_labels=True)
    assert transcript.text.startswith("Good morning, and welcome to Harbor Radio.")
    assert {"A", "B"} == {utterance.speaker for utterance in transcript.utterances}
    assert 174 == transcript.audio_duration
    assert not {"token_id", "project_id"} & transcript.json_response.keys()


def test_transcribe_url_bytes_open_file_and_upload_url():
    assert HEARD == transcribe(HELLO).text
    data = sample_path("hello").read_bytes()
    assert HEARD == transcribe(data).text
    assert HEARD == transcribe(aai.Transcriber().upload_file(data)).text
    with sample_path("hello").open("rb") as file:
        assert HEARD == transcribe(file).text


def test_async_submit_and_get_by_id():
    transcriber = aai.Transcriber()
    future = transcriber.transcribe_async(HELLO)
    submitted = transcriber.submit(HELLO)
    assert aai.TranscriptStatus.queued == submitted.status
    assert HEARD == submitted.wait_for_completion().text
    assert HEARD == submitted.wait_for_completion_async().result(timeout=30).text
    assert HEARD == future.result(timeout=30).text
    url = transcriber.upload_file_async(str(sample_path("hello"))).result(timeout=30)
    assert HEARD == transcriber.transcribe(url).text
    assert HEARD == aai.Transcript.get_by_id(submitted.id).text
    assert HEARD == aai.Transcript.get_by_id_async(submitted.id).result(timeout=30).text


def test_groups():
    group = aai.Transcriber().transcribe_group([HELLO, str(sample_path("hello"))])
    assert [HEARD, HEARD] == [transcript.text for transcript in group]
    ids = [transcript.id for transcript in group]
    again = aai.TranscriptGroup.get_by_ids(ids)
    assert (aai.TranscriptStatus.completed, set(ids)) == (again.status, {t.id for t in again})
    future = aai.TranscriptGroup.get_by_ids_async(ids)
    assert set(ids) == {transcript.id for transcript in future.result(timeout=30)}
    submitted = aai.Transcriber().submit_group([HELLO, WILDFIRES])
    assert aai.TranscriptStatus.completed == submitted.wait_for_completion().status
    some, failures = aai.Transcriber().transcribe_group_async([HELLO], return_failures=True).result(30)
    assert ([HEARD], []) == ([transcript.text for transcript in some], failures)


def test_list_pages_from_newest_to_oldest(gateway: GatewayProcess, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aai.settings, "api_key", gateway.team().key)
    made = [transcribe(HELLO).id for _ in range(5)]
    params = aai.ListTranscriptParameters(limit=2, status=aai.TranscriptStatus.completed)
    transcriber, pages = aai.Transcriber(), []
    page = transcriber.list_transcripts(params)
    assert (2, 2) == (page.page_details.limit, page.page_details.result_count)
    pages.append([item.id for item in page.transcripts])
    while page.page_details.before_id_of_prev_url is not None:
        params.before_id = page.page_details.before_id_of_prev_url
        page = transcriber.list_transcripts(params)
        pages.append([item.id for item in page.transcripts])
    newest_first = made[::-1]
    assert [newest_first[:2], newest_first[2:4], newest_first[4:]] == pages
    assert newest_first == [item.id for item in transcriber.list_transcripts().transcripts]
    assert newest_first == [
        item.id for item in transcriber.list_transcripts_async().result(timeout=30).transcripts
    ]
    assert all(item.audio_url == HELLO for item in page.transcripts)


def test_links_of_a_list_can_be_followed(gateway: GatewayProcess, key: str, region: str):
    transcribe(HELLO), transcribe(HELLO)
    headers = {"Authorization": key}
    first = httpx.get(f"{gateway.url}/{ROUTES[region]}/v2/transcript?limit=1", headers=headers).json()
    older = httpx.get(first["page_details"]["prev_url"], headers=headers).json()
    assert first["transcripts"][0]["id"] != older["transcripts"][0]["id"]
    newer = httpx.get(older["page_details"]["next_url"], headers=headers).json()
    assert first["transcripts"] == newer["transcripts"]
    single = httpx.get(first["transcripts"][0]["resource_url"], headers=headers)
    assert first["transcripts"][0]["id"] == single.json()["id"]


def test_delete_and_get_after_delete():
    transcript = transcribe(str(sample_path("hello")))
    assert "Deleted by user." == aai.Transcript.delete_by_id(transcript.id).text
    gone = aai.Transcript.get_by_id(transcript.id)
    assert ("Deleted by user.", None) == (gone.text, gone.words)
    assert "http://deleted_by_user" == gone.audio_url
    again = aai.Transcript.delete_by_id_async(transcript.id).result(timeout=30)
    assert "Deleted by user." == again.text
    with pytest.raises(aai.TranscriptError):
        gone.get_sentences()
    listed = {item.id: item for item in aai.Transcriber().list_transcripts().transcripts}
    assert "http://deleted_by_user" == listed[transcript.id].audio_url


def test_exports():
    transcript = transcribe()
    short, long = transcript.export_subtitles_srt(chars_per_caption=32), transcript.export_subtitles_srt()
    assert short.startswith("1\n00:00:00,240 --> ")
    assert all(len(line) <= 32 for line in short.splitlines())
    assert long.count("-->") < short.count("-->")
    assert transcript.export_subtitles_vtt().startswith("WEBVTT\n\n00:00.240 --> ")
    assert transcript.text == " ".join(sentence.text for sentence in transcript.get_sentences())
    assert transcript.text == " ".join(paragraph.text for paragraph in transcript.get_paragraphs())
    found = {match.text: match for match in transcript.word_search(["foo", "smoke", "fine particles"])}
    assert {"smoke", "fine particles"} == set(found)
    assert len(found["smoke"].timestamps) == found["smoke"].count


def test_redact_pii_and_its_audio(tmp_path: Path):
    config = aai.TranscriptionConfig(speech_models=MODELS, language_detection=True).set_redact_pii(
        policies=[
            aai.PIIRedactionPolicy.person_name,
            aai.PIIRedactionPolicy.organization,
            aai.PIIRedactionPolicy.occupation,
        ],
        substitution=aai.PIISubstitutionPolicy.hash,
        redact_audio=True,
    )
    transcript = aai.Transcriber().transcribe(WILDFIRES, config)
    assert "Elena" not in transcript.text
    assert "#####" in transcript.text
    transcript.save_redacted_audio(str(tmp_path / "redacted.mp3"))
    redacted = httpx.get(transcript.get_redacted_audio_url()).content
    assert redacted == (tmp_path / "redacted.mp3").read_bytes()
    assert len(sample_path("interview").read_bytes()) == len(redacted)


def test_redacted_audio_that_was_not_asked_for_is_not_there():
    transcript = transcribe(HELLO)
    client = aai.Client.get_default()
    response = client.http_client.get(f"/v2/transcript/{transcript.id}/redacted-audio")
    assert 400 == response.status_code
    assert response.json()["error"].startswith("A redacted audio file for this transcript ID doesn't exist.")


def test_return_unredacted_with_names_for_what_was_there():
    transcript = transcribe(
        redact_pii=True,
        redact_pii_policies=["person_name"],
        redact_pii_sub=aai.PIISubstitutionPolicy.entity_name,
        redact_pii_return_unredacted=True,
    )
    assert "[PERSON_NAME]" in transcript.text
    assert "Elena Marsh" in transcript.json_response["unredacted_text"]


def test_understanding_in_one_job():
    transcript = transcribe(
        auto_chapters=True,
        content_safety=True,
        content_safety_confidence=60,
        sentiment_analysis=True,
        speaker_labels=True,
        entity_detection=True,
        iab_categories=True,
        auto_highlights=True,
    )
    assert all(chapter.headline in transcript.text for chapter in transcript.chapters)
    assert set(transcript.content_safety.summary) == set(transcript.content_safety.severity_score_summary)
    assert all(label.confidence >= 0.6 for r in transcript.content_safety.results for label in r.labels)
    spoken = {result.text: result for result in transcript.sentiment_analysis}
    assert aai.SentimentType.negative == spoken["That is frightening."].sentiment
    assert "A" == spoken["That is frightening."].speaker
    entities = {(entity.entity_type.value, entity.text) for entity in transcript.entities}
    assert {("person_name", "Elena Marsh"), ("location", "Portland")} <= entities
    assert "NewsAndPolitics>Weather" in transcript.iab_categories.summary
    assert all(result.timestamp.end and result.labels for result in transcript.iab_categories.results)
    highlight = transcript.auto_highlights.results[0]
    assert ("cascadia air institute", 2) == (highlight.text, highlight.count)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (aai.SummarizationModel.informative, aai.SummarizationType.bullets),
        (aai.SummarizationModel.catchy, aai.SummarizationType.headline),
    ],
)
def test_summary(model: aai.SummarizationModel, kind: aai.SummarizationType):
    summary = transcribe(summarization=True, summary_model=model, summary_type=kind).summary
    assert {"bullets": 4}.get(kind.value, 1) == len(summary.splitlines())


def test_custom_spelling_and_formatting():
    config = aai.TranscriptionConfig(speech_models=MODELS, language_detection=True)
    config.set_custom_spelling({"Halo": ["hello"], "SQL": ["Sequel"]})
    assert HEARD.replace("Hello", "Halo") == aai.Transcriber(config=config).transcribe(HELLO).text
    transcriber = aai.Transcriber()
    transcriber.config = aai.TranscriptionConfig(punctuate=False, format_text=False)
    plain = "hello from the emulator this short recording is here to test your setup"
    assert plain == transcriber.transcribe(HELLO).text
    both = aai.TranscriptionConfig(speech_models=MODELS, multichannel=True, disfluencies=True)
    stereo = transcriber.transcribe("https://example.com/audio.mp3", config=both)
    assert ["1", "2", "1"] == [utterance.channel for utterance in stereo.utterances]


def test_prompting():
    """As LiteLLM's page on AssemblyAI shows it."""
    transcript = transcribe(
        "https://assemblyaiassets.com/audios/verbatim.mp3",
        prompt="Produce a transcript suitable for conversational analysis. Every disfluency is data.",
    )
    assert "universal-3-pro" == transcript.json_response["speech_model_used"]


def test_errors_carry_their_status_and_the_last_response():
    with pytest.raises(aai.AssemblyAIError) as caught:
        aai.Transcript.get_by_id(MISSING)
    assert 400 == caught.value.status_code
    assert "Transcript lookup error, transcript id not found" in str(caught.value)
    client = aai.Client.get_default()
    assert 400 == client.last_response.status_code
    with pytest.raises(aai.AssemblyAIError) as refused:
        aai.Transcriber().submit(HELLO, config=aai.TranscriptionConfig(speech_models=["no-such-model"]))
    assert 400 == refused.value.status_code
    aai.Transcriber().submit(HELLO)
    assert 200 == client.last_response.status_code


def test_a_wrong_key_is_refused_in_assemblyais_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aai.settings, "api_key", "sk-nobody")
    with pytest.raises(aai.AssemblyAIError, match="Authentication error") as caught:
        aai.Transcriber().submit(HELLO)
    assert 401 == caught.value.status_code


def test_a_failed_job():
    transcript = aai.Transcriber().transcribe("https://audio.invalid/missing.mp3")
    assert aai.TranscriptStatus.error == transcript.status
    assert transcript.error.startswith("Download error, unable to download https://audio.invalid")


def test_connect(gateway: GatewayProcess, key: str, region: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(aai.settings, "base_url", "http://127.0.0.1:9")
    client = connect(gateway.url, key, region, polling_interval=0.05)
    transcriber = aai.Transcriber(client=client)
    transcript = transcriber.transcribe(str(sample_path("hello")))
    assert HEARD == transcript.text
    assert HEARD == " ".join(sentence.text for sentence in transcript.get_sentences())
    group = aai.TranscriptGroup([transcript.id], client=client).wait_for_completion()
    assert [HEARD] == [one.text for one in group]
    assert transcript.id in [item.id for item in transcriber.list_transcripts().transcripts]


async def test_async_transcriber(tmp_path: Path):
    async with aai.AsyncTranscriber() as transcriber:
        transcript = await transcriber.transcribe(str(sample_path("hello")))
        assert HEARD == transcript.text
        with sample_path("hello").open("rb") as file:
            assert HEARD == (await transcriber.transcribe(file)).text
        assert " ".join(s.text for s in await transcript.get_sentences()) == HEARD
        assert " ".join(p.text for p in await transcript.get_paragraphs()) == HEARD
        assert (await transcript.export_subtitles_srt(chars_per_caption=32)).startswith("1\n")
        assert (await transcript.export_subtitles_vtt()).startswith("WEBVTT")
        assert [1] == [match.count for match in await transcript.word_search(["emulator"])]
        group = await transcriber.transcribe_group([HELLO, HELLO])
        assert [HEARD, HEARD] == [one.text for one in group]
        page = await transcriber.list_transcripts(aai.ListTranscriptParameters(limit=1))
        assert 1 == len(page.transcripts)
        config = aai.TranscriptionConfig().set_redact_pii(
            redact_audio=True, policies=[aai.PIIRedactionPolicy.person_name]
        )
        redacted = await transcriber.transcribe(str(sample_path("interview")), config)
        await redacted.save_redacted_audio(str(tmp_path / "redacted.mp3"))
        assert len(sample_path("interview").read_bytes()) == (tmp_path / "redacted.mp3").stat().st_size
        assert "Deleted by user." == (await transcriber.delete_by_id(transcript.id)).text
        assert "Deleted by user." == (await transcriber.get_by_id(transcript.id)).text
        with pytest.raises(aai.TranscriptError) as caught:
            await transcriber.get_by_id(MISSING)
        assert 400 == caught.value.status_code

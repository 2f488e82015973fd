"""Every pre-recorded call of the official SDK's README, in both regions, against the emulator."""

from __future__ import annotations

import assemblyai as aai
import httpx
import pytest

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator, sample_path

WILDFIRES = "https://assembly.ai/wildfires.mp3"
MODELS = ["universal-3-pro", "universal-2"]


@pytest.fixture(scope="module")
def emulator():
    with running_emulator(EmulatorConfig(job_seconds=0, eu_account_key="emulator-eu-key")) as running:
        yield running


@pytest.fixture(params=["us", "eu"], autouse=True)
def region(request, emulator: Emulator, monkeypatch):
    """Point the SDK's global settings at one region, as its README does."""
    monkeypatch.setattr(aai.settings, "base_url", getattr(emulator.urls, request.param))
    monkeypatch.setattr(aai.settings, "api_key", emulator.config.key_of(request.param))
    monkeypatch.setattr(aai.settings, "polling_interval", 0.05)
    return request.param


def transcribe(source: object = WILDFIRES, **options: object) -> aai.Transcript:
    config = aai.TranscriptionConfig(speech_models=MODELS, language_detection=True, **options)
    transcript = aai.Transcriber().transcribe(source, config=config)
    assert None is transcript.error
    return transcript


def test_transcribe_file_with_speakers():
    transcript = transcribe(str(sample_path("interview")), speaker_labels=True)
    assert aai.TranscriptStatus.completed == transcript.status
    assert transcript.text.startswith("Good morning, and welcome to Harbor Radio.")
    assert {"A", "B"} == {utterance.speaker for utterance in transcript.utterances}
    assert transcript.text == " ".join(utterance.text for utterance in transcript.utterances)
    assert transcript.text == " ".join(word.text for word in transcript.words)
    assert 174 == transcript.audio_duration
    assert "universal-3-pro" == transcript.json_response["speech_model_used"]


def test_transcribe_url_hears_what_the_file_says():
    assert transcribe(str(sample_path("interview"))).text == transcribe().text


def test_transcribe_bytes_and_upload_url():
    data = sample_path("hello").read_bytes()
    heard = "Hello from the emulator. This short recording is here to test your setup."
    assert heard == transcribe(data).text
    assert heard == transcribe(aai.Transcriber().upload_file(data)).text


def test_subtitles():
    transcript = transcribe()
    short, long = transcript.export_subtitles_srt(chars_per_caption=32), transcript.export_subtitles_srt()
    assert short.startswith("1\n00:00:00,240 --> 00:00:01,981\nGood morning, and welcome to\n\n2\n")
    assert all(len(line) <= 32 for line in short.splitlines())
    assert long.count("-->") < short.count("-->")
    assert transcript.export_subtitles_vtt().startswith("WEBVTT\n\n00:00.240 --> ")


def test_sentences_and_paragraphs():
    transcript = transcribe()
    sentences, paragraphs = transcript.get_sentences(), transcript.get_paragraphs()
    assert transcript.text == " ".join(sentence.text for sentence in sentences)
    assert transcript.text == " ".join(paragraph.text for paragraph in paragraphs)
    assert 35 <= len(sentences)
    assert 1 < len(paragraphs) < len(sentences)


def test_word_search():
    transcript = transcribe()
    found = {match.text: match for match in transcript.word_search(["foo", "smoke", "fine particles"])}
    assert {"smoke", "fine particles"} == set(found)
    assert len(found["smoke"].indexes) == found["smoke"].count == len(found["smoke"].timestamps)
    index = found["fine particles"].indexes[0]
    assert "fine particles" == " ".join(word.text for word in transcript.words[index : index + 2])


def test_custom_spelling():
    config = aai.TranscriptionConfig().set_custom_spelling({"SMOG": ["smoke"], "Marsch": ["marsh"]})
    transcript = aai.Transcriber(config=config).transcribe(WILDFIRES)
    assert "Doctor Elena Marsch," in transcript.text
    assert "SMOG" in transcript.text
    assert "smoke" not in transcript.text.lower()


def test_delete_and_delete_again():
    transcript = transcribe(speaker_labels=True, redact_pii=True, redact_pii_policies=["person_name"])
    assert "Deleted by user." == aai.Transcript.delete_by_id(transcript.id).text
    assert "Deleted by user." == aai.Transcript.delete_by_id(transcript.id).text
    gone = aai.Transcript.get_by_id(transcript.id)
    assert ("Deleted by user.", None, 174) == (gone.text, gone.words, gone.audio_duration)
    assert "http://deleted_by_user" == gone.audio_url
    with pytest.raises(aai.TranscriptError):
        gone.get_sentences()


def test_list_pages_from_newest_to_oldest():
    made = [transcribe("https://example.org/audio.wav").id for _ in range(5)]
    transcriber, seen = aai.Transcriber(), []
    params = aai.ListTranscriptParameters(limit=3, status=aai.TranscriptStatus.completed)
    page = transcriber.list_transcripts(params)
    assert (3, 3) == (page.page_details.limit, page.page_details.result_count)
    seen += [item.id for item in page.transcripts]
    while page.page_details.before_id_of_prev_url is not None:
        params.before_id = page.page_details.before_id_of_prev_url
        page = transcriber.list_transcripts(params)
        seen += [item.id for item in page.transcripts]
    assert list(reversed(made)) == seen[:5]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ("how", "hidden"),
    [
        (aai.PIISubstitutionPolicy.hash, "a ######### at the ######## ### #########"),
        (aai.PIISubstitutionPolicy.entity_name, "a [OCCUPATION] at the [ORGANIZATION] [ORGANIZATION]"),
    ],
)
def test_redact_pii(how: aai.PIISubstitutionPolicy, hidden: str):
    config = aai.TranscriptionConfig(speech_models=MODELS).set_redact_pii(
        policies=[
            aai.PIIRedactionPolicy.person_name,
            aai.PIIRedactionPolicy.organization,
            aai.PIIRedactionPolicy.occupation,
        ],
        substitution=how,
        redact_audio=True,
    )
    transcript = aai.Transcriber().transcribe(WILDFIRES, config)
    assert hidden in transcript.text
    assert "Elena" not in transcript.text
    assert "Portland" in transcript.text
    redacted = httpx.get(transcript.get_redacted_audio_url())
    assert 200 == redacted.status_code
    assert len(sample_path("interview").read_bytes()) == len(redacted.content)
    assert redacted.content != sample_path("interview").read_bytes()


def test_return_unredacted():
    transcript = transcribe(
        redact_pii=True,
        redact_pii_policies=["person_name"],
        redact_pii_return_unredacted=True,
        speaker_labels=True,
    )
    plain = transcript.json_response
    assert "#####" in plain["text"]
    assert "Elena Marsh" in plain["unredacted_text"]
    assert len(plain["words"]) == len(plain["unredacted_words"])
    assert len(plain["utterances"]) == len(plain["unredacted_utterances"])


def test_chapters():
    transcript = transcribe(auto_chapters=True)
    assert "universal-2" == transcript.json_response["speech_model_used"]
    assert 1 < len(transcript.chapters)
    assert all(chapter.headline in transcript.text for chapter in transcript.chapters)
    assert [c.start for c in transcript.chapters] == sorted(c.start for c in transcript.chapters)


@pytest.mark.parametrize("kind", list(aai.SummarizationType))
def test_summary(kind: aai.SummarizationType):
    transcript = transcribe(
        summarization=True, summary_model=aai.SummarizationModel.informative, summary_type=kind
    )
    lines = transcript.summary.splitlines()
    expected = {"bullets": 4, "bullets_verbose": 8}.get(kind.value, 1)
    assert expected == len(lines)
    if kind is not aai.SummarizationType.gist:
        assert lines[0].removeprefix("- ")[:40] in transcript.text


def test_content_safety():
    transcript = transcribe(content_safety=True)
    safety = transcript.content_safety
    assert aai.types.ContentSafetyLabel.health_issues in safety.summary
    assert set(safety.summary) == set(safety.severity_score_summary)
    assert all(0.5 <= label.confidence for result in safety.results for label in result.labels)
    strict = transcribe(content_safety=True, content_safety_confidence=85).content_safety
    assert all(0.85 <= label.confidence for result in strict.results for label in result.labels)


def test_sentiment():
    results = transcribe(sentiment_analysis=True, speaker_labels=True).sentiment_analysis
    spoken = {result.text: result for result in results}
    assert aai.SentimentType.negative == spoken["That is frightening."].sentiment
    assert aai.SentimentType.positive == spoken["That is a wonderful picture."].sentiment
    assert "A" == spoken["That is frightening."].speaker


def test_entities():
    found = {(entity.entity_type.value, entity.text) for entity in transcribe(entity_detection=True).entities}
    assert {
        ("person_name", "Elena Marsh"),
        ("organization", "Cascadia Air Institute"),
        ("location", "Portland"),
        ("date", "September 14"),
        ("phone_number", "503-555-0142"),
        ("money_amount", "forty dollars"),
    } <= found


def test_topics():
    topics = transcribe(iab_categories=True).iab_categories
    assert "NewsAndPolitics>Weather" in topics.summary
    assert all(result.labels for result in topics.results)


def test_highlights():
    highlights = transcribe(auto_highlights=True).auto_highlights
    assert "cascadia air institute" == highlights.results[0].text
    assert highlights.results[0].count == len(highlights.results[0].timestamps) == 2


def test_not_asked_is_not_there():
    transcript = transcribe()
    assert (None, None, None) == (transcript.chapters, transcript.summary, transcript.entities)
    assert (None, None, None) == (
        transcript.utterances,
        transcript.content_safety,
        transcript.iab_categories,
    )


def test_format_options():
    config = aai.TranscriptionConfig(punctuate=False, format_text=False)
    transcript = aai.Transcriber(config=config).transcribe("https://example.org/audio.wav")
    assert "hello from the emulator this short recording is here to test your setup" == transcript.text


def test_multichannel_and_disfluencies():
    config = aai.TranscriptionConfig(speech_models=MODELS, multichannel=True, disfluencies=True)
    transcript = aai.Transcriber().transcribe("https://example.com/audio.mp3", config=config)
    assert 2 == transcript.json_response["audio_channels"]
    assert ["1", "2", "1"] == [utterance.channel for utterance in transcript.utterances]
    assert ["1", "2", "1"] == [utterance.speaker for utterance in transcript.utterances]


def test_fillers_are_heard_on_request():
    assert "Um, two things" not in transcribe().text
    assert "Two things" in transcribe().text
    assert "Um, two things" in transcribe(disfluencies=True).text


def test_async_submit_and_group():
    transcriber = aai.Transcriber()
    future = transcriber.transcribe_async("https://example.org/audio.wav")
    first = future.result(timeout=30)
    second = transcriber.submit("https://example.org/audio.wav")
    assert aai.TranscriptStatus.queued == second.status
    assert first.text == aai.Transcript.get_by_id(second.id).text
    assert first.text == aai.Transcript.get_by_id_async(second.id).result(timeout=30).text
    group = aai.TranscriptGroup.get_by_ids([first.id, second.id])
    assert aai.TranscriptStatus.completed == group.status
    assert [first.text, first.text] == [transcript.text for transcript in group.transcripts]


def test_transcribe_group():
    group = aai.Transcriber().transcribe_group(["https://example.org/audio.wav", WILDFIRES])
    assert aai.TranscriptStatus.completed == group.status


def test_error_has_its_status_code():
    with pytest.raises(aai.AssemblyAIError) as caught:
        aai.Transcript.get_by_id("8e8e8e8e-0000-4000-8000-000000000000")
    assert 400 == caught.value.status_code
    assert "Transcript lookup error, transcript id not found" in str(caught.value)


def test_range_of_audio():
    transcript = transcribe(audio_start_from=240, audio_end_at=2768)
    assert "Good morning, and welcome to Harbor Radio." == transcript.text


def test_speech_understanding():
    request = {
        "speaker_identification": {"speaker_type": "name", "known_values": ["Daniel", "Elena"]},
        "translation": {"target_languages": ["es"]},
        "summarization": {"summary_type": "paragraph"},
    }
    transcript = transcribe(speaker_labels=True, speech_understanding={"request": request})
    body = transcript.json_response
    assert {"Daniel", "Elena"} == {utterance["speaker"] for utterance in body["utterances"]}
    response = body["speech_understanding"]["response"]
    assert {"A": "Daniel", "B": "Elena"} == response["speaker_identification"]["mapping"]
    assert body["translated_texts"]["es"].startswith("[es] Good morning")
    assert 1 < len(response["summarization"]["summary"])


def test_failed_job():
    transcript = aai.Transcriber().transcribe("https://audio.invalid/missing.mp3")
    assert aai.TranscriptStatus.error == transcript.status
    assert transcript.error.startswith(
        "Download error, unable to download https://audio.invalid/missing.mp3."
    )


def test_regions_do_not_know_each_other(emulator: Emulator, region: str):
    other = "eu" if region == "us" else "us"
    transcript, upload = transcribe(), aai.Transcriber().upload_file(b"not here")
    headers = {"Authorization": emulator.config.key_of(other)}
    base = getattr(emulator.urls, other)
    assert 400 == httpx.get(f"{base}/v2/transcript/{transcript.id}", headers=headers).status_code
    job = httpx.post(f"{base}/v2/transcript", headers=headers, json={"audio_url": upload}).json()
    ended = httpx.get(f"{base}/v2/transcript/{job['id']}", headers=headers).json()
    assert "error" == ended["status"]
    assert ended["error"].startswith("Download error, unable to download https://cdn.assemblyai.com/upload/")

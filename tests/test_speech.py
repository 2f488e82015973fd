from __future__ import annotations

import assemblyai as aai
import pytest

from aai_gateway.emulator import EmulatorConfig, Fault, running_emulator, sample_path
from aai_gateway.errors import ConfigurationError, Refused, TranscriptionFailed, UpstreamFailed
from aai_gateway.speech import client_at, connect, fetch, is_audio, sentences, transcribe


@pytest.fixture(scope="module")
def emulator():
    with running_emulator(EmulatorConfig(account_key="account-key", job_seconds=0.05)) as running:
        yield running


@pytest.fixture
def client(emulator):
    emulator.faults.clear()
    return client_at(emulator.urls.us, "account-key", polling_interval=0.02)


def test_a_client_goes_to_the_route_of_its_region_with_its_key():
    us = connect("http://gateway:4000/", "sk-1")
    eu = connect("http://gateway:4000", "Bearer sk-2", "eu", http_timeout=5.0, polling_interval=0.5)
    assert "http://gateway:4000/assemblyai" == us.settings.base_url
    assert "http://gateway:4000/eu.assemblyai" == eu.settings.base_url
    assert "sk-1" == us.http_client.headers["authorization"]
    assert "Bearer sk-2" == eu.http_client.headers["authorization"]
    assert (5.0, 0.5) == (eu.settings.http_timeout, eu.settings.polling_interval)


def test_requests_keep_the_prefix(emulator):
    client = connect(emulator.urls.eu, "account-key", "eu")
    with pytest.raises(Refused):
        fetch(client, "some-id")
    assert "/eu.assemblyai/v2/transcript/some-id" == emulator.requests[-1].path


def test_the_global_settings_stay_as_they_were(monkeypatch):
    monkeypatch.setattr(aai.settings, "api_key", "global-key")
    before = aai.settings.dict()
    client = connect("http://gateway:4000", "sk-1", polling_interval=0.1)
    assert before == aai.settings.dict()
    client.settings.api_key = "changed"
    assert "global-key" == aai.settings.api_key


def test_environment_variables_of_the_sdk_do_not_redirect_a_client(monkeypatch):
    monkeypatch.setenv("ASSEMBLYAI_BASE_URL", "http://elsewhere")
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "other")
    client = connect("http://gateway:4000", "sk-1")
    assert ("http://gateway:4000/assemblyai", "sk-1") == (client.settings.base_url, client.settings.api_key)


@pytest.mark.parametrize(
    ("url", "key"), [("gateway:4000", "sk-1"), ("ftp://x", "sk-1"), ("http://x", "Bearer ")]
)
def test_an_address_or_key_that_cannot_work_is_refused(url, key):
    with pytest.raises(ConfigurationError):
        connect(url, key)


def test_a_file_is_transcribed_with_each_stage_reported(client):
    stages = []
    transcript = transcribe(
        client, sample_path("hello"), on_progress=lambda stage, id_: stages.append((stage, id_ is not None))
    )
    assert transcript.text
    assert ("uploading", False) == stages[0]
    assert ("completed", True) == stages[-1]
    assert transcript.text == fetch(client, transcript.id).text


def test_bytes_and_urls_are_transcribed_as_well(client):
    from_bytes = transcribe(client, sample_path("hello").read_bytes())
    url = aai.Transcriber(client=client).upload_file(str(sample_path("hello")))
    assert from_bytes.text == transcribe(client, url).text


def test_sentences_carry_speakers_when_asked_for(client):
    config = aai.TranscriptionConfig(speaker_labels=True)
    found = sentences(client, transcribe(client, sample_path("interview"), config))
    assert {"A", "B"} <= {sentence.speaker for sentence in found}
    assert all(sentence.start < sentence.end for sentence in found)


def test_a_job_that_fails_says_why_in_assemblyais_words(client):
    with pytest.raises(TranscriptionFailed, match="does not appear to contain audio"):
        transcribe(client, b"<html>not audio</html>")


def test_an_unknown_id_is_refused_in_assemblyais_words(client):
    with pytest.raises(Refused) as caught:
        fetch(client, "00000000-0000-4000-8000-000000000000")
    assert ("Transcript lookup error, transcript id not found", 400) == (
        caught.value.text,
        caught.value.status,
    )


def test_a_wrong_key_is_refused(emulator):
    with pytest.raises(Refused, match="Authentication error") as caught:
        transcribe(client_at(emulator.urls.us, "wrong"), sample_path("hello"))
    assert 401 == caught.value.status


def test_polls_that_fail_are_asked_again(emulator, client):
    for trouble in (Fault(status=500), Fault(status=429, retry_after=0), Fault(cut=True)):
        emulator.faults.add(
            Fault(
                method="GET", path="/v2/transcript/*", status=trouble.status, cut=trouble.cut, retry_after=0
            )
        )
    assert transcribe(client, sample_path("hello")).text


def test_a_submission_turned_away_with_429_is_repeated_once_and_billed_once(emulator, client):
    emulator.faults.add(Fault(method="POST", path="/v2/transcript", status=429, retry_after=0))
    before = len(emulator.requests)
    transcribe(client, sample_path("hello"))
    submissions = [r for r in emulator.requests[before:] if r.path == "/v2/transcript"]
    assert [429, 200] == [request.status for request in submissions]


def test_a_submission_that_may_have_been_taken_is_not_repeated(emulator, client):
    emulator.faults.add(Fault(method="POST", path="/v2/transcript", status=500))
    before = len(emulator.requests)
    with pytest.raises(Refused, match="developers have been alerted"):
        transcribe(client, sample_path("hello"))
    assert 1 == len([r for r in emulator.requests[before:] if r.path == "/v2/transcript"])


def test_a_gateway_that_is_not_there_says_how_to_name_it():
    with pytest.raises(UpstreamFailed, match="AAI_GATEWAY_URL"):
        fetch(client_at("http://127.0.0.1:9", "sk-1"), "some-id")


def test_what_is_audio_and_what_is_an_id(tmp_path, client):
    (tmp_path / "a.wav").write_bytes(b"x")
    assert [True, True, False] == [
        is_audio(s) for s in ("https://x/a.mp3", str(tmp_path / "a.wav"), "some-id")
    ]
    with pytest.raises(ConfigurationError, match="neither"):
        fetch(client, "missing/file.wav")
    with pytest.raises(ConfigurationError, match="There is no file"):
        transcribe(client, tmp_path / "b.wav")
    with pytest.raises(ConfigurationError, match="folder"):
        transcribe(client, tmp_path)

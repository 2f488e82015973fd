"""The REST API over plain HTTP: keys, bodies, uploads, statuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import httpx
import pytest

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator, sample_path

HELLO = "https://example.org/audio.wav"
NOBODY = "8e8e8e8e-0000-4000-8000-000000000000"


def submit(client: httpx.Client, **options: object) -> dict:
    response = client.post("/v2/transcript", json={"audio_url": HELLO, **options})
    assert 200 == response.status_code, response.text
    return response.json()


@pytest.mark.parametrize("key", [None, "wrong", "Bearer emulator-account-key", "EMULATOR-ACCOUNT-KEY"])
def test_only_the_raw_account_key_is_taken(emulator: Emulator, key: str | None):
    headers = {} if key is None else {"Authorization": key}
    response = httpx.get(f"{emulator.urls.us}/v2/transcript", headers=headers)
    assert 401 == response.status_code
    assert {"error": "Authentication error, API token missing/invalid"} == response.json()
    assert not emulator.requests[-1].authorized


def test_each_region_has_its_key():
    with running_emulator(EmulatorConfig(eu_account_key="eu-key")) as running:
        headers = {"Authorization": "eu-key"}
        assert 401 == httpx.get(f"{running.urls.us}/v2/transcript", headers=headers).status_code
        assert 200 == httpx.get(f"{running.urls.eu}/v2/transcript", headers=headers).status_code


def test_submission_echoes_options(us: httpx.Client):
    body = submit(
        us, speaker_labels=True, language_code="en", keyterms_prompt=["archive"], speech_model="best"
    )
    assert "queued" == body["status"]
    assert (True, "en_us", ["archive"]) == (
        body["speaker_labels"],
        body["language_code"],
        body["keyterms_prompt"],
    )
    assert (None, None, None) == (body["speech_model"], body["text"], body["audio_duration"])
    assert isinstance(body["project_id"], int) and isinstance(body["token_id"], int)
    done = us.get(f"/v2/transcript/{body['id']}").json()
    assert ("completed", 5, "universal-3-pro") == (
        done["status"],
        done["audio_duration"],
        done["speech_model_used"],
    )
    assert set(body) == set(done)
    assert 76 <= len(done) <= 84


def test_webhook_secret_is_not_echoed(us: httpx.Client):
    options = {"webhook_auth_header_name": "X-Secret", "webhook_auth_header_value": "hush"}
    response = us.post("/v2/transcript", json={"audio_url": HELLO, **options})
    assert "hush" not in response.text
    assert response.json()["webhook_auth"] is True


@pytest.mark.parametrize("how", ["length", "chunked"])
def test_upload_of_raw_bytes(us: httpx.Client, emulator: Emulator, how: str):
    data = sample_path("hello").read_bytes()

    def chunks() -> Iterator[bytes]:
        for start in range(0, len(data), 7000):
            yield data[start : start + 7000]

    response = us.post("/v2/upload", content=data if how == "length" else chunks())
    assert 200 == response.status_code
    assert list(response.json()) == ["upload_url"]
    assert response.json()["upload_url"].startswith("https://cdn.assemblyai.com/upload/")
    assert len(data) == emulator.requests[-1].bytes_in
    heard = us.get(f"/v2/transcript/{submit(us, audio_url=response.json()['upload_url'])['id']}").json()
    assert heard["text"].startswith("Hello from the emulator.")


def test_empty_upload_is_refused(us: httpx.Client):
    response = us.post("/v2/upload", content=b"")
    assert 400 == response.status_code
    assert list(response.json()) == ["error"]


def test_too_large_upload_is_refused_by_its_length(emulator: Emulator):
    import socket

    host, port = emulator.urls.us.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        head = f"POST /v2/upload HTTP/1.1\r\nHost: {host}\r\nAuthorization: {emulator.config.account_key}\r\n"
        connection.sendall(head.encode() + b"Content-Length: 2200000001\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_unknown_transcripts_are_a_400_everywhere(us: httpx.Client):
    paths = ("", "/sentences", "/paragraphs", "/srt", "/vtt", "/word-search?words=a", "/redacted-audio")
    answers = [us.get(f"/v2/transcript/{NOBODY}{path}") for path in paths] + [
        us.delete(f"/v2/transcript/{NOBODY}")
    ]
    for response in answers:
        assert 400 == response.status_code
        assert {"error": "Transcript lookup error, transcript id not found"} == response.json()


def test_unknown_paths_and_methods(us: httpx.Client):
    assert (404, {"error": "Not found"}) == ((r := us.get("/v2/account/x")).status_code, r.json())
    assert 405 == us.put("/v2/transcript").status_code


def test_exports_wait_for_completion():
    with running_emulator(EmulatorConfig(job_seconds=60)) as running:
        headers = {"Authorization": running.config.account_key}
        with httpx.Client(base_url=running.urls.us, headers=headers) as client:
            path = f"/v2/transcript/{submit(client, redact_pii=True, redact_pii_audio=True)['id']}"
            for wanted, export in (("captions", "srt"), ("captions", "vtt"), ("sentences", "sentences")):
                response = client.get(f"{path}/{export}")
                assert 400 == response.status_code
                assert {
                    "error": "This transcript has a status of 'queued'. Transcripts must have a status of "
                    f"'completed' before requesting {wanted}."
                } == response.json()
            assert (
                "Transcription is still in progress." in client.get(f"{path}/redacted-audio").json()["error"]
            )
            deleted = client.delete(path).json()
            assert ("completed", "Deleted by user.") == (deleted["status"], deleted["text"])
        assert [] == running.invoice.to_json()["rows"]


def test_bad_export_parameters(us: httpx.Client):
    path = f"/v2/transcript/{submit(us)['id']}"
    assert 400 == us.get(f"{path}/srt?chars_per_caption=many").status_code
    assert 400 == us.get(f"{path}/vtt?chars_per_caption=0").status_code
    assert 400 == us.get(f"{path}/word-search").status_code
    assert "text/plain" in us.get(f"{path}/srt").headers["content-type"]


def test_redacted_audio_not_asked_for(us: httpx.Client):
    response = us.get(f"/v2/transcript/{submit(us, redact_pii=True)['id']}/redacted-audio")
    assert 400 == response.status_code
    assert (
        "A redacted audio file for this transcript ID doesn't exist. Try submitting the transcript again "
        "with `redact_pii_audio` set to `true`."
    ) == response.json()["error"]


def test_redacted_audio_is_served_without_a_key_and_minted_anew(us: httpx.Client):
    job = submit(us, audio_url="https://assembly.ai/wildfires.mp3", redact_pii=True, redact_pii_audio=True)
    path = f"/v2/transcript/{job['id']}/redacted-audio"
    first, second = us.get(path).json(), us.get(path).json()
    assert "redacted_audio_ready" == first["status"]
    assert first["redacted_audio_url"] != second["redacted_audio_url"]
    part = httpx.get(first["redacted_audio_url"], headers={"Range": "bytes=0-99"})
    assert (206, 100, "binary/octet-stream") == (
        part.status_code,
        len(part.content),
        part.headers["content-type"],
    )
    assert 403 == httpx.head(first["redacted_audio_url"]).status_code
    assert 403 == httpx.get(first["redacted_audio_url"] + "x").status_code
    us.delete(f"/v2/transcript/{job['id']}")
    assert 403 == httpx.get(first["redacted_audio_url"]).status_code


def test_completed_jobs_are_charged_once_and_failed_ones_never(us: httpx.Client, emulator: Emulator):
    done = submit(us)
    submit(us, audio_url="https://audio.invalid/x.mp3")
    for _ in range(3):
        us.get(f"/v2/transcript/{done['id']}")
    assert [done["id"]] == [row["id"] for row in emulator.invoice.to_json()["rows"]]


def test_large_uploads_do_not_sit_in_memory(us: httpx.Client, emulator: Emulator):
    """40 MB go to a file: the upload is found on disk, and its digest is that of what was sent."""
    block, digest = bytes(range(256)) * 4096, hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            digest.update(block)
            yield block

    url = us.post("/v2/upload", content=chunks()).json()["upload_url"]
    assert 40 * len(block) == emulator.requests[-1].bytes_in
    ended = us.get(f"/v2/transcript/{submit(us, audio_url=url)['id']}").json()
    assert "error" == ended["status"]
    assert "File does not appear to contain audio. File type is application/octet-stream" in ended["error"]


def test_a_body_that_is_not_json(us: httpx.Client):
    response = us.post("/v2/transcript", content=b"{audio")
    assert 400 == response.status_code
    assert json.dumps(response.json()).startswith('{"error": "Invalid endpoint schema')

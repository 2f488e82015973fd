"""The emulator's answers against AssemblyAI's OpenAPI description, when a copy lies beside the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from aai_gateway.emulator import Emulator

SPEC = Path(__file__).resolve().parents[2].parent / "shared" / "assemblyai" / "openapi.yml"
pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason="AssemblyAI's OpenAPI description is not beside this checkout"
)

EVERYTHING = {
    "audio_url": "https://assembly.ai/wildfires.mp3",
    "speech_models": ["universal-3-pro", "universal-2"],
    "language_detection": True,
    "speaker_labels": True,
    "auto_highlights": True,
    "content_safety": True,
    "iab_categories": True,
    "sentiment_analysis": True,
    "entity_detection": True,
    "auto_chapters": True,
    "redact_pii": True,
    "redact_pii_audio": True,
    "redact_pii_policies": ["person_name"],
    "redact_pii_sub": "hash",
    "custom_spelling": [{"from": ["fan"], "to": "ventilator"}],
}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    spec = yaml.safe_load(SPEC.read_text("utf-8"))
    items = spec["components"]["schemas"]
    for name in ("created", "completed"):  # the description has no zone; recorded answers end with Z
        items["TranscriptListItem"]["properties"][name].pop("pattern")
    return spec


def described(body: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The part of a transcript that the description covers.

    Recorded answers have more fields (such as `metadata`, and `speaker` on entities), and null where it has
    none: those are left out.
    """
    schema = schemas["components"]["schemas"]["Transcript"]
    kept = {
        name: value
        for name, value in body.items()
        if name in schema["properties"] and (value is not None or name in schema["required"])
    }
    for entity in kept.get("entities", ()):
        entity.pop("speaker")
    return kept


def check(schemas: dict[str, Any], name: str, body: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": schemas["components"]}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(body)
    assert [] == [f"{error.json_path}: {error.message[:200]}" for error in errors]


@pytest.fixture
def job(us: httpx.Client) -> tuple[dict[str, Any], str]:
    queued = us.post("/v2/transcript", json=EVERYTHING).json()
    return queued, f"/v2/transcript/{queued['id']}"


def test_transcript_in_each_life(us: httpx.Client, job, schemas: dict[str, Any]):
    queued, path = job
    bodies = [queued, us.get(path).json()]
    failed = us.post("/v2/transcript", json={"audio_url": "https://audio.invalid/a.mp3"}).json()
    bodies.append(us.get(f"/v2/transcript/{failed['id']}").json())
    assert ["queued", "completed", "error"] == [body["status"] for body in bodies]
    for body in bodies:
        check(schemas, "Transcript", described(body, schemas))


def test_exports(us: httpx.Client, job, schemas: dict[str, Any]):
    _, path = job
    known = {"id", "confidence", "audio_duration", "sentences", "paragraphs"}
    for name in ("Sentences", "Paragraphs"):
        body = us.get(f"{path}/{name.lower()}").json()
        assert "speech_model_used" in body  # recorded, and not in the description yet
        check(schemas, f"{name}Response", {key: value for key, value in body.items() if key in known})
    check(schemas, "WordSearchResponse", us.get(f"{path}/word-search?words=smoke,fan").json())
    check(schemas, "RedactedAudioResponse", us.get(f"{path}/redacted-audio").json())


def test_list_upload_and_errors(us: httpx.Client, job, schemas: dict[str, Any], emulator: Emulator):
    check(schemas, "TranscriptList", us.get("/v2/transcript").json())
    check(schemas, "UploadedFile", us.post("/v2/upload", content=b"x").json())
    for response in (
        us.get("/v2/transcript/none"),
        us.get("/v2/none"),
        httpx.get(f"{emulator.urls.us}/v2/transcript"),
    ):
        check(schemas, "Error", response.json())


def test_every_documented_request_field_is_known(schemas: dict[str, Any]):
    from aai_gateway.emulator.refusals import CHECKS

    documented = schemas["components"]["schemas"]["TranscriptOptionalParams"]["properties"]
    assert set() == set(documented) - set(CHECKS)


def test_every_documented_field_is_answered(us: httpx.Client, job, schemas: dict[str, Any]):
    documented = schemas["components"]["schemas"]["Transcript"]["properties"]
    assert set() == set(documented) - set(us.get(job[1]).json())

"""AssemblyAI's OpenAPI description, generated requests: through the gateway as to the emulator itself.

Every operation gets requests that the description allows and requests that it does not. Nothing ends in a
server error, and the owner has what AssemblyAI answers: the same status, the same body.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import yaml
from gateway_process import GatewayProcess, TeamAccess, running_gateway
from hypothesis import strategies as st
from waiting import until

from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator

SPEC = Path(__file__).resolve().parents[2].parent / "shared" / "assemblyai" / "openapi.yml"
pytestmark = pytest.mark.skipif(
    not SPEC.exists(), reason="AssemblyAI's OpenAPI description is not beside this checkout"
)

EXAMPLES = int(os.environ.get("AAI_GATEWAY_TEST_OPENAPI_EXAMPLES", "20"))
"""Requests for each operation, half of them such as the description does not allow."""

OPERATIONS = {
    "uploadFile": "POST /v2/upload",
    "createTranscript": "POST /v2/transcript",
    "listTranscripts": "GET /v2/transcript",
    "getTranscript": "GET /v2/transcript/{transcript_id}",
    "getSubtitles": "GET /v2/transcript/{transcript_id}/{subtitle_format}",
    "getTranscriptSentences": "GET /v2/transcript/{transcript_id}/sentences",
    "getTranscriptParagraphs": "GET /v2/transcript/{transcript_id}/paragraphs",
    "wordSearch": "GET /v2/transcript/{transcript_id}/word-search",
    "getRedactedAudio": "GET /v2/transcript/{transcript_id}/redacted-audio",
    "deleteTranscript": "DELETE /v2/transcript/{transcript_id}",
}
UNKNOWN = "8e8e8e8e-0000-4000-8000-000000000000"
VARIES = frozenset({"id", "upload_url", "redacted_audio_url", "token_id", "project_id"})
"""Members that differ between two answers of AssemblyAI's, or that the gateway leaves out."""
OUR_OWN = ("Invalid JSON body.", "audio_url is required and must be a string.")
OUR_OWN += ("The request body must be a JSON object.",)
"""What the gateway says of a submission that it cannot own or price, in words of its own."""


@dataclass(frozen=True)
class World:
    """An account of one team's alone, and jobs of it in every state."""

    emulator: Emulator
    gateway: GatewayProcess
    team: TeamAccess
    transcripts: tuple[str, ...]

    def through_gateway(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self.gateway.url}/assemblyai", headers=self.team.bearer, timeout=60)

    def direct(self) -> httpx.Client:
        key = {"Authorization": self.emulator.config.account_key}
        return httpx.Client(base_url=self.emulator.urls.us, headers=key, timeout=60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        running_emulator(EmulatorConfig(job_seconds=0.05)) as emulator,
        running_gateway(
            emulator,
            tmp_path_factory.mktemp("openapi"),
            AAI_GATEWAY_SETTLE_AFTER="0.1",
            AAI_GATEWAY_SETTLE_INTERVAL="0.1",
        ) as gateway,
    ):
        team = gateway.team()
        made = []
        with httpx.Client(base_url=f"{gateway.url}/assemblyai", headers=team.bearer, timeout=60) as client:
            for body in (
                {"audio_url": "https://example.org/audio.wav", "redact_pii": True, "redact_pii_audio": True},
                {"audio_url": "https://example.org/audio.wav", "speaker_labels": True},
                {"audio_url": "https://audio.invalid/c.wav"},
                {"audio_url": "https://example.org/audio.wav"},
            ):
                made.append(client.post("/v2/transcript", json=body).raise_for_status().json()["id"])
            for each in made:
                until(lambda each=each: client.get(f"/v2/transcript/{each}").json()["status"][0] in "ce")
            client.delete(f"/v2/transcript/{made[-1]}").raise_for_status()
        yield World(emulator, gateway, team, tuple(made))


@cache
def spec() -> Any:
    import schemathesis  # here, because it takes seconds

    described = yaml.safe_load(SPEC.read_text("utf-8"))
    # An `allOf` of two objects that each forbid the other's members: no submission could satisfy it.
    params = described["components"]["schemas"]["TranscriptParams"]
    for schema in (
        params,
        params["allOf"][0],
        described["components"]["schemas"]["TranscriptOptionalParams"],
    ):
        schema.pop("additionalProperties", None)
    return schemathesis.openapi.from_dict(described)


def operation(name: str) -> Any:
    method, path = OPERATIONS[name].split()
    return spec()[path][method]


def test_every_operation_of_the_description_is_here():
    found = {result.ok().definition.raw["operationId"] for result in spec().get_all_operations()}
    assert found == set(OPERATIONS)


def _mode(name: str) -> Any:
    from schemathesis.generation import GenerationMode

    return {"as described": GenerationMode.POSITIVE, "not": GenerationMode.NEGATIVE}[name]


def sent(client: httpx.Client, case: Any) -> httpx.Response:
    """The case as httpx sends it, with the client's own key whatever the case says about keys."""
    arguments = case.as_transport_kwargs(base_url=str(client.base_url))
    headers = {
        name.lower(): value
        for name, value in dict(arguments.get("headers") or {}).items()
        if name.lower() not in ("authorization", "user-agent", "content-length")
    }
    return client.request(
        arguments["method"],
        arguments["url"],
        params=arguments.get("params"),
        headers=headers,
        content=content_of(arguments, headers),
    )


def content_of(arguments: dict[str, Any], headers: dict[str, str]) -> bytes | None:
    if "json" in arguments:
        headers.setdefault("content-type", "application/json")
        return json.dumps(arguments["json"]).encode()
    data = arguments.get("data")
    if data is None or isinstance(data, bytes):
        return data
    return str(data).encode("utf-8", "surrogatepass")


def plain(answer: httpx.Response, world: World) -> Any:
    """A body without what differs from answer to answer."""
    text = answer.text.replace(f"{world.gateway.url}/assemblyai", world.emulator.urls.us)
    try:
        return without_variations(json.loads(text))
    except ValueError:
        return text


def without_variations(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_variations(member) for name, member in value.items() if name not in VARIES}
    return [without_variations(item) for item in value] if isinstance(value, list) else value


def unfinished(client: httpx.Client, status: str) -> list[Any]:
    found: list[Any] = client.get(f"/v2/transcript?status={status}").raise_for_status().json()["transcripts"]
    return found


def listed(answer: httpx.Response) -> Any:
    """Of a list what both make: the gateway has its own moments of when a job was made and completed."""
    if answer.status_code != 200:
        return None
    page = answer.json()
    items = [(item["id"], item["status"], item["audio_url"], item["error"]) for item in page["transcripts"]]
    details = page["page_details"]
    ends = (details["prev_url"] is None, details["next_url"] is None)
    return items, details["limit"], details["result_count"], ends


@pytest.mark.parametrize("mode", ["as described", "not"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_owner_has_what_assemblyai_answers(world: World, name: str, mode: str):
    cases = operation(name).as_strategy(generation_mode=_mode(mode))
    ids = st.sampled_from([*world.transcripts, UNKNOWN])
    with world.through_gateway() as gateway, world.direct() as direct:
        # The gateway's list says of a job what the gateway has seen last; the settler sees each job's end.
        until(lambda: not any(unfinished(gateway, status) for status in ("queued", "processing")))

        @hypothesis.settings(
            max_examples=EXAMPLES // 2,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(cases, ids)
        def check(case: Any, transcript_id: str) -> None:
            if "transcript_id" in (case.path_parameters or {}) and mode == "as described":
                case.path_parameters["transcript_id"] = transcript_id
            answer = sent(gateway, case)
            own = sent(direct, case)
            assert answer.status_code < 500, (answer.status_code, answer.text)
            if "{" in OPERATIONS[name] and mode == "not" and answer.status_code == 404:
                # A slash, encoded or not: to the gateway the path of another operation.
                assert ["error"] == list(answer.json())
                return
            assert own.status_code == answer.status_code, (own.text, answer.text)
            if name == "listTranscripts":
                assert listed(own) == listed(answer)
            elif answer.status_code != 400 or answer.json()["error"] not in OUR_OWN:
                assert plain(own, world) == plain(answer, world)

        check()

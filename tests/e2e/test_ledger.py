"""What the ledger says of each team, beside the invoice that the emulator keeps by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
from gateway_process import GatewayProcess, TeamAccess
from invoiced import agree, charged
from stored import usage_rows
from waiting import until

from aai_gateway.emulator import Emulator

HELLO, INTERVIEW = "https://example.org/audio.wav", "https://assembly.ai/wildfires.mp3"
STEREO, BRIEFING = "https://example.com/audio.mp3", "https://assembly.ai/sports_injuries.mp3"
U3 = {"speech_models": ["universal-3-pro", "universal-2"]}
JOBS: dict[str, list[dict[str, Any]]] = {
    "us": [
        {"audio_url": HELLO},
        {"audio_url": INTERVIEW, **U3, "speaker_labels": True},
        {"audio_url": INTERVIEW, "speech_model": "nano"},
        {"audio_url": INTERVIEW, "speech_models": ["universal-2"], "keyterms_prompt": ["Harbor Radio"]},
        {
            "audio_url": BRIEFING,
            **U3,
            "prompt": "Verbatim.",
            "domain": "medical-v1",
            "filter_profanity": True,
        },
        {"audio_url": BRIEFING, "auto_chapters": True, "entity_detection": True, "auto_highlights": True},
        {"audio_url": BRIEFING, "prompt": "", "keyterms_prompt": [], "speaker_labels": False},
        {"audio_url": "https://audio.invalid/missing.mp3", "speaker_labels": True},
    ],
    "eu": [
        {"audio_url": STEREO, **U3, "multichannel": True, "sentiment_analysis": True},
        {"audio_url": STEREO, "multichannel": False},
        {"audio_url": INTERVIEW, "summarization": True, "iab_categories": True, "content_safety": True},
        {"audio_url": INTERVIEW, "redact_pii": True, "redact_pii_audio": True, "language_detection": True},
        {
            "audio_url": INTERVIEW,
            **U3,
            "speaker_labels": True,
            "speech_understanding": {
                "request": {
                    "translation": {"target_languages": ["es"]},
                    "speaker_identification": {"speaker_type": "name"},
                    "custom_formatting": {"date": "mm/dd/yyyy"},
                }
            },
        },
    ],
}
ROUTES = {"us": "assemblyai", "eu": "eu.assemblyai"}


def submit(gateway: GatewayProcess, team: TeamAccess, region: str, job: dict[str, Any]) -> str:
    url = f"{gateway.url}/{ROUTES[region]}/v2/transcript"
    answer = httpx.post(url, headers=team.bearer, json=job)
    assert 200 == answer.status_code, answer.text
    return str(answer.json()["id"])


def poll_to_its_end(gateway: GatewayProcess, team: TeamAccess, region: str, transcript_id: str) -> None:
    url = f"{gateway.url}/{ROUTES[region]}/v2/transcript/{transcript_id}"
    until(lambda: httpx.get(url, headers=team.bearer).json()["status"] in ("completed", "error"))


def test_the_ledger_of_three_teams_is_the_invoice_to_the_micro_dollar(
    gateway: GatewayProcess, emulator: Emulator
):
    teams = [gateway.team() for _ in range(3)]
    made: dict[str, list[tuple[str, str]]] = {team.id: [] for team in teams}
    for region, jobs in JOBS.items():
        for number, job in enumerate(jobs):
            # Everyone does everything, and one team some of it twice.
            for team in teams if number % 2 else [teams[0], *teams]:
                made[team.id].append((region, submit(gateway, team, region, job)))
    for team in teams:
        for region, transcript_id in made[team.id]:
            poll_to_its_end(gateway, team, region, transcript_id)
    for team in teams:
        ids = [transcript_id for _, transcript_id in made[team.id]]
        booked = usage_rows(gateway.store_path, team.id)
        # The poll that sees the end books it, before the client has its answer.
        assert set(ids) == {row.source_id for row in booked}
        agree(booked, charged(emulator, ids))
        failed = [row for row in booked if row.status == "error"]
        assert [0] * len(failed) == [row.micros for row in failed]
        assert 0 < len(failed) < len(booked)
        with gateway.admin() as admin:
            info = admin.get("/team/info", params={"team_id": team.id}).json()
        spent = Decimal(str(info["team_info"]["spend"]))
        assert sum(row.micros for row in booked) == spent * 1_000_000


def test_polling_again_and_again_books_once(gateway: GatewayProcess, emulator: Emulator):
    team = gateway.team()
    made = submit(gateway, team, "us", {"audio_url": INTERVIEW, **U3})
    poll_to_its_end(gateway, team, "us", made)
    poll_to_its_end(gateway, team, "us", made)
    agree(usage_rows(gateway.store_path, team.id), charged(emulator, [made]))


def test_a_job_that_is_deleted_unseen_is_charged(gateway: GatewayProcess, emulator: Emulator):
    team = gateway.team()
    made = submit(gateway, team, "eu", {"audio_url": INTERVIEW, **U3, "speaker_labels": True})
    until(lambda: charged(emulator, [made]))
    url = f"{gateway.url}/eu.assemblyai/v2/transcript/{made}"
    assert 200 == httpx.delete(url, headers=team.bearer).status_code
    agree(usage_rows(gateway.store_path, team.id), charged(emulator, [made]))
    assert 200 == httpx.delete(url, headers=team.bearer).status_code
    poll_to_its_end(gateway, team, "eu", made)
    agree(usage_rows(gateway.store_path, team.id), charged(emulator, [made]))


def test_a_job_that_is_deleted_while_it_runs_costs_what_the_invoice_says(
    gateway: GatewayProcess, emulator: Emulator
):
    team = gateway.team()
    made = submit(gateway, team, "us", {"audio_url": INTERVIEW, **U3})
    url = f"{gateway.url}/assemblyai/v2/transcript/{made}"
    assert 200 == httpx.delete(url, headers=team.bearer).status_code
    poll_to_its_end(gateway, team, "us", made)
    agree(usage_rows(gateway.store_path, team.id), charged(emulator, [made]))

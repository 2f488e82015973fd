"""Real work through a gateway for the dashboard to show, and what of it AssemblyAI's invoice says it cost.

Two teams, three keys, both regions, the SDK and plain HTTP, chats, tags, a failed job. Whose each piece is
stands in the test's own record; what it cost, in the emulator's invoice; the ledger must agree with both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import assemblyai as aai
import httpx
from account_books import read, unfinished
from gateway_process import GatewayProcess, TeamAccess
from mixed_work import CLAUDE, DOWN, EU_MODELS, HELLO, INTERVIEW, MISSING, UNPRICED, Job, chats, jobs
from waiting import until

from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator, Model, sample_path
from aai_gateway.speech import connect

SEED = 5
MANY, FEW = 51, 5
"""Jobs of the two teams: more than a page has, and a few."""
CHATS = 9
ROUTES = {"us": "assemblyai", "eu": "eu.assemblyai"}
FAST = {
    "AAI_GATEWAY_SETTLE_AFTER": "0.5",
    "AAI_GATEWAY_SETTLE_INTERVAL": "0.3",
    "AAI_GATEWAY_SETTLE_RATE": "400",
}
"""A gateway's settings with which nobody waits for a job to be settled."""


@dataclass(frozen=True)
class Piece:
    """One job or completion: whose it is, and what is charged for it by the line. `source` is its id."""

    source: str
    team_id: str
    key_hash: str
    service: str
    region: str
    model: str
    micros: int
    lines: tuple[tuple[str, int, int], ...]
    tags: tuple[str, ...]
    status: str = "completed"
    audio_seconds: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    day: str = ""


@dataclass
class Work:
    """What was done. `made` has, by transcript id or a completion's end user, the key and the tags."""

    gateway: GatewayProcess
    emulator: Emulator
    research: TeamAccess
    newsroom: TeamAccess
    narrowed: TeamAccess
    made: dict[str, tuple[TeamAccess, tuple[str, ...]]] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    """AssemblyAI's id of each completion, by its end user."""

    @property
    def secrets(self) -> list[str]:
        """What no address and no page may hold."""
        keys = [team.key for team in (self.research, self.newsroom, self.narrowed)]
        return [self.gateway.master_key, self.emulator.config.account_key, *keys]

    def pieces(self, team_id: str | None = None) -> list[Piece]:
        """The ledger's rows, in which each was found to be the invoice's; newest first."""
        ledger = _ledger(self.gateway)
        charged = {(row.service, row.id): row for row in self.emulator.invoice.rows}
        for piece in ledger:
            maker, tags = self.made[piece.source]
            assert (maker.id, hash_key(maker.key)) == (piece.team_id, piece.key_hash), piece
            assert sorted(tags) == sorted(piece.tags)
            charge = charged.pop((piece.service, self.requests.get(piece.source, piece.source)), None)
            items = [] if charge is None else [(i.name, i.quantity, i.micros) for i in charge.items]
            assert sorted(items) == sorted(piece.lines), piece
            assert (0 if charge is None else charge.micros) == piece.micros
            assert charge is None or (charge.region, charge.model) == (piece.region, piece.model)
        assert {} == charged, "AssemblyAI charged what the ledger does not have"
        assert set(self.made) == {piece.source for piece in ledger}
        return [piece for piece in ledger if team_id in (None, piece.team_id)]


def _ledger(gateway: GatewayProcess) -> list[Piece]:
    rows = read(gateway.store_path, "SELECT * FROM usage ORDER BY created_at DESC, id DESC")
    return [
        Piece(
            source=row["source_id"] if row["service"] == "speech" else row["end_user"],
            lines=tuple((i["name"], i["quantity"], i["micros"]) for i in json.loads(row["items"])),
            tags=tuple(json.loads(row["tags"])),
            **{
                name: row[name]
                for name in (
                    *("team_id", "key_hash", "service", "region", "model", "micros", "status"),
                    *("audio_seconds", "prompt_tokens", "completion_tokens", "day"),
                )
            },
        )
        for row in rows
    ]


def do_work(gateway: GatewayProcess, emulator: Emulator) -> Work:
    """All the work, done, settled and reconciled."""
    research = gateway.team("Research", max_budget=50, soft_budget=40, budget_duration="1mo")
    newsroom = gateway.team("Newsroom & Radio", max_budget=5)
    narrowed = gateway.another_key(newsroom, key_alias="radio-own", own_only=True, max_budget=2)
    work = Work(gateway, emulator, research, newsroom, narrowed)
    llm = emulator.urls.llm_us
    httpx.post(f"{llm}/_emulator/failing-models", json={"models": [DOWN]}).raise_for_status()
    emulator.prices.add_model(Model.from_json({"id": UNPRICED, "input": "5.00", "output": "30.00"}))
    with httpx.Client(base_url=gateway.url, timeout=60) as client, ThreadPoolExecutor(4) as pool:
        first = _sdk(work, "us", research, ("pilot",), speaker_labels=True, entity_detection=True)
        waiting = [
            pool.submit(
                _sdk, work, "eu", narrowed, ("radio", "pilot"), sentiment_analysis=True, speaker_labels=True
            ),
            *(pool.submit(_submit, work, client, research, job) for job in jobs(SEED, "research", MANY)),
            *(pool.submit(_submit, work, client, newsroom, job) for job in jobs(SEED + 1, "newsroom", FEW)),
            pool.submit(
                _submit, work, client, narrowed, Job("narrowed", "us", {"audio_url": INTERVIEW}, ("radio",))
            ),
            pool.submit(
                _submit, work, client, research, Job("failed", "us", {"audio_url": MISSING}, ("radio",))
            ),
        ]
        for chat in chats(SEED, "research", CHATS):
            body = {**chat.body, **({"transcript_id": first} if chat.on_transcript else {})}
            waiting.append(pool.submit(_chat, work, client, research, chat.marker, body, chat.tags))
        for number, model in enumerate((f"eu.assemblyai/{EU_MODELS[1]}", f"assemblyai/{CLAUDE}")):
            body = {"model": model, "messages": [{"role": "user", "content": "Repeat: a red fox."}]}
            waiting.append(pool.submit(_chat, work, client, narrowed, f"narrowed-{number}", body, ("radio",)))
        for one in waiting:
            one.result()
    until(lambda: not unfinished(gateway.store_path), 90)
    # So that there is a last difference to show.
    command(gateway, "reconcile", "--since", "1d", "--region", "us")
    return work


def _sdk(
    work: Work, region: Literal["us", "eu"], team: TeamAccess, tags: tuple[str, ...], **options: Any
) -> str:
    """A local file through the official SDK."""
    client = connect(work.gateway.url, team.key, region, polling_interval=0.1)
    client.http_client.headers["x-litellm-tags"] = ",".join(tags)
    config = aai.TranscriptionConfig(**options)
    made = aai.Transcriber(client=client, config=config).transcribe(str(sample_path("hello")))
    assert made.id is not None and aai.TranscriptStatus.completed == made.status
    work.made[made.id] = team, tags
    return made.id


def _submit(work: Work, client: httpx.Client, team: TeamAccess, job: Job) -> None:
    headers = {**team.bearer, **({"x-litellm-tags": ",".join(job.tags)} if job.tags else {})}
    path = f"/{ROUTES[job.region]}/v2/transcript"
    body = job.body if job.upload is None else {**job.body, "audio_url": HELLO}
    answer = client.post(path, json=body, headers=headers).raise_for_status().json()
    work.made[answer["id"]] = team, job.tags


def _chat(
    work: Work,
    client: httpx.Client,
    team: TeamAccess,
    marker: str,
    body: Mapping[str, Any],
    tags: tuple[str, ...],
) -> None:
    headers = {**team.bearer, **({"x-litellm-tags": ",".join(tags)} if tags else {})}
    asked = {**body, "user": marker, "stream": False}
    answer = client.post("/v1/chat/completions", json=asked, headers=headers)
    assert 200 == answer.status_code, answer.text
    work.made[marker] = team, tags
    work.requests[marker] = str(answer.json()["request_id"])


def command(gateway: GatewayProcess, *arguments: str) -> str:
    """What an `aai-gateway` command prints about the gateway's store."""
    ended = subprocess.run(
        [sys.executable, "-c", "from aai_gateway.cli.main import main; main()", *arguments],
        env={**gateway.environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert 0 == ended.returncode, ended.stdout + ended.stderr
    return ended.stdout


def by(pieces: Iterable[Piece], *names: str) -> dict[tuple[str, ...], int]:
    """Micro-dollars for each combination of some of their fields."""
    sums: Counter[tuple[str, ...]] = Counter()
    for piece in pieces:
        sums[tuple(str(asdict(piece)[name]) for name in names)] += piece.micros
    return dict(sums)

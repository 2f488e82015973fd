"""Hundreds of jobs and completions of several teams through the real proxy, against AssemblyAI's invoice.

Everything that has a price, retried, failing and refused, in both regions, with new prices in the middle:
each team's ledger is the invoice to the micro-dollar, line by line.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import httpx
import pytest
from account_books import SentChat, examine_chats, examine_jobs, read
from gateway_process import GatewayProcess, TeamAccess, running_gateway
from mixed_work import DOWN, UNPRICED, Chat, Job, chats, jobs

from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, Model, running_emulator, sample_path

SEED = 20261121
TEAMS = int(os.environ.get("AAI_GATEWAY_TEST_INVOICE_TEAMS", "3"))
"""Twelve make two thousand jobs and completions, and take minutes."""
JOBS, CHATS = 126, 48
"""Of each team; half of them before the prices change."""
AT_ONCE = 3
"""Requests of a team."""
ATTEMPTS = 8
SETTLED_SECONDS = 240
ROUTES = {"us": "assemblyai", "eu": "eu.assemblyai"}
SETTINGS = {
    "AAI_GATEWAY_SETTLE_AFTER": "1.0",
    "AAI_GATEWAY_SETTLE_INTERVAL": "0.5",
    "AAI_GATEWAY_SETTLE_RATE": "400",
    "AAI_GATEWAY_RECOVER_AFTER": "6",
    "AAI_GATEWAY_HOLD_EXPIRY": "30",
    "AAI_GATEWAY_CHAT_HOLD_EXPIRY": "30",
}
SUBMIT, CHAT = {"method": "POST", "path": "/v2/transcript"}, {"path": "/v1/chat/completions"}
TROUBLE = (
    Fault(**SUBMIT, status=429, retry_after=1, count=None, probability=0.02),
    Fault(**SUBMIT, status=500, count=None, probability=0.02),
    Fault(**SUBMIT, status=503, count=None, probability=0.02),
    Fault(**SUBMIT, cut=True, count=None, probability=0.01),
    # The job is made, and its answer lost: the client's retry makes, and pays for, another.
    Fault(**SUBMIT, cut=True, after=True, count=None, probability=0.03),
    Fault(path="/v2/transcript/*", status=500, count=None, probability=0.02),
    Fault(path="/v2/transcript/*", cut=True, count=None, probability=0.01),
    Fault(**CHAT, status=429, retry_after=1, count=None, probability=0.04),
    Fault(**CHAT, status=503, count=None, probability=0.04),
    Fault(**CHAT, status=500, count=None, probability=0.02),
)
NEW_SPEECH = {"models": {"universal-2": "0.1234"}, "addons": {"speaker_labels": "0.0371", "prompt": "0.06"}}
NEW_CHAT = {
    "claude-sonnet-4-6": {"input": "3.31", "output": "16.7", "cache_read": "0.29", "cache_write": "4.01"},
    "gpt-5-mini": {"input": "0.27"},
    "gemini-2.5-flash": {"output": "2.77"},
}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with running_emulator(EmulatorConfig(job_seconds=0.3)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(emulator, tmp_path_factory.mktemp("invoice"), **SETTINGS) as gateway:
        yield gateway


@dataclass
class Client:
    """A team's client: what it sent and what it was told, which is the truth about whose everything is."""

    gateway: GatewayProcess
    team: TeamAccess
    session: aiohttp.ClientSession
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    uploads: set[str] = field(default_factory=set)
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    chats: list[SentChat] = field(default_factory=list)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    retries: int = 0
    transcript_id: str = ""

    async def job(self, job: Job) -> None:
        """Submit a job until it is accepted; poll some to their end."""
        async with self.places:
            base = f"{self.gateway.url}/{ROUTES[job.region]}/v2"
            body = dict(job.body)
            if job.upload is not None:
                body["audio_url"] = await self._upload(f"{base}/upload", job.upload)
            self.tags[job.marker] = job.tags
            transcript_id = await self._until_taken(f"{base}/transcript", body, job.marker, job.tags)
            self.jobs[job.region, transcript_id] = job
            while job.polls:
                await asyncio.sleep(0.3)
                status, answer = await self._ask("GET", f"{base}/transcript/{transcript_id}")
                if status == 200 and answer["status"] in ("completed", "error"):
                    return

    async def chat(self, chat: Chat) -> None:
        """Ask until there is an answer. Each attempt has an end user of its own."""
        async with self.places:
            body = dict(chat.body)
            if chat.on_transcript:
                body["transcript_id"] = self.transcript_id
            for attempt in range(ATTEMPTS):
                marker = f"{chat.marker}-{attempt}"
                self.tags[marker] = chat.tags
                self.chats.append(SentChat(marker, self.team.id))
                place = len(self.chats) - 1
                request_id = await self._complete({**body, "user": marker}, chat.tags)
                if request_id is not None:
                    self.chats[place] = SentChat(marker, self.team.id, request_id)
                    return
                self.retries += 1
                await asyncio.sleep(0.1)
        raise AssertionError(f"{chat} was never answered")

    async def _complete(self, body: dict[str, Any], tags: tuple[str, ...]) -> str | None:
        """AssemblyAI's id of the completion, None when it was refused for now."""
        url = f"{self.gateway.url}/v1/chat/completions"
        async with self.session.post(url, json=body, headers=self._headers(tags=tags)) as response:
            content = await response.read()
            if response.status in (429, 500, 503):
                return None
            assert 200 == response.status, content
        if not body.get("stream"):
            return str(json.loads(content)["request_id"])
        events = [line.removeprefix(b"data: ") for line in content.split(b"\n") if line]
        assert b"[DONE]" == events[-1]
        return str(json.loads(events[0])["id"]).removeprefix("chatcmpl-")

    async def _upload(self, url: str, sample: str) -> str:
        status, answer = await self._ask("POST", url, data=sample_path(sample).read_bytes())
        assert 200 == status
        self.uploads.add(answer["upload_url"])
        return str(answer["upload_url"])

    async def _until_taken(self, url: str, body: dict[str, Any], marker: str, tags: tuple[str, ...]) -> str:
        for _ in range(ATTEMPTS):
            status, answer = await self._ask("POST", url, json=body, headers=self._headers(marker, tags))
            if status == 200:
                return str(answer["id"])
            assert status in (429, 500, 502, 503, 504), (status, answer, body)
            self.retries += 1
            await asyncio.sleep(0.1)
        raise AssertionError(f"{body} was never taken")

    async def _ask(
        self, method: str, url: str, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, Any]:
        async with self.session.request(method, url, headers=headers or self._headers(), **more) as response:
            return response.status, await response.json(content_type=None)

    def _headers(self, marker: str = "", tags: tuple[str, ...] = ()) -> dict[str, str]:
        told = {"x-litellm-tags": ",".join(tags)} if tags else {}
        return {**self.team.bearer, **told, **({"x-litellm-end-user-id": marker} if marker else {})}


def test_each_teams_ledger_is_the_invoice_to_the_micro_dollar(
    gateway: GatewayProcess, emulator: Emulator, tmp_path: Path
):
    teams = [gateway.team(f"team-{number:02}") for number in range(TEAMS)]
    llm = {"us": emulator.urls.llm_us, "eu": emulator.urls.llm_eu}
    httpx.post(f"{llm['us']}/_emulator/failing-models", json={"models": [DOWN]}).raise_for_status()
    emulator.prices.add_model(Model.from_json({"id": UNPRICED, "input": "5.00", "output": "30.00"}))
    clients = asyncio.run(work(gateway, emulator, teams, tmp_path))
    told = {client.team.id: client for client in clients}
    wait_until_settled(gateway, emulator)

    all_jobs = [asdict(job) for job in emulator.jobs()]
    owner = {url: client.team.id for client in clients for url in client.uploads}
    names = {team.alias: team.id for team in teams}

    def team_of(job: Any) -> str | None:
        url = str(job["audio_url"])
        return owner.get(url) or names.get(parse_qs(urlsplit(url).query)["team"][0])

    sent = [chat for client in clients for chat in client.chats]
    invoice = emulator.invoice.to_json()["rows"]
    verdict = examine_jobs(all_jobs, gateway.store_path, team_of)
    verdict = verdict.joined(examine_chats(sent, invoice, gateway.store_path))
    assert {} == {kind: wrongs for kind, wrongs in verdict.wrongs.items() if wrongs}
    compare_lines(gateway.store_path, invoice, sent, told)
    # A second witness: it asks AssemblyAI for each job.
    for region in ROUTES:
        command(gateway, "reconcile", "--region", region, "--since", "1d")
    table = compare_teams(gateway, teams, all_jobs, team_of, sent, invoice)
    print_table(teams, table, clients, verdict.counts)
    for client in clients:
        assert (JOBS, CHATS) == (len(client.jobs), sum(1 for c in client.chats if c.request_id is not None))
    was_everything_there(all_jobs, invoice, clients)


async def work(
    gateway: GatewayProcess, emulator: Emulator, teams: list[TeamAccess], folder: Path
) -> list[Client]:
    """All the work of all teams, with new prices in the middle."""
    timeout = aiohttp.ClientTimeout(total=60)
    # The server keeps a connection for five seconds: none is used again that may be closing.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        clients = [Client(gateway, team, session) for team in teams]
        all_jobs = {c.team.id: list(jobs(SEED, c.team.alias, JOBS)) for c in clients}
        all_chats = {c.team.id: list(chats(SEED, c.team.alias, CHATS)) for c in clients}
        for client in clients:
            await client.job(Job(f"{client.team.alias}-first", "us", first(client), ()))
            [(_, client.transcript_id)] = client.jobs
            client.jobs.clear()
        for fault in TROUBLE:
            emulator.faults.add(fault)

        async def half(place: int) -> None:
            waiting = []
            for client in clients:
                mine = [client.job(job) for job in all_jobs[client.team.id][place::2]]
                mine += [client.chat(chat) for chat in all_chats[client.team.id][place::2]]
                random.Random(SEED).shuffle(mine)
                waiting += mine
            await asyncio.gather(*waiting)

        await half(0)
        # Some are still running when the prices change: they cost what held when they were submitted.
        emulator.pace.job_seconds = 6
        running = [Job(f"{c.team.alias}-late", "us", first(c), (), polls=False) for c in clients]
        await asyncio.gather(*(c.job(job) for c, job in zip(clients, running, strict=True)))
        for client in clients:
            client.jobs = {key: job for key, job in client.jobs.items() if not job.marker.endswith("-late")}
        emulator.pace.job_seconds = 0.3
        await asyncio.to_thread(change_prices, gateway, emulator, folder)
        await half(1)
        emulator.faults.clear()
    return clients


def first(client: Client) -> dict[str, Any]:
    url = f"https://example.org/audio.wav?team={client.team.alias}&n=first"
    return {"audio_url": url, "speaker_labels": True, "prompt": "x"}


def change_prices(gateway: GatewayProcess, emulator: Emulator, folder: Path) -> None:
    """New prices on both sides, from the same moment on, told to a gateway that goes on running."""
    moment = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(seconds=5)
    since = moment.isoformat().replace("+00:00", "Z")
    tell = f"{emulator.urls.us}/_emulator/prices"
    httpx.post(tell, json={"from": since, "speech": NEW_SPEECH}).raise_for_status()
    lines = {
        part: {name: [{"from": since, "usd": usd, "source": "a"}] for name, usd in prices.items()}
        for part, prices in NEW_SPEECH.items()
    }
    contract = folder / "contract.json"
    contract.write_text(json.dumps({"speech": lines}))
    command(gateway, "prices", "load", str(contract))
    # The catalogue's prices hold from the moment that they are synced.
    httpx.post(tell, json={"chat": NEW_CHAT}).raise_for_status()
    command(gateway, "prices", "sync")
    # From now on the EU names its token counts differently.
    httpx.post(f"{emulator.urls.llm_eu}/_emulator/usage-style", json={"style": "input_output"})
    while datetime.now(timezone.utc) <= moment + timedelta(seconds=0.2):
        time.sleep(0.1)


def command(gateway: GatewayProcess, *arguments: str) -> None:
    """An `aai-gateway` command on the gateway's store."""
    ended = subprocess.run(
        [sys.executable, "-c", "from aai_gateway.cli.main import main; main()", *arguments],
        env={**gateway.environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert 0 == ended.returncode, ended.stdout + ended.stderr


def wait_until_settled(gateway: GatewayProcess, emulator: Emulator) -> None:
    """Until every job that AssemblyAI has is in the ledger, and nothing is held."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        booked = {row["source_id"] for row in read(gateway.store_path, "SELECT source_id FROM usage")}
        held = read(gateway.store_path, "SELECT id FROM holds")
        missing = {job.id for job in emulator.jobs()} - booked
        if not missing and not held:
            return
        assert time.monotonic() < deadline, f"{len(missing)} jobs are not settled, {len(held)} holds are left"
        time.sleep(0.3)


def lines(items: Any) -> list[tuple[str, int, str, Decimal, int]]:
    """Line items that compare."""
    found = [(i["name"], i["quantity"], i["unit"], Decimal(i["unit_price"]), i["micros"]) for i in items]
    return sorted(found)


def compare_lines(
    store: Path, invoice: list[dict[str, Any]], sent: list[SentChat], told: dict[str, Client]
) -> None:
    """Each row's line items are the invoice's, and its tags and end user what the client said."""
    charged = {(row["service"], row["id"]): row for row in invoice}
    requests = {chat.marker: chat.request_id for chat in sent}
    rows = read(store, "SELECT * FROM usage")
    for row in rows:
        source = requests[row["end_user"]] if row["service"] == "chat" else row["source_id"]
        charge = charged.get((row["service"], source))
        assert lines(charge["items"] if charge else []) == lines(json.loads(row["items"])), row
        assert sum(item["micros"] for item in json.loads(row["items"])) == row["micros"]
        tags = told[row["team_id"]].tags.get(row["end_user"])
        assert tags is not None and list(tags) == json.loads(row["tags"]), row
    flagged = {name for row in rows if row["priced_as"] for name in _fallbacks(row)}
    assert {"domain=legal-v9", "speech_understanding.summarization", "input", "output"} == flagged
    assert all(row["micros"] == 0 or not row["priced_as"] or _fallbacks(row) for row in rows)


def _fallbacks(row: dict[str, Any]) -> list[str]:
    return [item["name"] for item in json.loads(row["items"]) if item.get("fallback")]


def compare_teams(
    gateway: GatewayProcess,
    teams: list[TeamAccess],
    all_jobs: list[dict[str, Any]],
    team_of: Callable[[Any], str | None],
    sent: list[SentChat],
    invoice: list[dict[str, Any]],
) -> dict[str, tuple[int, int, int, int]]:
    """Of each team: jobs, completions, the ledger's micro-dollars and the invoice's. They are equal."""
    charged = {row["id"]: row["micros"] for row in invoice}
    asked = {chat.request_id: chat.team_id for chat in sent if chat.request_id is not None}
    # Nobody else is charged: the truth is whole.
    assert set(charged) <= set(asked) | {job["id"] for job in all_jobs}
    truth: Counter[str | None] = Counter()
    for job in all_jobs:
        truth[team_of(job)] += charged.get(job["id"], 0)
    for request_id, team_id in asked.items():
        truth[team_id] += charged[request_id]
    assert sum(truth.values()) == sum(charged.values())
    table = {}
    for team in teams:
        rows = read(gateway.store_path, f"SELECT * FROM usage WHERE team_id = '{team.id}'")
        ledger = sum(row["micros"] for row in rows)
        services = Counter(row["service"] for row in rows)
        with gateway.admin() as admin:
            info = admin.get("/team/info", params={"team_id": team.id}).raise_for_status().json()
        assert ledger == Decimal(str(info["team_info"]["spend"])) * 1_000_000
        assert truth[team.id] == ledger
        table[team.id] = (services["speech"], services["chat"], ledger, truth[team.id])
    [total] = read(gateway.store_path, "SELECT sum(micros) AS micros FROM usage")
    assert sum(charged.values()) == total["micros"]
    return table


def was_everything_there(
    all_jobs: list[dict[str, Any]], invoice: list[dict[str, Any]], clients: list[Client]
) -> None:
    """It was the mixture that it claims to be."""
    charged = {(item["name"], item["unit_price"]) for row in invoice for item in row["items"]}
    names = {name for name, _ in charged}
    assert {"input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "redact_pii_audio"} <= names
    assert {"universal-3-5-pro", "universal-3-pro", "universal-2"} <= names
    assert {("universal-2", "0.15"), ("universal-2", "0.1234"), ("speaker_labels", "0.0371")} <= charged
    # Claude's input with the surcharge and without, before the change and after.
    assert {("input", usd) for usd in ("3", "3.3", "3.31", "3.641")} <= charged
    assert {"us", "eu"} == {row["region"] for row in invoice if row["service"] == "chat"}
    assert {"completed", "error"} == {job["status"] for job in all_jobs}
    assert any(row["model"] == "gpt-5-mini" for row in invoice)
    assert len(all_jobs) > sum(len(client.jobs) for client in clients) + 2 * TEAMS
    assert sum(client.retries for client in clients) > 5 * TEAMS


def print_table(
    teams: list[TeamAccess],
    table: dict[str, tuple[int, int, int, int]],
    clients: list[Client],
    counts: Any,
) -> None:
    form = "{:8} {:>5} {:>6} {:>12} {:>12} {:>10}".format
    print("\n" + form("team", "jobs", "chats", "ledger", "invoice", "difference"))
    sums = tuple(sum(column) for column in zip(*table.values(), strict=True))
    for alias, (speech, chat, ledger, invoice) in {
        **{team.alias: table[team.id] for team in teams},
        "all": sums,
    }.items():
        print(form(alias, speech, chat, _usd(ledger), _usd(invoice), _usd(ledger - invoice)))
    print(f"clients' retries: {sum(client.retries for client in clients)}")
    for name, value in counts.items():
        print(f"{name}: {value:,}")


def _usd(micros: int) -> str:
    return f"${Decimal(micros) / 1_000_000:.6f}"

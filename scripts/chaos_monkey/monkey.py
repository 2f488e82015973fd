"""Round after round: start gateways, let the clients work, kill; at the end, wait and examine the books."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
import orjson
from account_books import Verdict, examine_budgets, examine_chats, examine_jobs, read, unfinished

from aai_gateway.core.budgets import Budget
from aai_gateway.core.tenancy import Team as StoredTeam
from aai_gateway.core.tenancy import VirtualKey, hash_key, mask_key, new_virtual_key
from aai_gateway.demo.processes import own_environment
from aai_gateway.store import Store, keys, teams
from chaos_monkey.clients import Client, Known, Team
from chaos_monkey.gateways import Gateways

TEAMS = 5
CLIENTS = 12
TIGHT_MICROS = 3000
"""About ten of the shortest jobs."""
TIGHT_ROUNDS = 8
"""Rounds after which the clients of the tight budget get a new team with such a budget."""
PROXY_EVERY = 15
"""Every so many rounds the whole LiteLLM proxy is started and killed, with chat."""
PROXY_SECONDS = (0.5, 6.0)
LIGHT_SECONDS = (0.0, 2.0)
"""When they are killed, after they came to serve."""
HEARD = (0, 1, 4, 8)
"""How many jobs clients heard of by then, however slow the machine is."""
SETTLED_SECONDS = 240.0
"""Within this all must be settled in the end."""

CLI = "from aai_gateway.cli.main import main; main()"

Moment = Literal["start-up", "random", "just accepted"]

TROUBLE: tuple[dict[str, Any], ...] = (
    {"method": "POST", "path": "/v2/transcript", "status": 500, "count": 2},
    {"method": "POST", "path": "/v2/transcript", "status": 429, "retry_after": 1, "count": 2},
    {"method": "POST", "path": "/v2/transcript", "cut": True},
    {"method": "POST", "path": "/v2/transcript", "cut": True, "after": True, "count": 2},
    {"method": "POST", "path": "/v2/transcript", "status": 503, "after": True},
    {"method": "POST", "path": "/v2/transcript", "delay_seconds": 5.5, "after": True},
    {"method": "GET", "path": "/v2/transcript/*", "status": 500, "count": 5},
    {"method": "GET", "path": "/v2/transcript/*", "cut": True, "count": 5},
    {"method": "GET", "path": "/v2/transcript", "status": 503, "count": 2},
    {"method": "DELETE", "path": "/v2/transcript/*", "cut": True, "after": True},
    {"method": "POST", "path": "/v1/chat/completions", "cut": True, "after": True},
    {"method": "POST", "path": "/v1/chat/completions", "status": 503},
    {"method": "POST", "path": "/v1/chat/completions", "delay_seconds": 1.5, "count": 2},
)
"""What goes wrong at AssemblyAI meanwhile, one at a time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many kills, within how many minutes at most; processes in the rounds with several."""

    kills: int
    seed: int
    workers: int
    minutes: float | None


@dataclass
class Told:
    """What happened, for the table."""

    kills: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    trouble: int = 0
    under_way: int = 0
    """Clients' requests that a kill cut off."""
    amid: Counter[str] = field(default_factory=Counter)
    """Kills amid unfinished business, by its kind."""
    seconds: float = 0.0


class Monkey:
    """One run against one emulated account and one store."""

    def __init__(self, plan: Plan, gateways: Gateways) -> None:
        self._plan = plan
        self._gateways = gateways
        self._random = random.Random(plan.seed)  # noqa: S311 - repeatable, not secret
        self._chatting = asyncio.Event()
        self._teams: list[Team] = []
        self.known = Known()
        self.told = Told()

    async def run(self) -> Verdict:
        """Kill as often as planned, let all be settled, and judge."""
        started = time.monotonic()
        await self._make_teams()
        async with self._clients() as clients, aiohttp.ClientSession(self._gateways.urls.us) as emulator:
            for number in range(self._plan.kills):
                if self._plan.minutes is not None and time.monotonic() - started > 60 * self._plan.minutes:
                    break
                if number % TIGHT_ROUNDS == 0:
                    clients[-1].next_team = clients[-2].next_team = await self._new_team(tight=True)
                await self._round(number, emulator)
                if (number + 1) % 10 == 0 or number + 1 == self._plan.kills:
                    self._progress(number + 1, time.monotonic() - started)
        async with aiohttp.ClientSession(self._gateways.urls.us) as emulator:
            await emulator.delete("/_emulator/faults")
            left = await self._settle(clients[-1])
            verdict = await self._judged(emulator)
        self.told.seconds = time.monotonic() - started
        unsettled = [f"{count} {what}" for what, count in left.items()]
        return verdict.joined(Verdict({}, {"unsettled": unsettled}))

    # -- a round ------------------------------------------------------------------------------------------

    async def _round(self, number: int, emulator: aiohttp.ClientSession) -> None:
        proxy = number % PROXY_EVERY == PROXY_EVERY // 2
        several = self._random.random() < 0.3
        workers = self._plan.workers if several else 1
        moment = self._moment(proxy)
        if self._random.random() < 0.5:
            await self._trouble(emulator)
        self._gateways.start(workers, proxy=proxy)
        if moment == "start-up":
            await asyncio.sleep(self._random.uniform(0, 2.5 if proxy else 0.08))
        else:
            await self._gateways.serving()
            if proxy:
                self._chatting.set()
            heard = self.known.heard + self._random.choice(HEARD)
            await asyncio.sleep(self._random.uniform(*(PROXY_SECONDS if proxy else LIGHT_SECONDS)))
            await self._until(lambda: self.known.heard >= heard and (self.known.chatted or not proxy))
            if moment == "just accepted":
                await self._until_accepted(emulator)
        self.told.under_way += self.known.under_way
        await self._gateways.kill()
        self._chatting.clear()
        self.told.kills[f"{'proxy' if proxy else 'light'}{f' x{workers}' if workers > 1 else ''}"] += 1
        self.told.moments[moment] += 1
        with suppress(Exception):  # no tables yet
            self.told.amid.update(unfinished(self._gateways.store).keys())

    def _moment(self, proxy: bool) -> Moment:
        chance = self._random.random()
        return "start-up" if chance < 0.15 else "just accepted" if chance < 0.4 else "random"

    async def _trouble(self, emulator: aiohttp.ClientSession) -> None:
        fault = dict(self._random.choice(TROUBLE))
        host = self._random.choice(["us", "us", "eu"])
        fault["host"] = f"llm-{host}" if "chat" in fault["path"] else host
        await emulator.post("/_emulator/faults", json=fault)
        self.told.trouble += 1

    async def _until(self, look: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not look() and time.monotonic() < deadline:  # noqa: ASYNC110 - it is clients who change it
            await asyncio.sleep(0.02)

    async def _until_accepted(self, emulator: aiohttp.ClientSession) -> None:
        """Return in the moment after AssemblyAI has made a job and before it says so."""
        late = {"method": "POST", "path": "/v2/transcript", "after": True, "delay_seconds": 20.0, "count": 50}
        await emulator.delete("/_emulator/faults")
        await emulator.post("/_emulator/faults", json=late)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            async with emulator.get("/_emulator/faults") as answer:
                if [fault["count"] for fault in await answer.json()] != [50]:
                    break
            await asyncio.sleep(0.01)
        await emulator.delete("/_emulator/faults")

    # -- before and after ---------------------------------------------------------------------------------

    async def _make_teams(self) -> None:
        self._teams = [await self._new_team() for _ in range(TEAMS)]

    async def _new_team(self, *, tight: bool = False) -> Team:
        """A team in the store, made beside the gateway, as another process may."""
        key = new_virtual_key()
        team = Team(f"{'tight' if tight else 'team'}-{self._random.randrange(16**8):08x}", key, tight)
        store = await Store.open(f"sqlite:///{self._gateways.store}")
        try:
            async with store.write() as connection:
                budget = Budget(max_micros=TIGHT_MICROS if tight else None)
                await teams.create(connection, StoredTeam(id=team.id, alias=team.id, budget=budget))
                stored = VirtualKey(hash=hash_key(key), masked=mask_key(key), team_id=team.id)
                await keys.create(connection, stored)
        finally:
            await store.close()
        return team

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[list[Client]]:
        """The clients at work; the last two are of the team with the tight budget."""
        clients = [
            Client(number, self._plan.seed, self._gateways.url, self.known, self._chatting)
            for number in range(CLIENTS)
        ]
        for number, client in enumerate(clients):
            client.next_team = self._teams[number % TEAMS]
        working = [asyncio.ensure_future(client.run()) for client in clients]
        try:
            yield clients
        finally:
            for task in working:
                task.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
            for error in ended:
                if isinstance(error, Exception):
                    raise error

    async def _settle(self, tight: Client) -> dict[str, int]:
        """Let one gateway live until nothing is left to do; what is left when it takes too long.

        Before that, what the kills left of a tight budget is spent, and no more than that may be.
        """
        self._gateways.start(1, proxy=False)
        await self._gateways.serving()
        await tight.spend_all()
        deadline = time.monotonic() + SETTLED_SECONDS
        while (left := unfinished(self._gateways.store)) and time.monotonic() < deadline:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.5)
        await self._gateways.stop()
        return left

    async def _judged(self, emulator: aiohttp.ClientSession) -> Verdict:
        async with emulator.get("/_emulator/jobs") as answer:
            jobs = [orjson.loads(line) for line in (await answer.read()).splitlines()]
        async with emulator.get("/_emulator/invoice") as answer:
            invoice = (await answer.json())["rows"]
        store = self._gateways.store
        verdict = examine_jobs(jobs, store, self.known.team_of)
        verdict = verdict.joined(examine_budgets(store))
        verdict = verdict.joined(examine_chats(self.known.chats, invoice, store))
        verdict = verdict.joined(self._examine_answers(jobs))
        return verdict.joined(Verdict({}, {"reconcile differs": await self._reconciled()}))

    async def _reconciled(self) -> list[str]:
        """What `aai-gateway reconcile` finds: it is a second witness, and must find nothing."""
        environment = own_environment(**self._gateways.environment | {"AAI_GATEWAY_SETTLE_RATE": "1000"})
        found = []
        for region in ("us", "eu"):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", CLI, "reconcile", "--region", region, "--since", "1d"),
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            out, _ = await process.communicate()
            if process.returncode != 0:
                found.append(f"{region}, exit status {process.returncode}: {out.decode()}")
        return found

    def _examine_answers(self, jobs: list[dict[str, Any]]) -> Verdict:
        """The ids that the gateway answered are jobs of those teams."""
        made = {(job["region"], job["id"]): self.known.team_of(job) for job in jobs}
        wrong = [str(key) for key, team in self.known.jobs.items() if made.get(key) != team]
        ends = Counter(row["outcome"] for row in read(self._gateways.store, "SELECT outcome FROM intents"))
        counts = {
            "jobs that a client heard of": len(self.known.jobs),
            "submissions without an answer": self.known.unanswered,
            "submissions over a budget": self.known.refused,
            **{f"intents {outcome}": count for outcome, count in sorted(ends.items())},
        }
        return Verdict(counts, {"wrong answer": wrong})

    def _progress(self, kills: int, seconds: float) -> None:
        known = self.known
        print(
            f"… {kills} kills in {seconds:.0f} s: {len(known.jobs)} jobs answered, "
            f"{known.unanswered} submissions without an answer, {known.refused} over a budget, "
            f"{len(known.chats)} chats; now {unfinished(self._gateways.store)}",
            file=sys.stderr,
            flush=True,
        )

"""Three months of the company's work as it stands in a store: priced as the gateway prices it."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import MICROS_PER_DOLLAR, Budget
from aai_gateway.core.limits import Limits
from aai_gateway.core.prices import Cost, SpeechJob, TokenUsage, price_chat, price_speech
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.core.traffic import Served, Tally, minute_of
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.price_book import load_price_book
from aai_gateway.store import (
    Store,
    holds,
    intents,
    keys,
    reconciliations,
    schema,
    teams,
    traffic,
    transcripts,
    usage_sums,
)
from aai_gateway.store.holds import Hold
from aai_gateway.store.intents import Intent
from aai_gateway.store.reconciliations import Reconciliation
from aai_gateway.store.transcripts import Transcript
from pictures import NOW
from pictures.company import COMPANY, Maker

SEED = 20261126
FIRST_DAY = date(2026, 9, 1)
FAILED = 0.012
HOURS = (0.5, 0.2, 0.1, 0.1, 0.2, 0.6, 2, 5, 9, 11, 11, 10, 8, 9, 11, 11, 9, 6, 4, 3, 2.5, 2, 1.5, 1)
"""How much of a day's work falls in each hour, UTC."""


@dataclass(frozen=True)
class Desk:
    """A team and its keys, as the store has them."""

    maker: Maker
    team: Team
    keys: tuple[VirtualKey, ...]

    @property
    def owner(self) -> str:
        """The owner of what it makes."""
        return f"team:{self.team.id}"


async def fill(store: Store) -> None:
    """Write everything that the pages show."""
    desks = [_desk(maker) for maker in COMPANY]
    async with store.write() as connection:
        for desk in desks:
            await teams.create(connection, desk.team)
            for key in desk.keys:
                await keys.create(connection, key)
        await keys.note_used(
            connection, {k.hash: k.last_used_at for d in desks for k in d.keys if k.last_used_at}
        )
        days = [FIRST_DAY + timedelta(days=day) for day in range((NOW.date() - FIRST_DAY).days + 1)]
        work = [pair for day in days for pair in _work(desks, day)]
        await _book(connection, [row for _, row in work], days)
        await connection.execute(
            sa.insert(schema.transcripts),
            [_values(transcript) for transcript, _ in work if transcript is not None],
        )
        await _under_way(connection, desks)
        for hours_back in range(24):
            await traffic.add(connection, _requests(hours_back).take())
        for region, compared in ((Region.US, 5213), (Region.EU, 2087)):
            since, at = NOW - timedelta(days=30), NOW.replace(hour=4, minute=10)
            await reconciliations.record(
                connection, Reconciliation(region, since, at, False, compared, 0, 0, 0, 0, at)
            )


async def _book(connection: AsyncConnection, rows: Sequence[UsageRow], days: Sequence[date]) -> None:
    """Write the rows and what they add up to, all at once: one at a time takes minutes."""
    values = [
        _values(row) | {"id": number, "day": f"{row.created_at:%Y-%m-%d}"}
        for number, row in enumerate(rows, 1)
    ]
    await connection.execute(sa.insert(schema.usage), values)
    tags = [{"usage_id": number, "tag": tag} for number, row in enumerate(rows, 1) for tag in row.tags]
    await connection.execute(sa.insert(schema.usage_tags), tags)
    for day in days:
        await usage_sums.rebuild_day(connection, day)
    for month in dict.fromkeys(day.replace(day=1) for day in days):
        await usage_sums.rebuild_month(connection, month)
    this_month = NOW.replace(day=1, hour=0, minute=0)
    for table, is_it, name in (
        (schema.teams, schema.teams.c.id, "team_id"),
        (schema.virtual_keys, schema.virtual_keys.c.hash, "key_hash"),
    ):
        spent = Counter[str]()
        for row in rows:
            if row.created_at >= this_month:
                spent[getattr(row, name)] += row.micros
        for one, micros in spent.items():
            limited = sa.and_(is_it == one, table.c.budget_duration.is_not(None))
            changes = {"spent_micros": micros, "budget_resets_at": datetime(2026, 12, 1, tzinfo=timezone.utc)}
            await connection.execute(sa.update(table).where(limited).values(**changes))


def _values(thing: UsageRow | Transcript) -> dict[str, Any]:
    """A row's columns; the store numbers it."""
    values = {name: value for name, value in asdict(thing).items() if name not in ("id", "seq")}
    kept = {"id": thing.id} if isinstance(thing, Transcript) else {}
    return {**values, **kept, "region": thing.region.value, "tags": list(thing.tags)}


def _desk(maker: Maker) -> Desk:
    chance = _chance(maker.name)
    micros = None if maker.budget is None else maker.budget * MICROS_PER_DOLLAR
    budget = Budget(
        max_micros=micros,
        soft_micros=None if micros is None else micros * 4 // 5,
        duration=None if micros is None else "1mo",
    )
    began = datetime(2026, chance.randrange(2, 8), chance.randrange(1, 28), 9, 30, tzinfo=timezone.utc)
    team = Team(
        id=maker.name.lower().replace(" ", "-"),
        alias=maker.name,
        regions=(Region.EU,) if maker.is_eu_only else ALL_REGIONS,
        budget=budget,
        created_at=began,
        limits=Limits(requests_per_minute=maker.rpm, concurrent_jobs=maker.jobs_at_once),
    )
    return Desk(maker, team, tuple(_key(team, alias, place) for place, alias in enumerate(maker.keys)))


def _key(team: Team, alias: str, place: int) -> VirtualKey:
    secret = f"sk-{hashlib.sha256(alias.encode()).hexdigest()}"
    assert team.created_at is not None
    return VirtualKey(
        hash=hash_key(secret),
        masked=mask_key(secret),
        alias=alias,
        team_id=team.id,
        created_at=team.created_at + timedelta(days=place * 9),
        last_used_at=NOW - timedelta(minutes=(3, 47, 1570)[place]),
        read_only=place == 2,
        budget=Budget(max_micros=60 * MICROS_PER_DOLLAR, duration="1mo") if place == 1 else Budget(),
    )


def _work(desks: list[Desk], day: date) -> Iterator[tuple[Transcript | None, UsageRow]]:
    """A day's transcripts and completions, in the order in which they ended."""
    made: list[tuple[Transcript | None, UsageRow]] = []
    for desk in desks:
        chance = _chance(f"{desk.maker.name} {day}")
        share = (desk.maker.weekend if day.weekday() >= 5 else 1.0) * chance.uniform(0.75, 1.25)
        share *= desk.maker.growth ** (day.month - NOW.month)
        made += [_job(desk, chance, day) for _ in range(round(desk.maker.jobs * share))]
        made += [(None, _chat(desk, chance, day)) for _ in range(round(desk.maker.chats * share))]
    ended = [pair for pair in made if pair[1].created_at <= NOW - timedelta(minutes=1)]
    yield from sorted(ended, key=lambda pair: pair[1].created_at)


def _job(desk: Desk, chance: random.Random, day: date) -> tuple[Transcript, UsageRow]:
    maker = desk.maker
    region, key, at = _region(maker, chance), _key_of(desk, chance), _moment(chance, day)
    shortest, longest = maker.minutes
    seconds = round(60 * chance.triangular(shortest, longest, (2 * shortest + longest) / 3))
    failed = chance.random() < FAILED
    addons = tuple(name for name, likely in maker.add_ons.items() if chance.random() < likely)
    job = SpeechJob(maker.speech, 0 if failed else seconds, maker.channels, addons, failed, at)
    id_ = _id(chance)
    row = UsageRow(
        "speech",
        id_,
        region,
        desk.owner,
        **_priced(price_speech(load_price_book(), job)),
        team_id=desk.team.id,
        key_hash=key.hash,
        status="error" if failed else "completed",
        audio_seconds=job.seconds * maker.channels,
        channels=maker.channels,
        tags=_tags(maker, chance),
        created_at=at,
    )
    transcript = Transcript(
        id_,
        region,
        desk.owner,
        audio_url="https://cdn.assemblyai.com/upload/",
        requested={"speech_models": [maker.speech]},
        team_id=desk.team.id,
        key_hash=key.hash,
        status=row.status,
        error="Transcoding failed. File does not appear to contain audio." if failed else None,
        created_at=at - timedelta(seconds=20 + seconds // 60),
        completed_at=at,
        settled_at=at,
    )
    return transcript, row


def _chat(desk: Desk, chance: random.Random, day: date) -> UsageRow:
    region, at = _region(desk.maker, chance), _moment(chance, day)
    model = chance.choice(desk.maker.models)
    if region is Region.EU and model.startswith("gpt"):
        region = Region.US
    tokens = TokenUsage(
        prompt=int(chance.lognormvariate(9.6, 0.7)), completion=int(chance.lognormvariate(6.6, 0.6))
    )
    cost = price_chat(load_price_book(), region, model, tokens, global_region=False, at=at)
    return UsageRow(
        "chat",
        _id(chance),
        region,
        desk.owner,
        **_priced(cost),
        team_id=desk.team.id,
        key_hash=_key_of(desk, chance).hash,
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        tags=_tags(desk.maker, chance),
        created_at=at,
    )


def _priced(cost: Cost) -> dict[str, Any]:
    items = [
        {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in asdict(item).items()
            if value is not False
        }
        for item in cost.items
    ]
    return {"micros": cost.micros, "items": items, "model": cost.model}


def _region(maker: Maker, chance: random.Random) -> Region:
    return Region.EU if chance.random() < maker.eu else Region.US


def _key_of(desk: Desk, chance: random.Random) -> VirtualKey:
    return desk.keys[min(int(chance.expovariate(1.1)), len(desk.keys) - 1)]


def _tags(maker: Maker, chance: random.Random) -> tuple[str, ...]:
    return tuple(tag for tag in maker.tags if chance.random() < 0.45)


def _moment(chance: random.Random, day: date) -> datetime:
    hour = chance.choices(range(24), HOURS)[0]
    moment = time(hour, chance.randrange(60), chance.randrange(60), tzinfo=timezone.utc)
    return datetime.combine(day, moment)


def _id(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"9{digits[17:20]}", digits[20:]))


async def _under_way(connection: AsyncConnection, desks: list[Desk]) -> None:
    """Jobs that run, two that have ended and are not settled yet, and a submission without an answer."""
    chance = _chance("under way")
    for number in range(11):
        desk = desks[(0, 1, 0, 4, 2, 1, 5, 0, 3, 8, 7)[number]]
        region, key, at = (
            _region(desk.maker, chance),
            _key_of(desk, chance),
            NOW - timedelta(seconds=9 + 13 * number),
        )
        status = "completed" if number >= 9 else "processing" if number > 1 else "queued"
        intent = f"{chance.getrandbits(128):032x}"
        tags = _tags(desk.maker, chance)
        transcript = Transcript(
            _id(chance),
            region,
            desk.owner,
            audio_url="https://cdn.assemblyai.com/upload/",
            requested={"speech_models": [desk.maker.speech]},
            team_id=desk.team.id,
            key_hash=key.hash,
            intent_id=intent,
            status=status,
            created_at=at,
            completed_at=NOW if status == "completed" else None,
            tags=tags,
        )
        await transcripts.record(connection, transcript)
        hold = Hold(
            intent,
            "speech",
            region,
            desk.owner,
            chance.randrange(90_000, 900_000),
            expires_at=NOW + timedelta(hours=1),
            team_id=desk.team.id,
            key_hash=key.hash,
            created_at=at,
        )
        await holds.place(connection, hold)
    first = desks[0]
    sent = Intent(
        Region.US, first.owner, "https://cdn.assemblyai.com/upload/", team_id=first.team.id, created_at=NOW
    )
    await intents.open(connection, sent)


_OPERATIONS = (
    ("get", 60.0, 0.0009, (420, 14_000)),
    ("submit", 3.2, 0.0042, (640, 1500)),
    ("chat", 2.6, 0.0068, (24_000, 6200)),
    ("upload", 1.4, 0.0061, (9_400_000, 140)),
    ("list", 1.1, 0.0031, (380, 21_000)),
    ("sentences", 0.8, 0.0011, (410, 88_000)),
    ("srt", 0.5, 0.0010, (400, 31_000)),
    ("models", 0.25, 0.0026, (350, 9_800)),
    ("delete", 0.1, 0.0038, (390, 900)),
)
"""Requests a minute at full work, seconds that the gateway adds, bytes in and out."""


def _requests(hours_back: int) -> Tally:
    """What was asked in one of the last hours, by the minute."""
    chance, tally = _chance(f"requests {hours_back}"), Tally()
    for back in range(hours_back * 60, hours_back * 60 + 60):
        minute = NOW - timedelta(minutes=back)
        named, busy = minute_of(minute), HOURS[minute.hour] / max(HOURS)
        for operation, a_minute, added, (bytes_in, bytes_out) in _OPERATIONS:
            for _ in range(_number_of(chance, a_minute * busy)):
                region = "eu" if chance.random() < 0.3 else "us"
                status = chance.choices((200, 400, 429, 401, 502), (9930, 30, 14, 8, 5))[0]
                micros = round(chance.lognormvariate(0, 0.45) * added * 1_000_000)
                scale = chance.lognormvariate(0, 0.5)
                tally.count(
                    Served(operation, region, status, int(bytes_in * scale), int(bytes_out * scale), micros),
                    named,
                )
                host = "llm-gateway" if operation in ("chat", "models") else "api"
                host = f"{host}.eu.assemblyai.com" if region == "eu" else f"{host}.assemblyai.com"
                outcome = (
                    "500" if status == 502 else "429" if status == 429 and chance.random() < 0.5 else "ok"
                )
                if operation != "list" and status not in (400, 401):
                    tally.count_asked(host, outcome, named)
    return tally


def _chance(what: str) -> random.Random:
    return random.Random(f"{SEED} {what}")  # noqa: S311 - repeatable, not secret


def _number_of(chance: random.Random, mean: float) -> int:
    return max(0, round(chance.gauss(mean, mean**0.5)))

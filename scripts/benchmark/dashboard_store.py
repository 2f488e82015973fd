"""A store as a year of 500 teams leaves it, made fast: rows in bulk, then indexes, then the real rebuild.

Rows are as the gateway writes them: priced by the price book, with their line items, over every day of the
year that ends now. Which team, key, day and kind each has is worked out from its number, so that the same
size gives the same store but for its dates.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from aai_gateway.cli.usage_rebuild import Days, make_anew
from aai_gateway.core.budgets import Budget
from aai_gateway.core.costs import Cost
from aai_gateway.core.prices import SpeechJob, TokenUsage, price_chat, price_speech, price_understanding
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.errors import GatewayError
from aai_gateway.price_book import load_price_book
from aai_gateway.store import Store, keys, teams

DAYS = 365
KEYS = 3
"""Of each team."""
SHAPES = 4099
"""Different jobs and completions: a prime, so that numbers spread over all of them."""
TRANSCRIPTS = 1_000_000
"""The newest jobs that have their transcript's row too, at most."""
RUNNING = 400
CHATS = (
    *("claude-sonnet-4-6", "claude-haiku-4-5-20251001", "claude-opus-4-6", "gpt-5"),
    *("gpt-5-mini", "gpt-4.1", "gemini-2.5-flash", "gemini-2.5-pro"),
)
TAGS = tuple(f"project-{number}" for number in range(12))
ADDONS = ("speaker_labels", "entity_detection", "sentiment_analysis", "auto_chapters", "redact_pii")
BUDGET_MICROS = 2_000_000_000

_TABLES = ("usage", "usage_tags", "transcripts")
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
# A multiplication and a remainder stand in for chance. Squared, some teams have much and most have little.
_USAGE = f"""
INSERT INTO usage (id, service, region, source_id, status, owner, team_id, key_hash, model, priced_as, micros,
  items, audio_seconds, channels, prompt_tokens, completion_tokens, tags, end_user, created_at, day,
  global_region, priced_at)
{_NUMBERS}
SELECT i, s.service, s.region, printf('%08x-0000-4000-8000-%012x', i, h), s.status, k.owner, k.team_id,
  k.key_hash, s.model, NULL, s.micros, s.items, s.audio_seconds, 1, s.prompt_tokens, s.completion_tokens,
  CASE WHEN h % 7 = 0 THEN '["project-' || (h / 7 % {len(TAGS)}) || '"]' ELSE '[]' END, NULL,
  :day || ' ' || time((i - :first) * :seconds / (:last - :first + 1), 'unixepoch') || '.000000', :day, 0,
  :day || ' 00:00:00.000000'
FROM (SELECT i, i * 2654435761 % 4294967291 AS h FROM n)
JOIN bench_shapes s ON s.n = h % {SHAPES}
JOIN bench_keys k ON k.n = {KEYS} * CAST(:teams * (h % 99991 / 99991.0) * (h % 99991 / 99991.0) AS INTEGER)
  + h / 11 % {KEYS}
"""  # noqa: S608 - our own numbers
_USAGE_TAGS = """
INSERT INTO usage_tags (usage_id, tag) SELECT id, json_extract(tags, '$[0]') FROM usage
WHERE id BETWEEN :first AND :last AND tags != '[]'
"""
_TRANSCRIPTS = """
INSERT INTO transcripts (region, id, owner, team_id, key_hash, audio_url, requested, status, error, throttled,
  created_at, completed_at, settled_at, deleted_at, attempts, tags)
SELECT region, source_id, owner, team_id, key_hash, 'https://example.org/audio.wav',
  '{"speaker_labels":true}', status, CASE status WHEN 'error' THEN 'Download error' END, 0,
  created_at, created_at, created_at, CASE WHEN id % 40 = 0 THEN created_at END, 0, tags
FROM usage WHERE service = 'speech' AND id > :after ORDER BY id LIMIT :most
"""
_RUNNING = f"""
INSERT INTO transcripts (region, id, owner, team_id, key_hash, intent_id, audio_url, requested, status,
  throttled, created_at, next_check_at, attempts, tags)
{_NUMBERS}
SELECT CASE WHEN i % 3 = 0 THEN 'eu' ELSE 'us' END, printf('running-%d', i), k.owner, k.team_id, k.key_hash,
  printf('hold-%d', i), 'https://example.org/audio.wav', '{{}}',
  CASE WHEN i % 4 = 0 THEN 'queued' ELSE 'processing' END, 0, :now, :later, 0, '[]'
FROM n JOIN bench_keys k ON k.n = i % ({KEYS} * :teams)
"""  # noqa: S608 - our own numbers
_HOLDS = """
INSERT INTO holds (id, service, region, owner, team_id, key_hash, micros, created_at, expires_at, tags)
SELECT intent_id, 'speech', region, owner, team_id, key_hash, 37500, created_at, :later, '[]'
FROM transcripts WHERE settled_at IS NULL
"""
_BUDGETS = (
    """UPDATE teams SET
      lifetime_micros = (SELECT COALESCE(SUM(micros), 0) FROM usage_sums
        WHERE team_id = teams.id AND part = 'total' AND length(period) = 7),
      spent_micros = (SELECT COALESCE(SUM(micros), 0) FROM usage_sums
        WHERE team_id = teams.id AND part = 'total' AND period = :month),
      held_micros = (SELECT COALESCE(SUM(micros), 0) FROM holds WHERE team_id = teams.id)""",
    """UPDATE teams SET max_micros = CASE WHEN rowid % 10 = 0 THEN NULL
      ELSE spent_micros * (101 + rowid * 37 % 60) / 100 + 1000000 END""",
    """UPDATE virtual_keys SET
      lifetime_micros = (SELECT COALESCE(SUM(micros), 0) FROM usage_sums WHERE team_id = virtual_keys.team_id
        AND part = 'key' AND length(period) = 7 AND name = virtual_keys.hash),
      held_micros = (SELECT COALESCE(SUM(micros), 0) FROM holds WHERE key_hash = virtual_keys.hash)""",
    "UPDATE virtual_keys SET spent_micros = lifetime_micros",
    """UPDATE gateway_budget SET lifetime_micros = (SELECT SUM(lifetime_micros) FROM teams),
      spent_micros = (SELECT SUM(lifetime_micros) FROM teams),
      held_micros = (SELECT SUM(micros) FROM holds)""",
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled store: how large, and the teams with the most and with an average number of rows."""

    path: Path
    rows: int
    transcripts: int
    sums: int
    teams: int
    largest: str
    middle: str
    largest_rows: int
    bytes: int

    @property
    def url(self) -> str:
        """The store as `Store.open` takes it."""
        return f"sqlite:///{self.path}"


def team_key(number: int, key: int) -> str:
    """The secret of a team's key."""
    return f"sk-bench-{number:04d}-{key}-0123456789abcdef"


def team_id(number: int) -> str:
    """The id of a team."""
    return f"team-{number:04d}"


def fill(path: Path, rows: int, team_count: int, tell: Callable[[str], None]) -> Filled:
    """Make the store at `path`, or use the one that is there; GatewayError when that has fewer rows."""
    if not path.exists():
        asyncio.run(_make(path, rows, team_count, tell))
    found = _described(path, team_count)
    if found.rows < rows:
        raise GatewayError(f"{path} has {found.rows:,} rows; leave --folder out, or choose an empty one.")
    return found


async def _make(path: Path, rows: int, team_count: int, tell: Callable[[str], None]) -> None:
    part = path.with_name("filling.db")
    for left in part.parent.glob(f"{part.name}*"):
        left.unlink()
    store = await Store.open(f"sqlite:///{part}")
    try:
        tell(f"{team_count:,} teams with {KEYS} keys each")
        async with store.write() as connection:
            for number in range(team_count):
                budget = Budget(max_micros=BUDGET_MICROS, duration="1mo")
                await teams.create(connection, Team(team_id(number), f"Team {number:04d}", budget=budget))
                for key in range(KEYS):
                    await keys.create(connection, _key(number, key))
        today = datetime.now(timezone.utc).date()
        first = today - timedelta(days=DAYS - 1)
        with _bulk(part) as bulk:
            _fill_rows(bulk, rows, team_count, tell)
        started = time.monotonic()
        tell("sums by `usage rebuild`")
        await make_anew(store, Days(first, today))
        tell(f"sums of {DAYS} days in {time.monotonic() - started:,.0f} s")
    finally:
        await store.close()
    file = sqlite3.connect(part, isolation_level=None)
    for query in _BUDGETS:
        file.execute(query, {"month": f"{today:%Y-%m}"} if ":month" in query else {})
    # Closed by its last user, the file is whole without its log.
    file.close()
    part.rename(path)


def _key(number: int, key: int) -> VirtualKey:
    secret = team_key(number, key)
    alias = f"{team_id(number)}-key-{key}"
    return VirtualKey(hash_key(secret), mask_key(secret), alias=alias, team_id=team_id(number))


@contextmanager
def _bulk(path: Path) -> Iterator[sqlite3.Connection]:
    """The store without its indexes and without care for a power failure, and whole again after."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = OFF", "cache_size = -1000000", "temp_store = MEMORY", "threads = 2"):
        connection.execute(f"PRAGMA {pragma}")
    marks = ", ".join("?" * len(_TABLES))
    query = f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql > '' AND tbl_name IN ({marks})"  # noqa: S608 - marks
    indexes = connection.execute(query, _TABLES).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield connection
    for _, sql in indexes:
        connection.execute(sql)
    for table in ("bench_shapes", "bench_keys"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _fill_rows(
    connection: sqlite3.Connection, rows: int, team_count: int, tell: Callable[[str], None]
) -> None:
    _shapes(connection)
    connection.execute("CREATE TABLE bench_keys (n INTEGER PRIMARY KEY, owner, team_id, key_hash)")
    connection.executemany(
        "INSERT INTO bench_keys VALUES (?, ?, ?, ?)",
        (
            (KEYS * number + key, f"team:{team_id(number)}", team_id(number), hash_key(team_key(number, key)))
            for number in range(team_count)
            for key in range(KEYS)
        ),
    )
    now = datetime.now(timezone.utc)
    for number in range(DAYS):
        day = (now - timedelta(days=DAYS - 1 - number)).date()
        is_today = number == DAYS - 1
        values: dict[str, Any] = {
            "first": rows * number // DAYS + 1,
            "last": rows * (number + 1) // DAYS,
            "day": f"{day:%Y-%m-%d}",
            "seconds": now.hour * 3600 + now.minute * 60 + now.second if is_today else 86_400,
            "teams": team_count,
        }
        connection.execute("BEGIN")
        connection.execute(_USAGE, values)
        connection.execute(_USAGE_TAGS, {name: values[name] for name in ("first", "last")})
        connection.execute("COMMIT")
        if number % 30 == 29 or is_today:
            tell(f"{values['last']:,} of {rows:,} rows of usage")
    later = f"{now + timedelta(days=30):%Y-%m-%d %H:%M:%S.%f}"
    after = max(0, rows - 2 * TRANSCRIPTS)
    connection.execute("BEGIN")
    connection.execute(_TRANSCRIPTS, {"after": after, "most": TRANSCRIPTS})
    running = {"first": 1, "last": RUNNING, "teams": team_count, "later": later}
    connection.execute(_RUNNING, running | {"now": f"{now:%Y-%m-%d %H:%M:%S.%f}"})
    connection.execute(_HOLDS, {"later": later})
    connection.execute("COMMIT")
    tell("indexes")


def _shapes(connection: sqlite3.Connection) -> None:
    """What rows are of: speech in both regions with and without add-ons, chats by model, understanding."""
    connection.execute(
        "CREATE TABLE bench_shapes (n INTEGER PRIMARY KEY, service, region, status, model, micros, items, "
        "audio_seconds, prompt_tokens, completion_tokens)"
    )
    chance = random.Random(1)  # noqa: S311 - made-up data
    connection.executemany(
        "INSERT INTO bench_shapes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((number, *_shape(chance)) for number in range(SHAPES)),
    )


def _shape(chance: random.Random) -> tuple[Any, ...]:
    book, now = load_price_book(), datetime.now(timezone.utc)
    region = Region.EU if chance.random() < 0.35 else Region.US
    kind = chance.random()
    if kind < 0.55:
        failed = chance.random() < 0.02
        model = chance.choice(("universal-3-pro", "universal-2", "universal-2"))
        addons = tuple(addon for addon in ADDONS if chance.random() < 0.2)
        seconds = 0 if failed else chance.randrange(20, 5_400)
        cost = price_speech(book, SpeechJob(model, seconds, 1, addons, failed, now))
        return ("speech", region.value, "error" if failed else "completed", *_money(cost), seconds, 0, 0)
    if kind < 0.98:
        tokens = TokenUsage(chance.randrange(200, 20_000), chance.randrange(20, 1_500))
        model = chance.choice(CHATS)
        cost = price_chat(book, region, model, tokens, global_region=False, at=now)
        return ("chat", region.value, "completed", *_money(cost), 0, tokens.prompt, tokens.completion)
    seconds = chance.randrange(20, 5_400)
    cost = price_understanding(book, ("speech_understanding.translation",), seconds, at=now)
    return ("understanding", region.value, "completed", *_money(cost), seconds, 0, 0)


def _money(cost: Cost) -> tuple[str, int, str]:
    """Model, micro-dollars and line items, as the gateway books them."""
    items = [
        {
            "name": item.name,
            "quantity": item.quantity,
            "unit": item.unit,
            "unit_price": str(item.unit_price),
            "micros": item.micros,
            **({"fallback": True} if item.fallback else {}),
        }
        for item in cost.items
    ]
    return cost.model, cost.micros, json.dumps(items, separators=(",", ":"))


def _described(path: Path, team_count: int) -> Filled:
    connection = sqlite3.connect(path)
    by_team = connection.execute(
        "SELECT team_id, SUM(jobs) FROM usage_sums WHERE part = 'total' AND length(period) = 7 "
        "AND team_id != '*' GROUP BY team_id ORDER BY 2 DESC"
    ).fetchall()
    counts = [
        int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])  # noqa: S608 - our tables
        for table in ("usage", "transcripts", "usage_sums")
    ]
    connection.close()
    rows, transcripts, sums = counts
    size = path.stat().st_size
    average = rows / max(1, len(by_team))
    middle = min(by_team, key=lambda one: abs(one[1] - average))[0]
    return Filled(path, rows, transcripts, sums, team_count, by_team[0][0], middle, int(by_team[0][1]), size)

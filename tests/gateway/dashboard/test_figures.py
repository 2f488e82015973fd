"""Every figure on the pages is the ledger's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest
from dashboard_client import browser, sign_in
from figures_on_page import FiguresOnPage
from opened_gateway import MASTER, opened_gateway
from random_usage import random_rows

from aai_gateway.core.budgets import Budget
from aai_gateway.core.statements import to_csv
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.emulator import Emulator
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.dashboard.spending import service_name
from aai_gateway.store import keys, statements, teams, usage, usage_lines
from aai_gateway.store.usage import UsageFilter

NOVEMBER = UsageFilter(
    since=datetime(2026, 11, 1, tzinfo=timezone.utc), until=datetime(2026, 12, 1, tzinfo=timezone.utc)
)
DAYS = UsageFilter(
    since=datetime(2026, 11, 3, tzinfo=timezone.utc), until=datetime(2026, 12, 13, tzinfo=timezone.utc)
)
RANGES = [("month=2026-11", NOVEMBER), ("from=2026-11-03&to=2026-12-12", DAYS)]


@pytest.fixture(scope="module")
def filled(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gateway whose ledger has 250 rows of three teams, two keys, and what is nobody's."""
    directory: Path = tmp_path_factory.mktemp("figures")

    async def fill() -> None:
        async with opened_gateway(emulator, directory) as gateway, gateway.store.write() as connection:
            for number in (1, 2, 3):
                budget = Budget(max_micros=10**12, duration="1mo") if number < 3 else Budget()
                await teams.create(connection, Team(f"t{number}", f"team {number}", budget=budget))
            for row in random_rows(11, 250):
                await usage.record(connection, row)

    asyncio.run(fill())
    return directory


@pytest.fixture
async def gateway(emulator: Emulator, filled: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, filled) as gateway:
        yield gateway


@pytest.fixture
async def master(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(gateway) as client:
        await sign_in(client, MASTER)
        yield client


async def figures(client: httpx.AsyncClient, path: str) -> FiguresOnPage:
    answer = await client.get(f"/dashboard{path}")
    assert 200 == answer.status_code, answer.text
    return FiguresOnPage(answer.text)


@pytest.mark.parametrize(("query", "where"), RANGES)
async def test_the_overview_is_the_ledger(
    gateway: Gateway, master: httpx.AsyncClient, query: str, where: UsageFilter
) -> None:
    page = await figures(master, f"?{query}")
    async with gateway.store.read() as connection:
        total = await usage.total(connection, where)
        by_team = await usage.summary(connection, ["team_id"], where)
        by_service = await usage.summary(connection, ["service", "region"], where)
        by_tag = await usage.summary(connection, ["tag"], where)
        by_key = await usage.summary(connection, ["key_hash"], where)

    assert total.micros == page.head["Spent"].micros[0]
    assert [total.audio_seconds, total.jobs] == list(map(int, page.head["Audio"].values))
    tokens = (total.prompt_tokens, total.completion_tokens)
    assert [sum(tokens), *tokens] == list(map(int, page.head["Tokens"].values))
    assert str(total.failed) == page.head["Jobs now"].values[-1]
    for row in by_team:
        name = (
            (row.keys["team_id"] or "no team").replace("t", "team ", 1) if row.keys["team_id"] else "no team"
        )
        assert row.micros == page.row("Teams", name).micros[0]
    for row in by_service:
        name = service_name(row.keys["service"] or "", row.keys["region"] or "")
        assert row.micros == page.row("Services", name).micros[-1]
    tagged = {row.keys["tag"]: (row.jobs, row.micros) for row in by_tag if row.keys["tag"] is not None}
    shown = {row.heading: (int(row.values[0]), row.micros[0]) for row in page.sections["Tags"] if row.values}
    assert tagged == shown
    # The keys of these rows are gone; the sum of what is shown is the whole.
    assert sorted(row.micros for row in by_key) == sorted(
        row.micros[0] for row in page.sections["Keys"] if row.values
    )
    assert total.micros == sum(row.micros[-1] for row in page.sections["Spending by day"] if row.micros)


@pytest.mark.parametrize(("query", "where"), RANGES)
async def test_the_lines_of_each_service_add_up_to_it(
    gateway: Gateway, master: httpx.AsyncClient, query: str, where: UsageFilter
) -> None:
    page = await figures(master, f"?{query}")
    async with gateway.store.read() as connection:
        lines = await usage_lines.line_sums(connection, where)
        models = await usage.summary(connection, ["service", "region", "model"], where)

    group = ""
    shown: dict[tuple[str, str], int] = {}
    for row in page.sections["Services"]:
        if row.heading in ("Speech, US", "Speech, EU", "Chat, US", "Chat, EU"):
            group = row.heading
        elif row.micros:
            shown[group, row.heading] = row.micros[-1]
    expected: dict[tuple[str, str], int] = {}
    for line in lines:
        if line.service == "speech":
            place = service_name("speech", line.region.value), line.name.replace("_", " ")
            expected[place] = expected.get(place, 0) + line.micros
    for row in models:
        if row.keys["service"] == "chat":
            place = service_name("chat", row.keys["region"] or ""), row.keys["model"] or "no model"
            expected[place] = row.micros
    assert expected == shown


@pytest.mark.parametrize(("query", "where"), RANGES)
@pytest.mark.parametrize("team_id", ["t1", "t3"])
async def test_a_teams_page_is_its_ledger(
    gateway: Gateway, master: httpx.AsyncClient, team_id: str, query: str, where: UsageFilter
) -> None:
    page = await figures(master, f"/teams/{team_id}?{query}")
    mine = UsageFilter(team_id=team_id, since=where.since, until=where.until)
    async with gateway.store.read() as connection:
        total = await usage.total(connection, mine)
        chats = await usage.list_rows(connection, UsageFilter(team_id=team_id, service="chat"), limit=8)
        team = await teams.by_id(connection, team_id)

    assert team is not None
    assert total.micros == page.head["Spent"].micros[0]
    assert total.audio_seconds == int(page.head["Audio"].values[0])
    if team.budget.max_micros is not None:
        now = datetime.now(timezone.utc)
        assert team.budget.at(now).left_micros == page.head["Budget per 1mo"].micros[0]
    latest = [row for row in page.sections["Latest chats"] if row.micros]
    assert [row.micros for row in chats] == [row.micros[0] for row in latest]
    assert [str(row.prompt_tokens) for row in chats] == [row.values[0] for row in latest]


async def test_a_list_goes_through_all_chats_by_its_links(
    gateway: Gateway, master: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aai_gateway.gateway.dashboard.team.LISTED", 10)
    async with gateway.store.read() as connection:
        rows = await usage.list_rows(connection, UsageFilter(team_id="t1", service="chat"), limit=1000)
    found: list[int] = []
    link = "/teams/t1/chats"
    while link:
        answer = await master.get(f"/dashboard{link}")
        found += [row.micros[0] for row in FiguresOnPage(answer.text).sections.get("Chats", []) if row.micros]
        older = answer.text.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        link = f"/teams/t1/chats{older}" if older else ""

    assert [row.micros for row in rows] == found


async def test_a_months_statement_is_the_ledgers(gateway: Gateway, master: httpx.AsyncClient) -> None:
    answer = await master.get("/dashboard/teams/t1/statement.csv?month=2026-11")
    async with gateway.store.snapshot() as connection:
        drawn_up = await statements.of_team(connection, "t1", datetime(2026, 11, 1, tzinfo=timezone.utc))

    assert "text/csv; charset=utf-8" == answer.headers["content-type"]
    assert 'attachment; filename="team-1-2026-11.csv"' == answer.headers["content-disposition"]
    assert to_csv(drawn_up) == answer.text
    assert (
        400
        == (await master.get("/dashboard/teams/t1/statement.csv?from=2026-11-01&to=2026-11-02")).status_code
    )


async def test_a_key_that_is_narrowed_sees_its_own_alone(gateway: Gateway) -> None:
    secret = "sk-narrowed-0123456789abcdef"
    key = VirtualKey(hash_key(secret), mask_key(secret), alias="own", team_id="t1", own_only=True)
    async with gateway.store.write() as connection:
        await keys.create(connection, key)
    for number, row in enumerate(random_rows(12, 30)):
        changed = replace(row, team_id="t1", key_hash=key.hash, source_id=f"own-{number}", owner="team:t1")
        async with gateway.store.write() as connection:
            await usage.record(connection, changed)
    async with gateway.store.read() as connection:
        where = UsageFilter(key_hash=key.hash, since=NOVEMBER.since, until=NOVEMBER.until)
        total = await usage.total(connection, where)
    async with browser(gateway) as client:
        await sign_in(client, secret)
        assert 404 == (await client.get("/dashboard/teams/t1")).status_code
        page = await figures(client, "/key?month=2026-11")
        assert total.micros == page.head["Spent"].micros[0]
        assert "/dashboard/key" == (await client.get("/dashboard")).headers["location"]
        assert "team 2" not in (await client.get("/dashboard/key")).text


async def test_a_teams_key_sees_its_team_and_no_other(gateway: Gateway) -> None:
    secret = "sk-of-team-two-0123456789abcdef"
    async with gateway.store.write() as connection:
        await keys.create(connection, VirtualKey(hash_key(secret), mask_key(secret), team_id="t2"))
    async with browser(gateway) as client:
        await sign_in(client, secret)
        assert "/dashboard/teams/t2" == (await client.get("/dashboard")).headers["location"]
        for below in ("", "/transcripts", "/chats", "/statement.csv"):
            assert 200 == (await client.get(f"/dashboard/teams/t2{below}")).status_code
            unknown = await client.get(f"/dashboard/teams/nobody{below}")
            foreign = await client.get(f"/dashboard/teams/t1{below}")
            assert (404, unknown.text) == (foreign.status_code, foreign.text)
        for path in ("/operators", "/audit", "/key"):
            assert (await client.get(f"/dashboard{path}")).status_code in (403, 404)


@pytest.mark.parametrize(
    "query",
    [
        "?month=x",
        "?from=1&to=2",
        "/teams/t1?month=2026-99",
        "/teams/t1/transcripts?state=lost",
        "/teams/t1/transcripts?before=x",
        "/teams/t1/chats?region=mars",
        "/operators?window=9h",
        "/audit?before=x",
    ],
)
async def test_an_address_that_makes_no_sense_is_told_so(master: httpx.AsyncClient, query: str) -> None:
    answer = await master.get(f"/dashboard{query}")

    assert 400 == answer.status_code
    assert "text/html" in answer.headers["content-type"]

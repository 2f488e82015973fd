"""A reader in a real browser: every figure on the pages is the ledger's, and the ledger the invoice."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from browsing import Visiting
from dashboard_work import MANY, Piece, Work, by, command, do_work
from figures_on_page import FiguresOnPage, Row
from gateway_process import GatewayProcess

from aai_gateway.core.tenancy import mask_key
from aai_gateway.emulator import Emulator
from aai_gateway.gateway.dashboard.spending import MOST_LINES, service_name

TODAY = datetime.now(timezone.utc).date()


@pytest.fixture(scope="module")
def work(gateway: GatewayProcess, emulator: Emulator) -> Work:
    return do_work(gateway, emulator, MANY)


def test_signing_in_and_out(visit: Visiting, work: Work, scripts: bool) -> None:
    team = f"/teams/{work.research.id}"
    with visit(scripts=scripts) as reader:
        reader.go(f"{team}?month={TODAY:%Y-%m}")
        assert reader.path.startswith("/sign-in?next=")
        reader.page.get_by_label("Key").fill(f"{work.research.key}x")
        with reader.page.expect_navigation() as refused:
            reader.page.get_by_role("button", name="Sign in").click()
        assert 401 == refused.value.status
        assert "No key is like that" in reader.page.get_by_role("alert").inner_text()
        assert "" == reader.page.get_by_label("Key").input_value()

        reader.page.get_by_label("Key").fill(work.research.key)
        reader.page.get_by_role("button", name="Sign in").click()
        reader.page.get_by_role("heading", name="Research").wait_for()
        assert f"{team}?month={TODAY:%Y-%m}" == reader.path
        (cookie,) = (one for one in reader.context.cookies() if one["name"] == "aai_gateway_session")
        assert (True, "Strict", "/dashboard") == (cookie["httpOnly"], cookie["sameSite"], cookie["path"])
        assert -1 == cookie["expires"], "it ends with the browser"

        reader.page.get_by_role("button", name="Sign out").click()
        reader.page.get_by_role("heading", name="Sign in").wait_for()
        assert "aai_gateway_session" not in {one["name"] for one in reader.context.cookies()}
        reader.page.go_back()
        reader.page.get_by_role("heading", name="Sign in").wait_for()
        assert "Research" not in reader.text
        assert not any(work.research.key in text for text in [*reader.asked, *map(str, reader.documents)])


def test_every_figure_of_the_overview(visit: Visiting, work: Work, scripts: bool) -> None:
    pieces = work.pieces()
    with visit(scripts=scripts) as reader:
        reader.sign_in(work.gateway.master_key)
        page = reader.figures()

    assert_head(page, pieces)
    assert [0, 0, _failed(pieces)] == _numbers(page.head["Jobs now"])
    assert 0 == page.head["Reconciled"].micros[0]
    assert_services(page, pieces)
    assert_chart(page, pieces)
    assert_tags(page, pieces)
    for team, limit in ((work.research, 50_000_000), (work.newsroom, 5_000_000)):
        spent = by(pieces, "team_id")[team.id,]
        assert [spent, limit, limit - spent] == page.row("Teams", team.alias).micros
    for key in (work.research, work.newsroom, work.narrowed):
        name = "radio-own" if key is work.narrowed else mask_key(key.key)
        assert_share(page.row("Keys", name), [p for p in pieces if p.source in _made_by(work, key.key)])


@pytest.mark.parametrize("name", ["research", "newsroom"])
def test_every_figure_of_a_team(visit: Visiting, work: Work, scripts: bool, name: str) -> None:
    team, limit = (work.research, 50_000_000) if name == "research" else (work.newsroom, 5_000_000)
    pieces = work.pieces(team.id)
    spent = sum(piece.micros for piece in pieces)
    with visit(scripts=scripts) as reader:
        reader.sign_in(team.key)
        page, text = reader.figures(), reader.text
        assert f"/teams/{team.id}" == reader.path

    assert spent == page.head["Spent"].micros[0]
    assert [limit - spent, limit] == page.head["Budget per month" if name == "research" else "Budget"].micros[
        :2
    ]
    assert sum(piece.audio_seconds for piece in pieces) == _numbers(page.head["Audio"])[0]
    assert [0, 0, _failed(pieces)] == _numbers(page.head["Jobs now"])
    assert_services(page, pieces)
    assert_chart(page, pieces)
    assert_tags(page, pieces)
    mine = [p for p in pieces if p.source in _made_by(work, team.key)]
    assert sum(p.micros for p in mine) == page.row("Keys", mask_key(team.key)).micros[0]
    if name == "newsroom":
        own = sum(p.micros for p in pieces if p.source in _made_by(work, work.narrowed.key))
        assert [own, 2_000_000 - own, 2_000_000] == page.row("Keys", "radio-own").micros
    latest = rows(page, "Latest transcripts")
    assert_transcripts(latest, pieces)
    assert 8 == len(latest) or name == "newsroom"
    assert_chats(rows(page, "Latest chats"), [piece for piece in pieces if piece.service == "chat"][:8])
    other = work.newsroom if name == "research" else work.research
    assert other.alias not in text


def test_a_narrowed_key_sees_its_own_and_no_more(visit: Visiting, work: Work, scripts: bool) -> None:
    pieces = [p for p in work.pieces(work.newsroom.id) if p.source in _made_by(work, work.narrowed.key)]
    spent = sum(piece.micros for piece in pieces)
    with visit(scripts=scripts) as reader:
        reader.sign_in(work.narrowed.key)
        assert "/key" == reader.path
        page = reader.figures()
        assert 404 == reader.go(f"/teams/{work.newsroom.id}").status
        assert 403 == reader.go("/operators").status

    assert spent == page.head["Spent"].micros[0]
    assert [2_000_000 - spent, 2_000_000] == page.head["Budget"].micros[:2]
    assert_services(page, pieces)
    assert_transcripts(rows(page, "Latest transcripts"), pieces)
    assert_chats(rows(page, "Latest chats"), [p for p in pieces if p.service == "chat"])


def test_lists_are_filtered_paged_and_shared(visit: Visiting, work: Work, scripts: bool) -> None:
    pieces = {p.source: p for p in work.pieces(work.research.id) if p.service == "speech"}
    with visit(scripts=scripts) as reader, visit(scripts=scripts) as friend:
        reader.sign_in(work.research.key)
        reader.page.get_by_role("link", name="All transcripts").click()
        reader.page.get_by_role("heading", name="Transcripts", exact=True).wait_for()
        first = rows(reader.figures(), "Transcripts")
        assert 50 == len(first)
        reader.page.get_by_role("link", name="Older").click()
        reader.page.wait_for_url("**before=**")
        second = rows(reader.figures(), "Transcripts")
        assert set(pieces) == {_id(row) for row in [*first, *second]} and MANY + 2 == len(first) + len(second)
        assert_transcripts([*first, *second], pieces.values())
        reader.page.get_by_role("link", name="Newer").click()
        reader.page.wait_for_url("**after=**")
        assert [_id(row) for row in first] == [_id(row) for row in rows(reader.figures(), "Transcripts")]

        reader.page.get_by_label("State").select_option("Failed")
        reader.page.get_by_role("button", name="Filter").click()
        reader.page.wait_for_url("**state=error**")
        failed = {source for source, piece in pieces.items() if piece.status == "error"}
        assert failed == {_id(row) for row in rows(reader.figures(), "Transcripts")} and failed
        reader.page.get_by_label("Region").select_option("EU")
        reader.page.get_by_label("State").select_option("any")
        reader.page.get_by_label("From").fill(f"{TODAY - timedelta(days=1)}")
        reader.page.get_by_label("To").fill(f"{TODAY + timedelta(days=1)}")
        reader.page.get_by_role("button", name="Filter").click()
        reader.page.wait_for_url("**region=eu**")
        seen = [_id(row) for row in rows(reader.figures(), "Transcripts")]
        assert {source for source, piece in pieces.items() if piece.region == "eu"} == set(seen)

        assert work.research.key not in reader.page.url
        friend.sign_in(work.research.key, reader.path)
        assert reader.page.url == friend.page.url
        assert seen == [_id(row) for row in rows(friend.figures(), "Transcripts")]

        reader.go(f"/teams/{work.research.id}/chats")
        model = next(p.model for p in work.pieces(work.research.id) if p.service == "chat")
        reader.page.get_by_label("Model").fill(model)
        reader.page.get_by_role("button", name="Filter").click()
        reader.page.wait_for_url("**model=**")
        chats = [p for p in work.pieces(work.research.id) if (p.service, p.model) == ("chat", model)]
        assert_chats(rows(reader.figures(), "Chats"), chats)
        reader.page.get_by_role("link", name="Clear").click()
        reader.page.wait_for_url("**/chats?")


def test_other_periods_by_the_menu(visit: Visiting, work: Work, scripts: bool) -> None:
    with visit(scripts=scripts) as reader:
        reader.sign_in(work.gateway.master_key)
        reader.page.get_by_text("Period", exact=True).click()
        reader.page.get_by_role("link", name="Last month").click()
        reader.page.wait_for_url("**month=**")
        assert 0 == reader.figures().head["Spent"].micros[0]
        for empty in ("Nothing was spent", "No service was used", "No key was used", "Nothing was tagged"):
            assert empty in reader.text
        reader.page.get_by_text("Period", exact=True).click()
        reader.page.get_by_label("From", exact=True).fill(f"{TODAY - timedelta(days=9)}")
        reader.page.get_by_label("To", exact=True).fill(f"{TODAY + timedelta(days=1)}")
        reader.page.get_by_role("button", name="Show").click()
        reader.page.wait_for_url("**from=**")
        assert sum(piece.micros for piece in work.pieces()) == reader.figures().head["Spent"].micros[0]


def test_the_statement_is_the_one_of_the_command(visit: Visiting, work: Work, scripts: bool) -> None:
    team, month = work.newsroom, f"{TODAY:%Y-%m}"
    with visit(scripts=scripts) as reader:
        reader.sign_in(team.key)
        with reader.page.expect_download() as download:
            reader.page.get_by_role("link", name="Statement (CSV)").click()
        written = Path(download.value.path()).read_text()
        assert download.value.suggested_filename.endswith(".csv")

    printed = command(
        work.gateway, "usage", "statement", "--team", team.id, "--month", month, "--format", "csv"
    )
    assert printed.splitlines() == written.splitlines()
    assert len(printed.splitlines()) > 3


def test_many_teams_are_paged_and_found(visit: Visiting, gateway: GatewayProcess, scripts: bool) -> None:
    with gateway.admin() as admin:
        there = {team["team_alias"] for team in admin.get("/team/list").json()}
        for name in {f"Desk {number:02}" for number in range(26)} - there:
            admin.post("/team/new", json={"team_alias": name}).raise_for_status()
        everybody = sorted(team["team_alias"] for team in admin.get("/team/list").json())
    with visit(scripts=scripts) as reader:
        reader.sign_in(gateway.master_key)
        seen = [row.heading for row in rows(reader.figures(), "Teams")]
        reader.page.get_by_role("link", name="Next").click()
        reader.page.wait_for_url("**page=2**")
        seen += [row.heading for row in rows(reader.figures(), "Teams")]
        assert everybody == sorted(seen)
        reader.page.get_by_label("Find a team").fill("desk 07")
        reader.page.get_by_role("button", name="Find").click()
        reader.page.wait_for_url("**q=desk+07**")
        assert ["Desk 07"] == [row.heading for row in rows(reader.figures(), "Teams")]


def assert_head(page: FiguresOnPage, pieces: list[Piece]) -> None:
    assert sum(piece.micros for piece in pieces) == page.head["Spent"].micros[0]
    assert [sum(piece.audio_seconds for piece in pieces), len(pieces)] == _numbers(page.head["Audio"])
    tokens = sum(p.prompt_tokens for p in pieces), sum(p.completion_tokens for p in pieces)
    assert [sum(tokens), *tokens] == _numbers(page.head["Tokens"])


def assert_services(page: FiguresOnPage, pieces: list[Piece]) -> None:
    """Each service and region, and below it its models and add-ons; the cheapest of many are one line."""
    shown: dict[str, dict[str, int]] = {}
    sums: dict[str, int] = {}
    for row in rows(page, "Services"):
        if ", " in row.heading and row.heading.split(", ")[1] in ("US", "EU"):
            group = shown.setdefault(row.heading, {})
            sums[row.heading] = row.micros[-1]
        else:
            group[row.heading] = row.micros[-1]
    expected = by(pieces, "service", "region")
    assert {service_name(*place): micros for place, micros in expected.items()} == sums
    for service, region in expected:
        lines: Counter[str] = Counter()
        for piece in pieces:
            if (piece.service, piece.region) == (service, region):
                own = [(piece.model, 0, piece.micros)] if service == "chat" else piece.lines
                lines.update(
                    {
                        name if name == piece.model else name.replace("_", " "): micros
                        for name, _, micros in own
                    }
                )
        rest = lines.total() - sum(micros for _, micros in lines.most_common(MOST_LINES))
        found = shown[service_name(service, region)]
        assert rest == sum(micros for name, micros in found.items() if name.endswith(" others"))
        assert dict(lines).items() >= {n: m for n, m in found.items() if not n.endswith(" others")}.items()
        assert min(MOST_LINES, len(+lines)) <= len(found)


def assert_chart(page: FiguresOnPage, pieces: list[Piece]) -> None:
    """The table below the chart has the same figures: a row for each day, a column for each service."""
    days = rows(page, "Spending by day")
    assert sum(piece.micros for piece in pieces) == sum(row.micros[-1] for row in days)
    assert all(sum(row.micros[:-1]) == row.micros[-1] for row in days)
    assert sorted(by(pieces, "service", "region").values()) == sorted(
        map(sum, zip(*(r.micros[:-1] for r in days), strict=True))
    )


def assert_tags(page: FiguresOnPage, pieces: list[Piece]) -> None:
    tags = {tag for piece in pieces for tag in piece.tags}
    assert tags == {row.heading for row in rows(page, "Tags")}
    for tag in tags:
        assert_share(page.row("Tags", tag), [piece for piece in pieces if tag in piece.tags])


def assert_share(row: Row, pieces: list[Piece]) -> None:
    assert [len(pieces)] == _numbers(row)
    assert [sum(piece.micros for piece in pieces)] == row.micros


def assert_transcripts(rows: list[Row], pieces: object) -> None:
    """Each has its length, what it cost, and the line items that made it."""
    found = {piece.source: piece for piece in pieces}  # type: ignore[attr-defined]  # pieces of usage
    for row in rows:
        piece = found[_id(row)]
        assert [piece.micros, *(micros for _, _, micros in piece.lines)] == row.micros
        assert ("failed" if piece.status == "error" else "completed") in row.texts


def assert_chats(rows: list[Row], pieces: list[Piece]) -> None:
    assert [[p.prompt_tokens, p.completion_tokens] for p in pieces] == [_numbers(row) for row in rows]
    assert [[p.micros, *(micros for _, _, micros in p.lines)] for p in pieces] == [row.micros for row in rows]


def rows(page: FiguresOnPage, section: str) -> list[Row]:
    """A section's rows without that of its headings."""
    return [row for row in page.sections[section] if row.texts or row.values]


def _id(row: Row) -> str:
    return row.heading.split()[0]


def _numbers(row: Row) -> list[int]:
    return [int(value) for value in row.values if "." not in value]


def _failed(pieces: list[Piece]) -> int:
    return sum(piece.status == "error" for piece in pieces)


def _made_by(work: Work, key: str) -> set[str]:
    return {source for source, (maker, _) in work.made.items() if maker.key == key}

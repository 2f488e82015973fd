"""`aai-gateway report`: files whose figures are those of `usage statement`."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from random_usage import UNKNOWN, random_rows

from aai_gateway.core.budgets import Budget, usd
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.store import Store, keys, teams, usage

MONTH = ("--month", "2026-11")
TEAM = '<b>Jörg\'s "team"</b>'


@pytest.fixture
def booked(data_dir):
    """Two teams of which one has a budget and rows, a third that is gone, and 200 rows."""

    async def book():
        store = await Store.open(f"sqlite:///{data_dir / 'gateway.db'}")
        async with store.write() as connection:
            budget = Budget(max_micros=50_000_000, duration="1mo")
            await teams.create(connection, Team(id="t1", alias=TEAM, budget=budget))
            await teams.create(connection, Team(id="t2", alias="quiet"))
            await keys.create(connection, VirtualKey("k1", "sk-...Ab3d", alias="laptop", team_id="t1"))
            for row in random_rows(11, 200):
                team_id = "t1" if row.team_id == "t2" else row.team_id
                await usage.record(connection, replace(row, team_id=team_id))
        await store.close()

    asyncio.run(book())


class Page(HTMLParser):
    """The exact amounts of a page, and whatever a browser would load or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.exact: list[str] = []
        self.asks: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "data" and values.get("class") == "exact":
            self.exact.append(values["value"])
        if tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base", "a"):
            self.asks.append(tag)
        self.asks += [f"{tag} {name}" for name in values if name in ("src", "href", "style", "srcset")]
        self.asks += [f"{tag} {name}" for name in values if name.startswith("on")]


def statement_of(run, team):
    text = run("usage", "statement", "--team", team, *MONTH, "--format", "csv").stdout
    return text, list(csv.DictReader(io.StringIO(text)))


def test_the_page_has_every_figure_of_the_statement(run, booked, tmp_path):
    found = run("report", *MONTH, "--team", "t1", "--html", "r.html", "--csv", "r.csv")
    assert ["r.html", "r.csv"] == found.stdout.split()
    text, rows = statement_of(run, "t1")
    assert text == (tmp_path / "r.csv").read_text("utf-8")
    page = Page((tmp_path / "r.html").read_text("utf-8"))
    # Besides the statement's: the total at the head, each service in its region, and what unknown outcomes
    # may have cost.
    expected = Counter(row["usd"] for row in rows)
    expected[next(row["usd"] for row in rows if row["part"] == "total")] += 1
    groups: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["part"] == "line":
            groups[row["service"], row["region"]] += int(row["micros"])
    expected.update(map(usd, groups.values()))
    unknown = json.loads(run("usage", "--team", "t1", *MONTH, "--json").stdout)["total"]["unknown"]
    expected[usd(unknown * UNKNOWN["held_micros"])] += 1
    assert 60 < expected.total()
    assert expected == Counter(page.exact)


def test_the_page_asks_nobody_for_anything_and_shows_names_as_text(run, booked, tmp_path):
    run("report", *MONTH, "--team", "t1", "--html", "r.html")
    text = (tmp_path / "r.html").read_text("utf-8")
    assert [] == Page(text).asks
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1] and "@import" not in style[1]
    assert "<b>J" not in text and "&lt;b&gt;Jörg" in text
    for said in ("default-src 'none'", "How this was computed", "AssemblyAI pricing page", "laptop"):
        assert said in text
    for said in ("Failed, and free", "Charged at a fallback price", "Without a known outcome"):
        assert said in text
    assert "$50.00" in text and "per month" in text


def test_all_teams_have_a_file_each_of_each_kind(run, booked, tmp_path):
    found = run("report", *MONTH, "--all-teams", "--html", "out", "--csv", "sheets")
    pages = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert ["b-j-rg-s-team-b-2026-11.html", "no-team-2026-11.html"] == pages[:2]
    assert ["quiet-2026-11.html", "t3-2026-11.html"] == pages[2:]
    assert 4 == len(list((tmp_path / "sheets").iterdir()))
    assert 8 == len(found.stdout.split())
    total = run("usage", *MONTH, "--by", "month", "--csv").stdout.splitlines()[1].split(",")
    assert f"${Decimal(total[-1]):,.6f} together" in found.stderr
    assert "Nothing was charged in this month" in (tmp_path / "out" / "quiet-2026-11.html").read_text("utf-8")
    assert "already" in run("report", *MONTH, "--all-teams", "--html", "out", status=1).stderr
    run("report", *MONTH, "--all-teams", "--html", "out", "--force")


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--team", "t1"),
        ("--all-teams",),
        ("--team", "t1", "--all-teams", "--html", "x"),
        ("--html", "x.html"),
    ],
)
def test_options_that_make_no_sense_are_refused(run, data_dir, wrong):
    run("report", *MONTH, *wrong, status=2)


def test_a_team_that_nobody_knows_is_refused(run, booked, tmp_path):
    assert "no team nobody" in run("report", *MONTH, "--team", "nobody", "--html", "x.html", status=1).stderr
    assert not (tmp_path / "x.html").exists()

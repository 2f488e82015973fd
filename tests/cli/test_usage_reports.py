"""`usage rows`, `export` and `statement` over random rows: however they are summed, it is one sum."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal

import pytest
from random_usage import NOON, UNKNOWN, item, random_rows

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.store import Store, keys, teams, usage

ROWS = random_rows(11, 300)
NOVEMBER = [row for row in ROWS if f"{row.created_at:%Y-%m}" == "2026-11"]
NAMES = {"t1": "research", "t2": "News Room/2", "t3": "t3", None: None}


@pytest.fixture(scope="module")
def booked(tmp_path_factory):
    """A store with teams t1 and t2, a key k1, and 300 rows; t3 and k2 are gone."""
    path = tmp_path_factory.mktemp("booked") / "gateway.db"

    async def book():
        store = await Store.open(f"sqlite:///{path}")
        async with store.write() as connection:
            await teams.create(connection, Team(id="t1", alias="research"))
            await teams.create(connection, Team(id="t2", alias="News Room/2"))
            await keys.create(connection, VirtualKey("k1", "sk-...Ab3d", alias="laptop", team_id="t1"))
            for row in ROWS:
                assert await usage.record(connection, row)
        await store.close()

    asyncio.run(book())
    return path


@pytest.fixture
def ledger(booked, data_dir):
    """The command line's store is a copy of `booked`."""
    data_dir.mkdir(mode=0o700)
    shutil.copy(booked, data_dir / "gateway.db")


def of_team(rows, team_id):
    return [row for row in rows if row.team_id == team_id]


def micros(rows):
    return sum(row.micros for row in rows)


def lines(text):
    return list(csv.DictReader(io.StringIO(text)))


# rows


def test_rows_are_one_json_object_a_line_newest_first(run, ledger):
    found = [json.loads(line) for line in run("usage", "rows", "--json", "--limit", "0").stdout.splitlines()]

    newest = sorted(ROWS, key=lambda row: row.created_at, reverse=True)
    assert [row.source_id for row in newest] == [one["source_id"] for one in found]
    first, expected = found[0], newest[0]
    assert (expected.micros, list(expected.tags), [dict(one) for one in expected.items]) == (
        first["micros"],
        first["tags"],
        first["items"],
    )
    assert all(one["micros"] == sum(line["micros"] for line in one["items"]) for one in found)
    assert {NAMES[row.team_id] for row in ROWS} == {one["team"] for one in found}
    assert {None, "laptop", "k2"} == {one["key"] for one in found}


def test_rows_are_limited_and_filtered_and_the_rest_is_mentioned(run, ledger):
    result = run("usage", "rows", "--json", "--limit", "3", "--team", "research", "--month", "2026-11")

    expected = sorted(of_team(NOVEMBER, "t1"), key=lambda row: row.created_at, reverse=True)
    assert [row.source_id for row in expected[:3]] == [
        json.loads(line)["source_id"] for line in result.stdout.splitlines()
    ]
    assert f"The newest 3 of {len(expected)} rows" in result.stderr
    assert "There are no such rows" in run("usage", "rows", "--model", "none").stderr


def test_rows_as_csv_add_up(run, ledger):
    found = lines(run("usage", "rows", "--csv", "--limit", "0", "--tag", "Köln").stdout)

    expected = [row for row in ROWS if "Köln" in row.tags]
    assert (len(expected), micros(expected)) == (len(found), sum(int(one["micros"]) for one in found))
    assert all("Köln" in json.loads(one["tags"]) for one in found)


def test_rows_as_a_table_have_their_lines_below(run, on_store):
    row = UsageRow(
        "chat",
        "c1",
        Region.EU,
        "master",
        8,
        items=(item("input", 1500, "token", "3.3", 5), item("output", 1, "token", "1E-7", 3, fallback=True)),
        model="claude",
        priced_as="fallback",
        created_at=NOON,
    )
    lost = UsageRow("chat", "c2", Region.US, "master", 0, items=(UNKNOWN,), status="unknown", created_at=NOON)
    for one in (lost, row):
        assert on_store(lambda connection, one=one: usage.record(connection, one))

    assert [
        ["2026-11-21", "12:00:00", "-", "-", "chat", "eu", "claude", "$0.000008"],
        ["input", "1,500", "tokens", "$3.30/1M", "($0.000005)"],
        ["output", "1", "tokens", "$0.0000001/1M", "fallback", "($0.000003)"],
        ["2026-11-21", "12:00:00", "-", "-", "chat", "us", "-", "(unknown)", "$0.000000"],
        ["unknown_outcome", "1", "unanswered", "at", "most", "$3,000.000000"],
    ] == [line.split() for line in run("usage", "rows").stdout.splitlines()[2:]]


@pytest.mark.parametrize(
    "wrong",
    [
        ("rows", "--json", "--csv"),
        ("rows", "--limit", "0"),
        ("rows", "--limit", "-1", "--json"),
        ("rows", "--month", "2026-11", "--since", "7d"),
        ("rows", "--month", "2026-13"),
        ("rows", "--since", "2026-11-02", "--until", "2026-11-01"),
        ("rows", "--service", "video"),
        ("--team", "research", "rows"),
        ("--json", "export", "--focus"),
        ("export",),
        ("statement", "--month", "2026-11"),
        ("statement", "--team", "research"),
        ("statement", "--month", "2026-11", "--all-teams"),
        ("statement", "--month", "2026-11", "--team", "research", "--output-dir", "x"),
        ("statement", "--month", "2026-11", "--team", "research", "--all-teams", "--output-dir", "x"),
    ],
)
def test_wrong_command_lines_are_refused(run, wrong):
    run("usage", *wrong, status=2)


def test_unknown_teams_and_keys_are_named_those_that_are_gone_go_by_their_id(run, ledger):
    assert "There is no team x" in run("usage", "rows", "--csv", "--team", "x", status=1).stderr
    assert "" == run("usage", "rows", "--csv", "--team", "x", status=1).stdout
    assert "There is no key x" in run("usage", "export", "--focus", "--key", "x", status=1).stderr
    gone = run("usage", "rows", "--csv", "--limit", "0", "--team", "t3", "--key", "k2").stdout
    assert len(lines(gone)) == len([row for row in of_team(ROWS, "t3") if row.key_hash == "k2"])


def test_a_reader_that_leaves_is_no_error(ledger, data_dir):
    code = "from aai_gateway.cli.main import main; main()"
    command = f"{sys.executable} -c '{code}' usage rows --json --limit 0 | head -c 7"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=os.environ, check=True)

    assert ('{"id": ', "") == (done.stdout, done.stderr)


# export


def test_the_export_s_sum_is_the_total_of_the_same_rows(run, ledger):
    for options, expected in (
        ((), ROWS),
        (("--month", "2026-11"), NOVEMBER),
        (
            ("--team", "News Room/2", "--service", "speech"),
            [row for row in of_team(ROWS, "t2") if row.service == "speech"],
        ),
        (("--since", "2027-06-01"), []),
    ):
        result = run("usage", "export", "--focus", *options)
        found = lines(result.stdout)
        assert micros(expected) == 1_000_000 * sum(Decimal(one["BilledCost"]) for one in found)
        assert sum(len(row.items) for row in expected) == len(found)
        total = json.loads(run("usage", "--json", *options).stdout)["total"]
        assert micros(expected) == total["micros"]
        assert f"{len(found):,} charges, ${Decimal(total['usd']):,}" in result.stderr


def test_charges_come_oldest_first_with_names(run, ledger):
    found = lines(run("usage", "export", "--focus").stdout)

    assert sorted(one["x_BookedAt"] for one in found) == [one["x_BookedAt"] for one in found]
    assert {("t1", "research"), ("t2", "News Room/2"), ("t3", "t3"), ("", "")} == {
        (one["SubAccountId"], one["SubAccountName"]) for one in found
    }


def test_an_exported_file_is_whole_private_and_not_written_over(run, ledger, tmp_path):
    file = tmp_path / "november.csv"
    run("usage", "export", "--focus", "--month", "2026-11", "--output", str(file))
    written = file.read_text()

    assert run("usage", "export", "--focus", "--month", "2026-11").stdout == written
    assert 0o600 == file.stat().st_mode & 0o777
    refused = run("usage", "export", "--focus", "--output", str(file), status=1)
    assert "exists already" in refused.stderr
    assert written == file.read_text()
    run("usage", "export", "--focus", "--output", str(file), "--force")
    assert len(written) < len(file.read_text())
    assert [file] == [one for one in tmp_path.iterdir() if one.is_file()]


def test_an_export_that_fails_leaves_no_file(run, ledger, on_store, tmp_path):
    odd = UsageRow("speech", "odd", Region.US, "master", 7, items=(item("x", 1, "second", "1", 8),))
    on_store(lambda connection: usage.record(connection, odd))
    file = tmp_path / "all.csv"

    result = run("usage", "export", "--focus", "--output", str(file), status=1)

    assert "The line items of speech odd add up to 8 micro-dollars, its row has 7" in result.stderr
    assert [] == [one for one in tmp_path.iterdir() if one.is_file()]
    missing = tmp_path / "no" / "such.csv"
    assert "cannot be written" in run("usage", "export", "--focus", "--output", str(missing), status=1).stderr
    assert "is a folder" in run("usage", "export", "--focus", "--output", str(tmp_path), status=1).stderr


# statement


def test_a_statement_has_lines_that_add_up_to_the_team_s_month(run, ledger):
    found = lines(
        run("usage", "statement", "--team", "research", "--month", "2026-11", "--format", "csv").stdout
    )

    expected = of_team(NOVEMBER, "t1")
    sums = {}
    for one in found:
        sums[one["part"]] = sums.get(one["part"], 0) + int(one["micros"])
    assert {micros(expected)} == {sums[part] for part in ("line", "service", "model", "key", "day", "total")}
    assert {"research"} == {one["team"] for one in found}
    by_line = {}
    for row in expected:
        for one in row.items if row.status == "completed" else ():
            key = (row.service, row.region.value, row.model or "", one["name"], Decimal(one["unit_price"]))
            was = by_line.get(key, (0, 0))
            by_line[key] = (was[0] + one["quantity"], was[1] + one["micros"])
    assert by_line == {
        (one["service"], one["region"], one["model"], one["item"], Decimal(one["unit_price"])): (
            int(one["quantity"]),
            int(one["micros"]),
        )
        for one in found
        if one["part"] == "line"
    }
    tags = {one["name"]: int(one["micros"]) for one in found if one["part"] == "tag"}
    assert tags["Köln"] == micros(row for row in expected if "Köln" in row.tags)
    assert tags[""] == micros(row for row in expected if not row.tags)
    assert [one["name"] for one in found if one["part"] == "key"] == ["laptop", "k2", ""]


def test_a_statement_for_people_says_what_was_free_flagged_and_unknown(run, ledger):
    text = run("usage", "statement", "--team", "t2", "--month", "2026-11").stdout

    expected = of_team(NOVEMBER, "t2")
    count = lambda test: len([row for row in expected if test(row)])  # noqa: E731 - short
    unknown = count(lambda row: row.status == "unknown")
    assert text.startswith("# News Room/2: AssemblyAI, 2026-11\n")
    assert f"Failed, and free: {count(lambda row: row.status == 'error')} jobs" in text
    assert f"because no price is known: {count(lambda row: row.priced_as)} jobs" in text
    assert f"not charged: {unknown} completions, at most ${3000 * unknown:,}.000000" in text


def test_statements_of_all_teams_are_the_month(run, ledger, tmp_path):
    folder = tmp_path / "statements"
    options = ("usage", "statement", "--all-teams", "--month", "2026-11", "--output-dir", str(folder))
    result = run(*options, "--format", "csv")

    names = ["news-room-2-2026-11.csv", "no-team-2026-11.csv", "research-2026-11.csv", "t3-2026-11.csv"]
    assert names == sorted(one.name for one in folder.iterdir())
    found = [one for file in folder.iterdir() for one in lines(file.read_text())]
    total = json.loads(run("usage", "--json", "--month", "2026-11").stdout)["total"]["micros"]
    assert micros(NOVEMBER) == total == sum(int(one["micros"]) for one in found if one["part"] == "total")
    assert total == sum(int(one["micros"]) for one in found if one["part"] == "line")
    assert "4 statements" in result.stderr
    assert "exists already" in run(*options, "--format", "csv", status=1).stderr
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    run(*options, "--format", "csv", "--force")
    assert before == {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_team_that_spent_nothing_has_a_statement_too(run, ledger):
    text = run("usage", "statement", "--team", "research", "--month", "2020-01").stdout

    assert "**$0.000000** for 0 jobs." in text
    assert "it has ended" in text
    assert "it has not ended" in run("usage", "statement", "--team", "research", "--month", "2400-01").stdout


def test_names_that_are_alike_get_files_of_their_own(run, on_store, tmp_path):
    for number, alias in enumerate(("A/B", "a b", "***")):
        team = Team(id=f"id-{number}", alias=alias)
        on_store(lambda connection, team=team: teams.create(connection, team))
    run("usage", "statement", "--all-teams", "--month", "2026-11", "--output-dir", str(tmp_path / "all"))

    assert ["a-b-2026-11.md", "a-b-id-1-2026-11.md", "id-2-2026-11.md"] == sorted(
        one.name for one in (tmp_path / "all").iterdir()
    )

"""`aai-gateway usage` over booked rows."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.store import keys, teams, usage
from aai_gateway.store.usage import UsageRow


def row(source, micros, *, team="t1", service="speech", **others):
    defaults = {"region": Region.US, "owner": f"team:{team}", "team_id": team, "key_hash": "k1"}
    return UsageRow(service=service, source_id=source, micros=micros, **defaults | others)


@pytest.fixture
def booked(on_store):
    async def book(connection):
        await teams.create(connection, Team(id="t1", alias="research"))
        await teams.create(connection, Team(id="t2", alias="newsroom"))
        await keys.create(
            connection, VirtualKey(hash="k1", masked="sk-...Ab3d", alias="laptop", team_id="t1")
        )
        week_ago = utc_now() - timedelta(days=7, minutes=1)
        for one in (
            row("a", 123_456, model="universal-3-pro", audio_seconds=3600),
            row("b", 1, model="universal-2", audio_seconds=10, created_at=week_ago),
            row("c", 2_000_000, service="chat", model="claude", prompt_tokens=1500, completion_tokens=20),
            row(
                "d",
                50_000,
                team="t2",
                region=Region.EU,
                model="universal-2",
                audio_seconds=60,
                key_hash="gone",
            ),
        ):
            assert await usage.record(connection, one)

    on_store(book)


def as_json(run, *options):
    return json.loads(run("usage", "--json", *options).stdout)


def test_by_team_and_service_with_a_total(run, booked):
    found = as_json(run)
    assert [
        ("newsroom", "speech", 50_000),
        ("research", "chat", 2_000_000),
        ("research", "speech", 123_457),
    ] == [(one["team"], one["service"], one["micros"]) for one in found["rows"]]
    assert (2_173_457, "2.173457", 4) == tuple(found["total"][name] for name in ("micros", "usd", "jobs"))
    assert ["team", "service"] == found["by"]


def test_the_table_adds_up(run, booked):
    lines = run("usage").stdout.splitlines()
    assert ["Team", "Service", "Jobs", "Audio", "s", "Tokens", "in", "Tokens", "out", "Cost"] == lines[
        0
    ].split()
    assert ["research", "speech", "2", "3,610", "0", "0", "$0.123457"] == lines[4].split()
    assert ["Total", "4", "3,670", "1,500", "20", "$2.173457"] == lines[5].split()
    assert 1 == len({len(line) for line in lines[2:]})


def test_team_and_time_narrow_it(run, booked):
    assert 2_123_457 == as_json(run, "--team", "research")["total"]["micros"]
    assert 2_123_456 == as_json(run, "--team", "research", "--since", "7d")["total"]["micros"]
    assert 1 == as_json(run, "--until", "7d")["total"]["micros"]
    tomorrow = f"{utc_now() + timedelta(days=1):%Y-%m-%d}"
    assert [] == as_json(run, "--since", tomorrow)["rows"]
    assert "Nothing has been spent" in run("usage", "--since", tomorrow).stderr
    assert "There is no team x" in run("usage", "--team", "x", status=1).stderr


def test_any_grouping(run, booked):
    found = as_json(run, "--by", "key,region,model")["rows"]
    assert ("laptop", "k1", "us", "claude") == tuple(
        found[1][n] for n in ("key", "key_hash", "region", "model")
    )
    # A key that is gone goes by its hash.
    assert ("gone", "eu") == (found[0]["key"], found[0]["region"])
    days = as_json(run, "--by", "day")["rows"]
    assert [f"{utc_now() - timedelta(days=7, minutes=1):%Y-%m-%d}", f"{utc_now():%Y-%m-%d}"] == [
        one["day"] for one in days
    ]


def test_csv_has_ids_beside_names_and_exact_amounts(run, booked):
    rows = list(csv.DictReader(io.StringIO(run("usage", "--csv", "--team", "research").stdout)))
    assert [
        ("research", "t1", "chat", "2000000", "2.000000"),
        ("research", "t1", "speech", "123457", "0.123457"),
    ] == [(one["team"], one["team_id"], one["service"], one["micros"], one["usd"]) for one in rows]


@pytest.fixture
def marked(booked, on_store):
    """Rows with tags and end users, one at the fallback price, one without a known outcome."""
    marks = (
        row("e", 5, model="m", tags=("red", "blue"), end_user="ada", priced_as="fallback"),
        row("f", 7, model="m", tags=("red",), end_user="bob", region=Region.EU),
        row("g", 0, service="chat", status="unknown", model="m"),
    )
    for one in marks:
        assert on_store(lambda connection, one=one: usage.record(connection, one))


def test_by_tag_a_row_counts_under_each_of_its_tags_and_once_in_the_total(run, marked):
    found = as_json(run, "--by", "tag", "--model", "m")
    assert [("blue", 5, 1), ("red", 12, 2), (None, 0, 1)] == [
        (one["tag"], one["micros"], one["jobs"]) for one in found["rows"]
    ]
    assert (12, 3) == (found["total"]["micros"], found["total"]["jobs"])
    result = run("usage", "--by", "tag", "--model", "m")
    assert ["-", "Total"] == [line.split()[0] for line in result.stdout.splitlines()[-2:]]
    assert "A row with several tags counts under each of them" in result.stderr
    assert "several tags" not in run("usage").stderr


def test_what_a_client_chose_is_no_formula_in_a_spreadsheet(run, booked, on_store):
    formula = '=HYPERLINK("https://example.org")'
    one = row("e", 5, model="m", tags=("@tag",), end_user=formula)
    on_store(lambda connection: usage.record(connection, one))

    def cells(column, *command):
        told = csv.DictReader(io.StringIO(run("usage", *command, "--csv").stdout))
        return {line[column] for line in told}

    assert {"", f"'{formula}"} == cells("end_user", "--by", "end_user")
    assert {"", f"'{formula}"} == cells("end_user", "rows")
    assert {"", "'@tag"} == cells("tag", "--by", "tag")


def test_by_month_end_user_and_status(run, marked):
    assert [("ada", 5), ("bob", 7), (None, 0)] == [
        (one["end_user"], one["micros"]) for one in as_json(run, "--by", "end_user", "--model", "m")["rows"]
    ]
    assert {"completed", "unknown"} == {one["status"] for one in as_json(run, "--by", "status")["rows"]}
    months = as_json(run, "--by", "month", "--since", "1d")["rows"]
    assert {f"{utc_now():%Y-%m}"} >= {one["month"] for one in months[-1:]}
    assert ["End", "user"] == run("usage", "--by", "end_user").stdout.split()[:2]


@pytest.mark.parametrize(
    ("options", "micros"),
    [
        (("--model", "m", "--tag", "red"), 12),
        (("--tag", "blue"), 5),
        (("--end-user", "bob"), 7),
        (("--region", "eu"), 50_007),
        (("--service", "chat"), 2_000_000),
        (("--key", "laptop", "--model", "m"), 12),
        (("--key", "Ab3d", "--tag", "red", "--region", "us"), 5),
        (("--key", "gone"), 50_000),
        (("--team", "t2"), 50_000),
    ],
)
def test_filters_agree_with_each_other(run, marked, options, micros):
    assert micros == as_json(run, *options)["total"]["micros"]


def test_a_month_is_a_month_in_utc(run, booked, on_store):
    last = datetime(2025, 11, 30, 23, 59, 59, 999_999, tzinfo=timezone.utc)
    for source, moment in (("x", last), ("y", last + timedelta(microseconds=1))):
        on_store(lambda connection, s=source, m=moment: usage.record(connection, row(s, 3, created_at=m)))
    found = as_json(run, "--month", "2025-11")
    assert (3, "2025-11-01 00:00:00+00:00", "2025-12-01 00:00:00+00:00") == (
        found["total"]["micros"],
        found["since"],
        found["until"],
    )
    assert 3 == as_json(run, "--month", "2025-12")["total"]["micros"]


def test_rows_at_a_stand_in_price_and_without_an_outcome_are_mentioned(run, marked, on_store):
    said = run("usage").stderr
    assert "1 row was charged at the fallback price; see aai-gateway doctor." in said
    assert "1 completion has no known outcome" in said
    more = row("h", 1, model="m", priced_as="fallback")
    on_store(lambda connection: usage.record(connection, more))
    assert "2 rows were charged at the fallback price" in run("usage", "--csv").stderr
    assert "fallback" not in run("usage", "--model", "universal-2").stderr
    assert (2, 1, 0) == tuple(as_json(run)["total"][name] for name in ("flagged", "unknown", "failed"))


@pytest.mark.parametrize(
    "wrong",
    [("--by", "colour"), ("--by", ""), ("--since", "soon"), ("--json", "--csv"), ("--until", "2026-13-01")],
)
def test_wrong_options_are_refused(run, booked, wrong):
    run("usage", *wrong, status=2)


@pytest.mark.parametrize("moment", ["2026-11-01", "2026-11-01T00:00:00Z", "2026-11-01T01:00:00+01:00"])
def test_moments_are_utc(run, booked, moment):
    since = as_json(run, "--since", moment)["since"]
    assert datetime(2026, 11, 1, tzinfo=timezone.utc) == datetime.fromisoformat(since)

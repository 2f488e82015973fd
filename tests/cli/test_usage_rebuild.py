"""`aai-gateway usage rebuild`: the sums that pages read, made anew and checked."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from random_usage import NOON, random_rows

from aai_gateway.cli.usage_rebuild import Days
from aai_gateway.store import usage
from aai_gateway.store.schema import usage_sums as table

WHOLE = ("usage", "rebuild", "--check")


def some_rows(seed, count):
    """Rows of a week about the end of a month."""
    return [
        replace(row, created_at=NOON + timedelta(days=9) + (row.created_at - NOON) / 12)
        for row in random_rows(seed, count)
    ]


@pytest.fixture
def booked(on_store):
    async def book(connection):
        for row in some_rows(11, 60):
            await usage.record(connection, row)

    on_store(book)


def wrong(on_store, **values):
    """Change the sums of one day of all teams; the day."""

    async def change(connection):
        mine = (table.c.team_id == "*", table.c.part == "total")
        day = sa.select(sa.func.max(table.c.period)).where(*mine).scalar_subquery()
        query = sa.update(table).where(*mine, table.c.period == day).values(values)
        return await connection.scalar(query.returning(table.c.period))

    return on_store(change)


def test_an_empty_ledger_has_nothing_to_rebuild(run):
    assert "nothing in the ledger" in run("usage", "rebuild").stderr
    found = json.loads(run(*WHOLE, "--json").stdout)
    assert (True, [], 0) == (found["whole"], found["differences"], found["days"])


def test_sums_that_were_changed_are_told_and_made_anew(run, on_store, booked):
    assert "All sums are what the ledger adds up to" in run(*WHOLE).stdout
    day = wrong(on_store, micros=table.c.micros + 1_000_000, jobs=0)
    found = json.loads(run(*WHOLE, "--json", status=1).stdout)
    places = [(one["period"], one["team_id"], one["part"]) for one in found["differences"]]
    assert [(day, "*", "total"), (day[:7], "*", "total")] == places
    of_day = found["differences"][0]
    assert (1_000_000, 0) == (of_day["kept"]["micros"] - of_day["ledger"]["micros"], of_day["kept"]["jobs"])
    table_ = run(*WHOLE, status=1).stdout
    assert "2 sums are not what the ledger adds up to" in table_ and "jobs 0, ledger" in table_

    assert "Made anew: " in run("usage", "rebuild", "--since", day).stdout
    assert json.loads(run(*WHOLE, "--json").stdout)["whole"]


def test_all_sums_come_back_from_the_ledger_alone(run, on_store, booked):
    async def kept(connection):
        return sorted(tuple(row) for row in await connection.execute(sa.select(table)))

    async def forget(connection):
        await connection.execute(sa.delete(table))

    before = on_store(kept)
    on_store(forget)
    lost = json.loads(run(*WHOLE, "--json", status=1).stdout)
    assert 0 < len(lost["differences"])
    shown = run(*WHOLE, status=1)
    assert "more are not shown" in shown.stderr
    told = run("usage", "rebuild").stderr.splitlines()
    assert f"{lost['days']} of {lost['days']} days" in told[-1]
    assert before == on_store(kept)


def test_days_outside_are_left_alone(run, on_store, booked):
    day = wrong(on_store, micros=table.c.micros - 1)
    run("usage", "rebuild", "--until", day)
    assert [day] == [
        one["period"]
        for one in json.loads(run(*WHOLE, "--json", status=1).stdout)["differences"]
        if len(one["period"]) == 10
    ]
    for option, outside in (("--since", "2099-01-01"), ("--until", "0001-01-01")):
        assert "nothing in the ledger in this time" in run("usage", "rebuild", option, outside).stderr
    run("usage", "rebuild", "--since", day, "--until", day, status=2)
    run("usage", "rebuild", "--since", "soon", status=2)


def test_months_are_those_of_the_days():
    assert [date(2026, 11, 1), date(2026, 12, 1)] == Days(date(2026, 11, 30), date(2026, 12, 1)).months()

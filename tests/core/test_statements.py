"""Chargeback statements: whole or not at all, the same every time, safe to open."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import datetime, timezone
from decimal import Decimal

import pytest

from aai_gateway.core.regions import Region
from aai_gateway.core.statements import (
    CSV_COLUMNS,
    Share,
    Statement,
    StatementLine,
    require_whole,
    to_csv,
    to_markdown,
)
from aai_gateway.errors import StoreError

LINE = StatementLine(
    service="speech",
    region=Region.EU,
    model="universal-2",
    item="universal-2",
    quantity=5_640,
    unit="second",
    unit_price=Decimal("0.15"),
    fallback=False,
    micros=235_000,
)
WHOLE = Statement(
    team="news|room",
    team_id="t1",
    month="2026-11",
    has_ended=True,
    drawn_up=datetime(2026, 12, 1, 8, tzinfo=timezone.utc),
    micros=1_235_000,
    jobs=12,
    failed=1,
    flagged=2,
    unknown=3,
    unknown_micros=40_000,
    lines=(
        LINE,
        replace(LINE, unit_price=Decimal("0.21"), micros=100_000),
        replace(
            LINE,
            service="chat",
            region=Region.US,
            model="@gpt",
            item="input",
            unit="token",
            unit_price=Decimal("3.3"),
            fallback=True,
            micros=900_000,
        ),
    ),
    parts={
        "service": (Share("chat", 2, 900_000), Share("speech", 10, 335_000)),
        "model": (Share("@gpt", 2, 900_000), Share("universal-2", 10, 335_000)),
        "key": (Share(None, 12, 1_235_000),),
        "tag": (Share("=1+1", 12, 1_235_000), Share("<b>", 12, 1_235_000)),
        "day": (Share("2026-11-02", 12, 1_235_000),),
    },
)


def test_a_statement_for_people() -> None:
    assert r"""# news\|room: AssemblyAI, 2026-11

**$1.235000** for 12 jobs.

- Team id: t1
- Month: 2026-11, UTC; it has ended.
- Drawn up: 2026-12-01 08:00:00 UTC
- Failed, and free: 1 job
- Charged at a fallback price, because no price is known: 2 jobs
- Without a known outcome, and not charged: 3 completions, at most $0.040000

## Lines

| Service | Region | Model | Item | Quantity | Unit price | Amount |
|---|---|---|---|---:|---:|---:|
| speech | EU | universal-2 | universal-2 | 5,640 s | $0.15 per hour | $0.235000 |
| speech | EU | universal-2 | universal-2 | 5,640 s | $0.21 per hour | $0.100000 |
| chat | US | @gpt | input | 5,640 tokens | $3.30 per 1M tokens (fallback) | $0.900000 |
| **Total** | | | | | | **$1.235000** |

## By service

| Service | Jobs | Amount |
|---|---:|---:|
| chat | 2 | $0.900000 |
| speech | 10 | $0.335000 |

## By model

| Model | Jobs | Amount |
|---|---:|---:|
| @gpt | 2 | $0.900000 |
| universal-2 | 10 | $0.335000 |

## By key

| Key | Jobs | Amount |
|---|---:|---:|
| - | 12 | $1.235000 |

## By tag

A job with several tags counts under each of them.

| Tag | Jobs | Amount |
|---|---:|---:|
| =1+1 | 12 | $1.235000 |
| \<b\> | 12 | $1.235000 |

## By day

| Day | Jobs | Amount |
|---|---:|---:|
| 2026-11-02 | 12 | $1.235000 |
""" == to_markdown(WHOLE)


def test_a_month_that_runs_is_said_to_run_and_what_is_not_there_is_not_said() -> None:
    text = to_markdown(replace(WHOLE, has_ended=False, failed=0, flagged=0, unknown=0, jobs=1))

    assert "it has not ended: more may come." in text
    assert "for 1 job." in text
    assert not any(word in text for word in ("Failed", "Charged at", "Without"))


def test_a_statement_for_sheets() -> None:
    text = to_csv(WHOLE)
    rows = list(csv.DictReader(io.StringIO(text)))

    assert ",".join(CSV_COLUMNS) == text.splitlines()[0]
    assert {"news|room"} == {row["team"] for row in rows}
    lines = [row for row in rows if row["part"] == "line"]
    assert ("chat", "us", "'@gpt", "input", "5640", "token", "3.30", "900000", "0.900000") == tuple(
        lines[2][name]
        for name in ("service", "region", "model", "item", "quantity", "unit", "unit_price", "micros", "usd")
    )
    [total] = [row for row in rows if row["part"] == "total"]
    assert ("12", "1235000", "1.235000") == (total["jobs"], total["micros"], total["usd"])
    assert int(total["micros"]) == sum(int(row["micros"]) for row in lines)
    assert ["'=1+1", "<b>"] == [row["name"] for row in rows if row["part"] == "tag"]


def test_only_the_moment_of_drawing_up_makes_a_difference() -> None:
    later = replace(WHOLE, drawn_up=datetime(2027, 1, 1, tzinfo=timezone.utc))

    assert to_csv(WHOLE) == to_csv(later)
    assert 1 == sum(
        one != other
        for one, other in zip(to_markdown(WHOLE).splitlines(), to_markdown(later).splitlines(), strict=True)
    )


def test_a_whole_statement_passes() -> None:
    require_whole(WHOLE)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (replace(WHOLE, micros=1_235_001), "lines of news|room"),
        (replace(WHOLE, lines=WHOLE.lines[:2]), r"add up to \$0.335000, its rows to \$1.235000"),
        (replace(WHOLE, parts={**WHOLE.parts, "day": ()}), "sums by day"),
    ],
)
def test_what_does_not_add_up_is_refused(broken: Statement, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        require_whole(broken)

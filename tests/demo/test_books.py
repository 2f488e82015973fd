from __future__ import annotations

from pathlib import Path

import pytest

from aai_gateway.core.regions import Region
from aai_gateway.demo.books import booked, by_service, invoiced, require_equal
from aai_gateway.errors import GatewayError
from aai_gateway.store import Store, usage
from aai_gateway.store.usage import SummaryRow, UsageRow


def row(team_id: str, service: str, region: str, micros: int) -> SummaryRow:
    return SummaryRow({"team_id": team_id, "service": service, "region": region}, micros, 1, 0, 0, 0)


LEDGER = [row("a", "speech", "us", 7), row("b", "speech", "us", 5), row("b", "chat", "eu", 3)]


def test_by_service_sums_all_teams_or_one() -> None:
    everyone = by_service(LEDGER)
    only_b = by_service(LEDGER, "b")

    assert [12, 0, 0, 3] == list(everyone.values())
    assert [5, 0, 0, 3] == list(only_b.values())


def test_equal_books_pass() -> None:
    invoice = {
        "rows": [
            {"service": "chat", "region": "eu", "micros": 3},
            {"service": "speech", "region": "us", "micros": 2},
            {"service": "speech", "region": "us", "micros": 10},
        ]
    }

    require_equal(by_service(LEDGER), invoiced(invoice))


def test_books_that_differ_by_one_micro_dollar_are_refused_by_name() -> None:
    invoice = {"rows": [{"service": "speech", "region": "us", "micros": 13}]}

    with pytest.raises(GatewayError) as raised:
        require_equal(by_service(LEDGER), invoiced(invoice))

    assert (
        "The books differ (micro-dollars). Speech, US: 12 in the ledger, 13 on the invoice; "
        "Chat, EU: 3 in the ledger, 0 on the invoice." == str(raised.value)
    )


async def _store_with_one_row(url: str) -> None:
    store = await Store.open(url)
    async with store.write() as connection:
        await usage.record(
            connection,
            UsageRow("chat", "id-1", Region.EU, owner="team:a", micros=3, team_id="a"),
        )
    await store.close()


def test_booked_reads_the_ledger_once_it_has_enough_rows(tmp_path: Path) -> None:
    import asyncio

    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    asyncio.run(_store_with_one_row(url))

    assert [3] == [row.micros for row in booked(url, 1)]


def test_booked_says_how_many_rows_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aai_gateway.demo.books.BOOKING_SECONDS", 0.0)

    with pytest.raises(GatewayError, match="0 of 2 jobs"):
        booked(f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}", 2)

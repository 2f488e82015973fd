"""The gateway's ledger held against the invoice that the emulator keeps by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from aai_gateway.emulator import Emulator
from aai_gateway.emulator.invoice import InvoiceRow
from aai_gateway.store.usage import UsageRow


def lines(items: Iterable[Mapping[str, Any]]) -> list[tuple[str, int, str, Decimal, int]]:
    return [(i["name"], i["quantity"], i["unit"], Decimal(i["unit_price"]), i["micros"]) for i in items]


def charged(emulator: Emulator, ids: Iterable[str]) -> dict[str, InvoiceRow]:
    wanted = set(ids)
    return {row.id: row for row in emulator.invoice.rows if row.id in wanted}


def agree(booked: list[UsageRow], invoiced: Mapping[str, InvoiceRow]) -> None:
    """Assert that each job is booked once, at the invoice's lines and sums."""
    assert len(booked) == len({row.source_id for row in booked})
    for row in booked:
        charge = invoiced.get(row.source_id)
        expected = [] if charge is None else lines(asdict(item) for item in charge.items)
        assert sorted(expected) == sorted(lines(row.items))
        assert (charge.micros if charge else 0) == row.micros
        assert charge is None or (charge.region, charge.model) == (row.region.value, row.model)
    assert sum(row.micros for row in invoiced.values()) == sum(row.micros for row in booked)

"""What was spent: the gateway's ledger, the emulator's invoice, and whether they are equal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aai_gateway.errors import GatewayError
from aai_gateway.store import Store, usage
from aai_gateway.store.usage import SummaryRow

Service = tuple[str, str]
"""`speech` or `chat`, and the region, `us` or `eu`."""

SERVICES: dict[Service, str] = {
    ("speech", "us"): "Speech, US",
    ("speech", "eu"): "Speech, EU",
    ("chat", "us"): "Chat, US",
    ("chat", "eu"): "Chat, EU",
}
BOOKING_SECONDS = 20.0


def booked(store_url: str, jobs: int) -> list[SummaryRow]:
    """What the ledger has by team, service and region, once it has `jobs` rows.

    LiteLLM reports a completion a moment after its answer. Raises GatewayError when rows are missing after 20
    seconds.
    """
    return asyncio.run(_booked(store_url, jobs))


async def _booked(store_url: str, jobs: int) -> list[SummaryRow]:
    deadline = time.monotonic() + BOOKING_SECONDS
    store = await Store.open(store_url)
    try:
        while True:
            async with store.read() as connection:
                rows = await usage.summary(connection, ["team_id", "service", "region"])
            found = sum(row.jobs for row in rows)
            if found >= jobs:
                return rows
            if time.monotonic() > deadline:
                raise GatewayError(
                    f"The ledger has {found} of {jobs} jobs after {BOOKING_SECONDS:.0f} seconds."
                )
            await asyncio.sleep(0.1)
    finally:
        await store.close()


def by_service(rows: Sequence[SummaryRow], team_id: str | None = None) -> dict[Service, int]:
    """Micro-dollars of the ledger for each service, of one team where given."""
    totals = dict.fromkeys(SERVICES, 0)
    for row in rows:
        if team_id in (None, row.keys["team_id"]):
            totals[str(row.keys["service"]), str(row.keys["region"])] += row.micros
    return totals


def invoiced(invoice: Mapping[str, Any]) -> dict[Service, int]:
    """Micro-dollars of the emulator's invoice (`GET /_emulator/invoice`) for each service."""
    totals = dict.fromkeys(SERVICES, 0)
    for row in invoice["rows"]:
        totals[row["service"], row["region"]] += row["micros"]
    return totals


def require_equal(ledger: Mapping[Service, int], invoice: Mapping[Service, int]) -> None:
    """Raise GatewayError unless both have the same micro-dollars for every service."""
    wrong = [
        f"{SERVICES[service]}: {ledger[service]} in the ledger, {invoice[service]} on the invoice"
        for service in SERVICES
        if ledger[service] != invoice[service]
    ]
    if wrong:
        raise GatewayError("The books differ (micro-dollars). " + "; ".join(wrong) + ".")

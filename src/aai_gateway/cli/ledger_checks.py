"""What `doctor` checks in the ledger: missing prices, answers that never came, sums that disagree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from aai_gateway.cli.checks import Check, cause_of, store_revision
from aai_gateway.core.budgets import dollars, utc_now
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.settings import Settings
    from aai_gateway.store.audits import Disagreement
    from aai_gateway.store.usage_lines import Flagged

RECENT = timedelta(days=30)
MOST_SHOWN = 20
"""Findings of one kind that are told apart."""


async def ledger(settings: Settings) -> list[Check]:
    """What is wrong with the store's money; changes nothing, and says nothing of a store without tables."""
    from sqlalchemy.exc import SQLAlchemyError

    from aai_gateway.store.engine import make_engine, parse_url
    from aai_gateway.store.schema import REVISION

    try:
        if await store_revision(settings) != REVISION:
            return []
        engine = make_engine(parse_url(settings.resolved_store_url))
        try:
            async with engine.connect() as connection:
                return [*await _prices(connection), *await _unknown(connection), *await _sums(connection)]
        finally:
            await engine.dispose()
    except (StoreError, SQLAlchemyError, OSError) as error:
        return [Check("ledger", "fail", f"it cannot be read: {cause_of(error)}")]


async def _prices(connection: AsyncConnection) -> list[Check]:
    from aai_gateway.store.usage_lines import flagged

    found = await flagged(connection)
    if not found:
        return [Check("prices", "ok", "every row has prices of its own")]
    checks = [Check("price missing", "warn", _flagged_text(one)) for one in found[:MOST_SHOWN]]
    if len(found) > MOST_SHOWN:
        more = len(found) - MOST_SHOWN
        checks.append(Check("price missing", "warn", f"and {more} more models and add-ons"))
    return checks


def _flagged_text(one: Flagged) -> str:
    times = f"{one.count:,} times from {one.first:%Y-%m-%d %H:%M} to {one.last:%Y-%m-%d %H:%M} UTC"
    if one.count == 1:
        times = f"once, {one.first:%Y-%m-%d %H:%M} UTC"
    if one.name is None:
        return f"{one.service} was booked at nothing {times}: its length is not known"
    name = one.name if one.name == one.model or one.model is None else f"{one.name} ({one.model})"
    return (
        f"{one.service} {name} was charged at the {one.priced_as} price {times}: {dollars(one.micros)}; "
        "give it a price with aai-gateway prices"
    )


async def _unknown(connection: AsyncConnection) -> list[Check]:
    from aai_gateway.store.usage import UsageFilter
    from aai_gateway.store.usage_lines import unknown_completions

    found = await unknown_completions(connection, UsageFilter(since=utc_now() - RECENT))
    if not found.count:
        return [Check("unknown completions", "ok", f"none in {RECENT.days} days")]
    held = dollars(found.held_micros)
    text = f"{found.count:,} in {RECENT.days} days had no answer; they may have cost {held} at most"
    return [Check("unknown completions", "warn", text)]


async def _sums(connection: AsyncConnection) -> list[Check]:
    from aai_gateway.store.audits import disagreements

    found = await disagreements(connection)
    return [*_sum_checks("held money", "held", found), *_sum_checks("spend", "spent", found)]


def _sum_checks(name: str, what: str, found: list[Disagreement]) -> Iterator[Check]:
    wrong = [one for one in found if one.what == what]
    rows = "holds" if what == "held" else "usage rows"
    if not wrong:
        yield Check(name, "ok", f"adds up: each key, team and the gateway have the sum of their {rows}")
    for one in wrong[:MOST_SHOWN]:
        recorded, expected = dollars(one.recorded_micros), dollars(one.expected_micros)
        yield Check(name, "fail", f"{one.name} has {recorded} {what}, its {rows} add up to {expected}")
    if len(wrong) > MOST_SHOWN:
        yield Check(name, "fail", f"and {len(wrong) - MOST_SHOWN} more")

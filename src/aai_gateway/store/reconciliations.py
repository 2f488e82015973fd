"""What each `aai-gateway reconcile` found: the dashboard shows the last difference of each region."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.store.schema import reconciliations

_c = reconciliations.c


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One run: the jobs submitted from `since` up to `until` in a region, and how it ended at `at`.

    Of the `findings` that remain, jobs cost `difference_micros` more than is booked; `without_a_sum` of them
    have none. `fixed` jobs were booked by it. A `quick` one compared ids and statuses alone.
    """

    region: Region
    since: datetime
    until: datetime
    quick: bool
    compared: int
    findings: int
    difference_micros: int
    without_a_sum: int
    fixed: int
    at: datetime = field(default_factory=utc_now)


async def record(connection: AsyncConnection, reconciliation: Reconciliation) -> None:
    """Note how a run ended. Needs `Store.write`."""
    values = asdict(reconciliation) | {"region": reconciliation.region.value}
    await connection.execute(sa.insert(reconciliations), values)


async def latest(connection: AsyncConnection) -> dict[Region, Reconciliation]:
    """The last run of each region that has had one."""
    found: dict[Region, Reconciliation] = {}
    for region in ALL_REGIONS:
        query = sa.select(reconciliations).where(_c.region == region.value).order_by(_c.id.desc()).limit(1)
        if (row := (await connection.execute(query)).mappings().first()) is not None:
            values = {name: value for name, value in row.items() if name != "id"}
            found[region] = Reconciliation(**{**values, "region": region})
    return found

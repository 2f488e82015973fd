"""`aai-gateway budget`: what may be spent, by the whole gateway and by each team, and what is left."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import typer

from aai_gateway.cli.admin_options import Json
from aai_gateway.cli.output import budget_json, print_json, print_table, usd
from aai_gateway.cli.store import on_store
from aai_gateway.core.budgets import Budget, dollars, utc_now
from aai_gateway.core.tenancy import Team

if TYPE_CHECKING:
    from aai_gateway.store import Store

app = typer.Typer(add_completion=False)

_HEADERS = ("Of", "Budget", "Spent", "Held", "Left", "Soft budget", "Period", "Ends (UTC)")


@app.command(epilog="Example: aai-gateway budget --json")
def budget(as_json: Json = False) -> None:
    """Show the gateway's budget and each team's: spent, held for jobs under way, left, and until when."""
    (total, lifetime_micros, found), now = on_store(_read), utc_now()
    if as_json:
        lifetime = {"lifetime_micros": lifetime_micros, "lifetime_usd": usd(lifetime_micros)}
        each = [{"id": team.id, "name": team.alias, **budget_json(team.budget, now)} for team in found]
        print_json({"gateway": {**budget_json(total, now), **lifetime}, "teams": each})
        return
    rows = [_row(team.alias, team.budget, now) for team in found]
    print_table(_HEADERS, [*rows, _row("The gateway", total, now)], right=range(1, 6))


async def _read(store: Store) -> tuple[Budget, int, list[Team]]:
    from aai_gateway.store import gateway_budget, teams

    async with store.read() as connection:
        return *await gateway_budget.get(connection), await teams.list_all(connection)


def _row(name: str, stored: Budget, now: datetime) -> tuple[str, ...]:
    current = stored.at(now)
    amounts = (
        current.max_micros,
        current.spent_micros,
        current.held_micros,
        current.left_micros,
        current.soft_micros,
    )
    return (
        name,
        *("-" if micros is None else dollars(micros) for micros in amounts),
        current.duration or "for ever",
        f"{current.resets_at:%Y-%m-%d %H:%M}" if current.resets_at else "-",
    )

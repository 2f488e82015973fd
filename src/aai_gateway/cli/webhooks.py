"""`aai-gateway webhooks`: what was delivered to teams' webhooks, and sending it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aai_gateway.cli.admin_options import Json
from aai_gateway.cli.output import note, print_json, print_table
from aai_gateway.cli.store import existing_team, on_store
from aai_gateway.core.budgets import utc_now
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from aai_gateway.store import Store
    from aai_gateway.store.webhook_deliveries import Attempt, Delivery

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Webhooks' deliveries: list, resend.")


@app.command("list", epilog="Example: aai-gateway webhooks list --team newsroom --limit 5")
def list_deliveries(
    team: Annotated[str | None, typer.Option("--team", metavar="NAME", help="Only this team's.")] = None,
    transcript: Annotated[
        str | None, typer.Option("--transcript", metavar="ID", help="Only this transcript's.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first, with how each attempt went."""

    async def work(store: Store) -> list[tuple[Delivery, list[Attempt]]]:
        from aai_gateway.store import webhook_deliveries

        async with store.read() as connection:
            owner = None if team is None else f"team:{(await existing_team(connection, team)).id}"
            return await webhook_deliveries.log(
                connection, owner=owner, transcript_id=transcript, limit=limit
            )

    found = on_store(work)
    if as_json:
        print_json([_json(delivery, attempts) for delivery, attempts in found])
    elif not found:
        note("Nothing was to be delivered yet.")
    else:
        headers = ("Delivery", "Transcript", "Event", "State", "Tries", "Last answer", "URL")
        print_table(headers, [_row(delivery, attempts) for delivery, attempts in found], right=(0, 4))


@app.command(epilog="Example: aai-gateway webhooks resend 1234")
def resend(
    delivery: Annotated[
        int, typer.Argument(metavar="DELIVERY", help="Its number in `aai-gateway webhooks list`.")
    ],
) -> None:
    """Deliver anew, also what was delivered or given up; a running gateway does it within seconds."""

    async def work(store: Store) -> Delivery:
        from aai_gateway.store import webhook_deliveries

        async with store.write() as connection:
            found = await webhook_deliveries.resend(connection, delivery, utc_now())
        if found is None:
            raise StoreError(
                f"There is no delivery {delivery}; `aai-gateway webhooks list` shows those there are."
            )
        return found

    again = on_store(work)
    note(f"Delivery {again.id} ({again.event.value} of {again.transcript_id}) will be made anew.")


def _json(delivery: Delivery, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "owner": delivery.owner,
        "transcript_id": delivery.transcript_id,
        "region": delivery.region.value,
        "event": delivery.event.value,
        "url": delivery.url,
        "state": delivery.state,
        "created_at": delivery.created_at,
        "delivered_at": delivery.delivered_at,
        "gave_up_at": delivery.gave_up_at,
        "next_attempt_at": delivery.next_attempt_at,
        "attempts": [
            {"at": one.at, "status": one.status, "error": one.error, "ms": one.milliseconds}
            for one in attempts
        ],
    }


def _row(delivery: Delivery, attempts: list[Attempt]) -> tuple[str, ...]:
    last = attempts[-1] if attempts else None
    answer = "" if last is None else last.error or f"HTTP {last.status}"
    return (
        str(delivery.id),
        delivery.transcript_id,
        delivery.event.value,
        delivery.state.replace("_", " "),
        str(len(attempts)),
        answer,
        delivery.url,
    )

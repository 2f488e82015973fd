"""Which rows of the ledger a `usage` command is about: options that all of them share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from aai_gateway.cli.moments import parse_moment, parse_month
from aai_gateway.cli.store import existing_team
from aai_gateway.core.regions import Region
from aai_gateway.core.statements import month_end
from aai_gateway.core.usage_rows import Service
from aai_gateway.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from aai_gateway.store.usage import UsageFilter


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as they were given, teams and keys by any of their names."""

    team: Annotated[str | None, typer.Option(metavar="NAME", help="Only this team's usage.")] = None
    key: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this key's: its alias, ending or hash.")
    ] = None
    service: Annotated[Service | None, typer.Option(help="Only this service.")] = None
    region: Annotated[Region | None, typer.Option(help="Only this region.")] = None
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only this model.")] = None
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Only what has this tag.")] = None
    end_user: Annotated[str | None, typer.Option(metavar="ID", help="Only what was for this end user.")] = (
        None
    )
    since: Annotated[
        datetime | None,
        typer.Option(metavar="DATE|7d", parser=parse_moment, help="From this UTC moment on, or so long ago."),
    ] = None
    until: Annotated[
        datetime | None, typer.Option(metavar="DATE|1d", parser=parse_moment, help="Up to, not including.")
    ] = None
    month: Annotated[
        datetime | None,
        typer.Option(metavar="YYYY-MM", parser=parse_month, help="One UTC month, like 2026-11."),
    ] = None

    @property
    def begins(self) -> datetime | None:
        """The first moment that is meant."""
        return self.since if self.month is None else self.month

    @property
    def ends(self) -> datetime | None:
        """The first moment that is meant no more."""
        return self.until if self.month is None else month_end(self.month)

    def checked(self) -> Asked:
        """The same, if it makes sense. Raises BadParameter."""
        if self.month is not None and (self.since or self.until):
            raise typer.BadParameter("Choose --month, or --since and --until.")
        if self.begins and self.ends and self.begins >= self.ends:
            raise typer.BadParameter("The time must begin (--since) before it ends (--until).")
        return self

    async def resolve(self, connection: AsyncConnection) -> UsageFilter:
        """The rows that are meant. Raises StoreError for a team or key that nobody knows."""
        from aai_gateway.store.usage import UsageFilter

        return UsageFilter(
            team_id=None if self.team is None else await team_id_of(connection, self.team),
            key_hash=None if self.key is None else await _key_hash_of(connection, self.key),
            service=self.service,
            region=self.region,
            model=self.model,
            tag=self.tag,
            end_user=self.end_user,
            since=self.begins,
            until=self.ends,
        )


async def team_id_of(connection: AsyncConnection, name: str) -> str:
    """The id of a team, also of one that is gone, by its id alone. Raises StoreError."""
    from aai_gateway.store import usage

    try:
        return (await existing_team(connection, name)).id
    except StoreError:
        if await usage.list_rows(connection, usage.UsageFilter(team_id=name), limit=1):
            return name
        raise


async def _key_hash_of(connection: AsyncConnection, name: str) -> str:
    from aai_gateway.store import keys, usage

    if (found := await keys.find(connection, name)) is not None:
        return found.hash
    if await usage.list_rows(connection, usage.UsageFilter(key_hash=name), limit=1):
        return name
    raise StoreError(f"There is no key {name}; `aai-gateway keys list` shows those there are.")


def takes_filter(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose first parameter is `asked`, the options of `Asked` in its place."""
    names = [field.name for field in fields(Asked)]
    hints = get_type_hints(Asked, include_extras=True)
    _, *own = inspect.signature(command).parameters.values()
    own_hints = get_type_hints(command, include_extras=True)

    @wraps(command)
    def with_options(*args: Any, **values: Any) -> None:
        asked = Asked(**{name: values.pop(name) for name in names}).checked()
        command(asked, *args, **values)

    def option(name: str) -> inspect.Parameter:
        kind = inspect.Parameter.KEYWORD_ONLY
        return inspect.Parameter(name, kind, default=None, annotation=hints[name])

    parameters = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=own_hints[one.name]) for one in own
    ]
    # Typer reads the signature and the annotations.
    signature = inspect.Signature([*map(option, names), *parameters])
    with_options.__signature__ = signature  # type: ignore[attr-defined]  # as inspect looks for it
    with_options.__annotations__ = {
        **{name: hints[name] for name in names},
        **{one.name: own_hints[one.name] for one in own},
        "return": None,
    }
    return with_options

"""Options that `teams` and `keys` share."""

from __future__ import annotations

from typing import Annotated

import typer

from aai_gateway.cli.output import parse_usd
from aai_gateway.core.budgets import Budget, parse_duration, require_sound_limits
from aai_gateway.errors import ConfigurationError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_period(text: str) -> str:
    """A budget's period. Raises BadParameter."""
    try:
        return parse_duration(text)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from None


Period = Annotated[
    str | None,
    typer.Option(
        "--budget-duration",
        metavar="30d|12h|1mo",
        parser=parse_period,
        help="When the budget starts afresh; never unless given.",
    ),
]

SoftBudget = Annotated[
    int | None,
    typer.Option(
        "--soft-budget",
        metavar="USD",
        parser=parse_usd,
        help="What may be spent before a warning is given, once in each period.",
    ),
]


def checked_budget(budget: Budget) -> Budget:
    """A budget whose limits agree with each other. Raises BadParameter."""
    try:
        require_sound_limits(budget)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--soft-budget") from None
    return budget


def checked_name(name: str, option: str) -> str:
    """A name that tables, logs and refusals can show. Raises BadParameter."""
    if not name.strip() or not name.isprintable() or len(name) > 256:
        raise typer.BadParameter("A name has 1 to 256 printable characters.", param_hint=option)
    return name

"""How commands speak: data on stdout, as a table or JSON; remarks on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import typer

from aai_gateway.core.budgets import MICROS_PER_DOLLAR, Budget, dollars
from aai_gateway.core.budgets import usd as usd
from aai_gateway.core.limits import Limits

MOST_DOLLARS = 1_000_000_000
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def note(text: str) -> None:
    """A remark for the person at the terminal, on stderr."""
    typer.echo(printable(text), err=True)


def printable(text: str) -> str:
    """What others said or wrote, without the control characters that would command a terminal."""
    return _CONTROLS.sub("", text)


def print_json(value: Any) -> None:
    """A value as JSON on stdout; moments in ISO 8601, UTC."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> None:
    """Rows under their headers on stdout, never cut off; the columns in `right` are aligned to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, title in enumerate(headers):
        table.add_column(title, justify="right" if index in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
    # Wider than the terminal rather than truncated: an id that lost its end cannot be copied.
    console.width = max(console.width, console.measure(table, options=_unbounded(console)).maximum)
    console.print(table)


def _unbounded(console: Any) -> Any:
    return console.options.update(width=100_000)


def parse_usd(text: str) -> int:
    """Text like `50` or `0.25` in micro-dollars. Raises BadParameter."""
    try:
        amount = Decimal(text)
        micros = int(amount * MICROS_PER_DOLLAR) if amount.is_finite() else -1
    except ArithmeticError:
        micros = -1
    if not 0 <= micros <= MOST_DOLLARS * MICROS_PER_DOLLAR or micros != amount * MICROS_PER_DOLLAR:
        raise typer.BadParameter(f"{text!r} is no amount in USD from 0 to {MOST_DOLLARS:,}, like 50 or 0.25.")
    return micros


def budget_json(budget: Budget, now: datetime) -> dict[str, Any]:
    """A budget as it stands at `now`, exact: micro-dollars, and USD as text."""
    current = budget.at(now)
    amounts = {
        "max": current.max_micros,
        "soft": current.soft_micros,
        "spent": current.spent_micros,
        "held": current.held_micros,
        "left": current.left_micros,
    }
    return {
        **{f"{name}_micros": micros for name, micros in amounts.items()},
        **{f"{name}_usd": None if micros is None else usd(micros) for name, micros in amounts.items()},
        "duration": current.duration,
        "resets_at": current.resets_at,
    }


def budget_text(budget: Budget, now: datetime) -> str:
    """A budget in a table's cell: `$1.250000 +$0.100000 held of $50.000000 per 30d`."""
    current = budget.at(now)
    text = dollars(current.spent_micros)
    if current.held_micros:
        text += f" +{dollars(current.held_micros)} held"
    if current.max_micros is not None:
        text += f" of {dollars(current.max_micros)}"
    return f"{text} per {current.duration}" if current.duration else text


def limits_text(limits: Limits) -> str:
    """Limits in a table's cell: `60 requests/min, 5 jobs, 2 uploads, 10,000,000,000 bytes/day`, or `none`."""
    texts = {
        "{:,} requests/min": limits.requests_per_minute,
        "{:,} jobs": limits.concurrent_jobs,
        "{:,} uploads": limits.concurrent_uploads,
        "{:,} bytes/day": limits.upload_bytes_per_day,
    }
    return ", ".join(text.format(most) for text, most in texts.items() if most is not None) or "none"

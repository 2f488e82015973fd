"""A chargeback statement: what one team is charged for one month, with the lines that make the sum.

The same data give the same text; only the moment at which a statement is drawn up differs.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aai_gateway.core.budgets import dollars, usd
from aai_gateway.core.price_book import amount_text
from aai_gateway.core.regions import Region
from aai_gateway.errors import StoreError

PARTS = ("service", "model", "key", "tag", "day")
"""By what a statement splits its total, in this order."""

CSV_COLUMNS = (
    *("team", "team_id", "month", "part", "name"),
    *("service", "region", "model", "item", "quantity", "unit", "unit_price", "jobs", "micros", "usd"),
)
_UNITS = {"second": ("s", "per hour"), "token": ("tokens", "per 1M tokens")}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#|~!])")


@dataclass(frozen=True, slots=True)
class StatementLine:
    """Line items of one kind at one price: `quantity` seconds or tokens, `unit_price` per hour or million.

    `fallback` says that the price stood in for one that the price book did not know.
    """

    service: str
    region: Region
    model: str | None
    item: str
    quantity: int
    unit: str
    unit_price: Decimal
    fallback: bool
    micros: int


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the total: `name` is None for what has none (no key, no tag)."""

    name: str | None
    jobs: int
    micros: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One team's month. `team_id` None is for what belongs to no team. Amounts are micro-dollars.

    `failed` jobs were free; `flagged` rows were charged at a fallback price; `unknown` completions had no
    answer, cost nothing here, and may have cost `unknown_micros` at most. `parts` has the shares of `PARTS`.
    """

    team: str
    team_id: str | None
    month: str
    has_ended: bool
    drawn_up: datetime
    micros: int
    jobs: int
    failed: int
    flagged: int
    unknown: int
    unknown_micros: int
    lines: Sequence[StatementLine]
    parts: dict[str, Sequence[Share]]


def month_end(start: datetime) -> datetime:
    """The first moment after the month that begins at `start`."""
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def unit_texts(unit: str) -> tuple[str, str]:
    """How a quantity of a unit and a price for it are written: `s`, and `per hour`."""
    return _UNITS[unit]


def require_whole(statement: Statement) -> None:
    """Raise StoreError unless the lines, and every part but that by tag, add up to the total exactly."""
    sums = {"lines": sum(line.micros for line in statement.lines)}
    # A job with several tags counts under each of them.
    exact = (part for part in PARTS if part != "tag")
    sums |= {f"sums by {part}": sum(share.micros for share in statement.parts[part]) for part in exact}
    for what, micros in sums.items():
        if micros != statement.micros:
            raise StoreError(
                f"The {what} of {statement.team} in {statement.month} add up to {dollars(micros)}, "
                f"its rows to {dollars(statement.micros)}: no statement is made."
            )


def to_csv(statement: Statement) -> str:
    """The statement as CSV: rows of part `line` add up to the one of part `total`; the others split it again.

    Text that a spreadsheet would take for a formula has an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    head = {
        "team": no_formula(statement.team),
        "team_id": statement.team_id or "",
        "month": statement.month,
    }
    for row in _csv_rows(statement):
        micros = int(row["micros"])
        writer.writerow(head | row | {"usd": usd(micros)})
    return text.getvalue()


def _csv_rows(statement: Statement) -> Iterator[dict[str, str | int]]:
    for line in statement.lines:
        yield {
            "part": "line",
            "service": line.service,
            "region": line.region.value,
            "model": no_formula(line.model or ""),
            "item": no_formula(line.item),
            "quantity": line.quantity,
            "unit": line.unit,
            "unit_price": amount_text(line.unit_price),
            "micros": line.micros,
        }
    for part in PARTS:
        for share in statement.parts[part]:
            name = no_formula(share.name or "")
            yield {"part": part, "name": name, "jobs": share.jobs, "micros": share.micros}
    yield {"part": "total", "jobs": statement.jobs, "micros": statement.micros}


def no_formula(text: str) -> str:
    """Text that no spreadsheet takes for a formula: with an apostrophe in front where one would."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def to_markdown(statement: Statement) -> str:
    """The statement as Markdown, for people."""
    sections = [_head(statement), _lines_table(statement)]
    for part in PARTS:
        sections.append(_shares_table(part, statement.parts[part]))
    return "\n".join("\n".join(section) + "\n" for section in sections)


def _head(statement: Statement) -> Iterator[str]:
    ended = "has ended" if statement.has_ended else "has not ended: more may come"
    yield f"# {_cell(statement.team)}: AssemblyAI, {statement.month}"
    yield ""
    yield f"**{dollars(statement.micros)}** for {_count(statement.jobs, 'job')}."
    yield ""
    yield f"- Team id: {_cell(statement.team_id)}"
    yield f"- Month: {statement.month}, UTC; it {ended}."
    yield f"- Drawn up: {statement.drawn_up:%Y-%m-%d %H:%M:%S} UTC"
    if statement.failed:
        yield f"- Failed, and free: {_count(statement.failed, 'job')}"
    if statement.flagged:
        yield f"- Charged at a fallback price, because no price is known: {_count(statement.flagged, 'job')}"
    if statement.unknown:
        yield (
            f"- Without a known outcome, and not charged: {_count(statement.unknown, 'completion')}, "
            f"at most {dollars(statement.unknown_micros)}"
        )


def _lines_table(statement: Statement) -> Iterator[str]:
    yield "## Lines"
    yield ""
    headers = ("Service", "Region", "Model", "Item", "Quantity", "Unit price", "Amount")
    yield from _table(headers, 4, (_line_cells(line) for line in statement.lines))
    yield f"| **Total** | | | | | | **{dollars(statement.micros)}** |"


def _line_cells(line: StatementLine) -> tuple[str, ...]:
    unit, per = unit_texts(line.unit)
    price = f"${amount_text(line.unit_price)} {per}"
    return (
        line.service,
        line.region.value.upper(),
        _cell(line.model),
        _cell(line.item),
        f"{line.quantity:,} {unit}",
        f"{price} (fallback)" if line.fallback else price,
        dollars(line.micros),
    )


def _shares_table(part: str, shares: Sequence[Share]) -> Iterator[str]:
    yield f"## By {part}"
    yield ""
    if part == "tag":
        yield "A job with several tags counts under each of them."
        yield ""
    rows = ((_cell(share.name), f"{share.jobs:,}", dollars(share.micros)) for share in shares)
    yield from _table((part.capitalize(), "Jobs", "Amount"), 1, rows)


def _table(headers: Sequence[str], texts: int, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose first `texts` columns are text, and whose others are numbers."""
    yield f"| {' | '.join(headers)} |"
    yield f"|{'---|' * texts}{'---:|' * (len(headers) - texts)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _cell(text: str | None) -> str:
    """Text that a client chose, as plain text in Markdown."""
    return "-" if text is None else _MARKDOWN.sub(r"\\\1", text)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"

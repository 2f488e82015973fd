"""A team's month as one HTML file: no script, and nothing is loaded from anywhere.

It has the statement's figures to the micro-dollar, in the dashboard's clothes. Printed, tables repeat their
heads and pages are numbered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from itertools import groupby

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from aai_gateway.core.budgets import MICROS_PER_DOLLAR, Budget, usd
from aai_gateway.core.charts import Chart, Series, stacked_columns
from aai_gateway.core.price_book import amount_text
from aai_gateway.core.price_sources import PriceSource
from aai_gateway.core.speech_prices import UNDERSTANDING
from aai_gateway.core.statements import Statement, StatementLine, unit_texts
from aai_gateway.gateway.dashboard import rendering
from aai_gateway.gateway.dashboard.spending import colour_of, service_name
from aai_gateway.store.statements import DaySum

_PLAIN = re.compile(r"[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Report:
    """What a report is made of. `budget` is the team's as it stands when the report is made, if it is there.

    `days` and `sources` belong to the statement: its amounts by day, and where its prices were published.
    """

    statement: Statement
    days: Sequence[DaySum]
    budget: Budget | None
    sources: Sequence[PriceSource]


@dataclass(frozen=True, slots=True)
class Group:
    """The lines of one service in a region, and their sum in micro-dollars."""

    name: str
    colour: int
    micros: int
    lines: tuple[StatementLine, ...]


def to_html(report: Report) -> str:
    """The report as one HTML document."""
    statement = report.statement
    title = f"{statement.team}, {rendering.month_name(statement.month)}"
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            statement=statement,
            budget=report.budget,
            title=title,
            groups=_groups(statement.lines),
            chart=_chart(report),
            audio_seconds=_quantity(statement.lines, "speech", "second", models_only=True),
            tokens=_quantity(statement.lines, "chat", "token"),
            style=Markup(_style(title)),  # noqa: S704 - our own files, and a title that is escaped for CSS
        )
    )


@cache
def _environment() -> Environment:
    """The dashboard's templates and filters, and those of reports."""
    dashboard = rendering.environment()
    assert dashboard.loader is not None
    made = dashboard.overlay(loader=ChoiceLoader([PackageLoader("aai_gateway.reports"), dashboard.loader]))
    made.filters = {
        **dashboard.filters,
        "exact": exact,
        "item": _item,
        "unit": _unit,
        "unit_price": _unit_price,
    }
    made.globals = {**dashboard.globals, "month_day": rendering.day_name}
    return made


def exact(micros: int) -> Markup:
    """Micro-dollars to the last one, the digits behind the cents in smaller print."""
    sign = "−" if micros < 0 else ""
    whole, part = divmod(abs(micros), MICROS_PER_DOLLAR)
    return Markup('<data class="exact" value="{}">{}${:,}.{}<small>{}</small></data>').format(
        usd(micros), sign, whole, f"{part:06d}"[:2], f"{part:06d}"[2:]
    )


def _item(line: StatementLine) -> str:
    """A line's name in words: the model's own line is what it transcribed."""
    if line.item == line.model:
        return "transcription"
    return line.item.removeprefix(f"{UNDERSTANDING}.").replace("_", " ")


def _unit(line: StatementLine) -> str:
    return unit_texts(line.unit)[0]


def _unit_price(line: StatementLine) -> str:
    return f"${amount_text(line.unit_price)} {unit_texts(line.unit)[1]}"


def _groups(lines: Sequence[StatementLine]) -> list[Group]:
    """The lines as they are sorted already, the groups in the order of their colours."""
    found = []
    for kind, some in groupby(lines, key=lambda line: (line.service, line.region.value)):
        own = tuple(sorted(some, key=lambda line: (line.model or "", line.item != line.model)))
        micros = sum(line.micros for line in own)
        found.append(Group(service_name(*kind), colour_of(*kind), micros, own))
    return sorted(found, key=lambda group: (group.colour, group.name))


def _chart(report: Report) -> Chart:
    """Every day of the month, a colour for each service and region."""
    first = date.fromisoformat(f"{report.statement.month}-01")
    month = (first + timedelta(days=number) for number in range(31))
    days = [day.isoformat() for day in month if day.month == first.month]
    kinds = sorted({(one.service, one.region) for one in report.days}, key=lambda kind: colour_of(*kind))
    spent = {(one.day, one.service, one.region): one.micros for one in report.days}
    series = [
        Series(service_name(*kind), tuple(spent.get((day, *kind), 0) for day in days), colour_of(*kind))
        for kind in kinds
    ]
    return stacked_columns(days, series)


def _quantity(lines: Iterable[StatementLine], service: str, unit: str, *, models_only: bool = False) -> int:
    """How much was charged of a service's unit; an add-on is charged for the same seconds as the model."""
    return sum(
        line.quantity
        for line in lines
        if (line.service, line.unit) == (service, unit) and (line.item == line.model or not models_only)
    )


def _style(title: str) -> str:
    """The stylesheet; the title stands at the foot of each printed page."""
    own = files("aai_gateway.reports").joinpath("report.css").read_text("utf-8")
    quoted = "".join(
        letter if _PLAIN.fullmatch(letter) else f"\\{ord(letter):06x}" for letter in f"{title} · aai-gateway"
    )
    return f"{rendering.static_bytes('style.css').decode()}\n{own.replace('TITLE', quoted)}"

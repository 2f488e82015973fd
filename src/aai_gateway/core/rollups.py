"""What a usage row adds to the sums that pages and metrics read, and which sums make up a range of days.

Each row counts in five parts, for its team and for all teams together, in its UTC day and its UTC month:

- `total`: all of the row;
- `model`: all of it, under its service, region and model;
- `item`: each line item, under the row's service, region and model, and the item's name;
- `key`: all of it, under its key's hash;
- `tag`: all of it, under each of its tags; rows without one are not in there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, timedelta
from operator import add, attrgetter, neg
from typing import Literal

from aai_gateway.core.usage_rows import UsageRow

Part = Literal["total", "model", "item", "key", "tag"]
PARTS: tuple[Part, ...] = ("total", "model", "item", "key", "tag")

ALL_TEAMS = "*"
"""Stands for all teams together where a sum has a team's id."""
NO_TEAM = ""
"""Stands for what belongs to no team."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Micro-dollars, jobs (`failed` were free, `flagged` charged at a fallback, `unknown` never answered),
    whole seconds, tokens. `flagged_micros` is what the flagged ones were charged. `quantity` is a line
    item's, in its own unit; other parts have none."""

    micros: int = 0
    jobs: int = 0
    failed: int = 0
    flagged: int = 0
    flagged_micros: int = 0
    unknown: int = 0
    audio_seconds: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    quantity: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*map(add, self.values, other.values))

    def __neg__(self) -> Sums:
        return Sums(*map(neg, self.values))

    @property
    def values(self) -> tuple[int, ...]:
        """The sums in the order of `SUMS`."""
        # Not `astuple`, which copies each of them deeply: a booking adds up some forty.
        return _values(self)


SUMS = tuple(field.name for field in fields(Sums))
"""The names of the sums, in the order of the columns."""
_values = attrgetter(*SUMS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sum stands. Texts that do not apply are empty."""

    team_id: str
    part: Part
    period: str
    service: str = ""
    region: str = ""
    model: str = ""
    name: str = ""


def contributions(row: UsageRow, day: date) -> dict[Place, Sums]:
    """What a row adds, and where; `day` is the UTC day that it counts in."""
    found: dict[Place, Sums] = {}
    for team_id in (row.team_id or NO_TEAM, ALL_TEAMS):
        for period in (f"{day:%Y-%m-%d}", f"{day:%Y-%m}"):
            for place, sums in _in(row, team_id, period):
                found[place] = found.get(place, Sums()) + sums
    return found


def _in(row: UsageRow, team_id: str, period: str) -> Iterator[tuple[Place, Sums]]:
    whole = Sums(
        micros=row.micros,
        jobs=1,
        failed=row.status == "error",
        flagged=row.priced_as is not None,
        flagged_micros=row.micros if row.priced_as is not None else 0,
        unknown=row.status == "unknown",
        audio_seconds=row.audio_seconds,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
    )
    kind = (row.service, row.region.value, row.model or "")
    yield Place(team_id, "total", period), whole
    yield Place(team_id, "model", period, *kind), whole
    for item in row.items:
        sums = Sums(micros=int(item.get("micros", 0)), jobs=1, quantity=int(item.get("quantity", 0)))
        yield Place(team_id, "item", period, *kind, str(item["name"])), sums
    yield Place(team_id, "key", period, name=row.key_hash or ""), whole
    for tag in dict.fromkeys(row.tags):
        yield Place(team_id, "tag", period, name=tag), whole


def covering(since: date, until: date) -> list[str]:
    """The fewest periods that make up the days from `since` up to `until`, which is not among them.

    Whole months are months, the rest are days; in order.
    """
    periods: list[str] = []
    day = since
    while day < until:
        next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        if day.day == 1 and next_month <= until:
            periods.append(f"{day:%Y-%m}")
            day = next_month
        else:
            periods.append(f"{day:%Y-%m-%d}")
            day += timedelta(days=1)
    return periods


def days(since: date, until: date) -> list[str]:
    """Each UTC day from `since` up to `until`, which is not among them."""
    return [f"{since + timedelta(days=number):%Y-%m-%d}" for number in range((until - since).days)]

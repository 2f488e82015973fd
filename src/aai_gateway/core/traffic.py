"""Requests that were answered, counted: how many, how many bytes, and how long the gateway itself took.

Counted here in memory by place and UTC minute; the store keeps what all processes counted, for ever as a
total and by the minute for a day. Every name that counts are kept under is one of a few: no path, no id.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import accumulate
from operator import add
from typing import Any

BOUNDS: tuple[float, ...] = (
    *(0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075),
    *(0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0),
)
"""Upper bounds of the buckets of added time, in seconds, themselves included; the last bucket has none."""
BUCKETS = len(BOUNDS) + 1
MINUTE = "%Y-%m-%dT%H:%M"
"""How a UTC minute is named."""
TOTAL_ONLY = ""
"""Stands for the minute of what counts in the total alone."""
KEPT_MINUTES = 60
"""Minutes that are told apart while nothing can be written; what is older then counts in the total alone."""

OK, UNREACHABLE, TIMEOUT, BROKEN = "ok", "unreachable", "timeout", "broken"
"""How a request to another host ended, beside the status of an answer that was no success: answered, never
there, silent for too long, or broken off."""

_MICROSECONDS = tuple(round(bound * 1_000_000) for bound in BOUNDS)
_REQUESTS, _BYTES_IN, _BYTES_OUT, _ADDED_COUNT, _ADDED, _FIRST_BUCKET = range(6)


@dataclass(frozen=True, slots=True)
class Served:
    """One request that was answered.

    `region` is empty where it had none. `added_microseconds` is what the gateway itself took up to the start
    of its answer; None where it is not known how long it waited for others.
    """

    operation: str
    region: str
    status: int
    bytes_in: int
    bytes_out: int
    added_microseconds: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """What requests have in common that are counted together."""

    operation: str
    region: str
    status: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over requests; `buckets` has how many of `added_count` are in each bucket, not cumulated."""

    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    added_count: int = 0
    added_microseconds: int = 0
    buckets: tuple[int, ...] = (0,) * BUCKETS

    def __add__(self, other: Counts) -> Counts:
        return Counts.of(map(add, self.flat(), other.flat()))

    def flat(self) -> tuple[int, ...]:
        """The sums in the order of their names, the buckets last."""
        mine = (self.requests, self.bytes_in, self.bytes_out, self.added_count, self.added_microseconds)
        return (*mine, *self.buckets)

    @classmethod
    def of(cls, flat: Iterable[int]) -> Counts:
        """What `flat` was made of."""
        values = tuple(flat)
        requests, bytes_in, bytes_out, added_count, added_microseconds = values[:_FIRST_BUCKET]
        return cls(requests, bytes_in, bytes_out, added_count, added_microseconds, values[_FIRST_BUCKET:])


_Key = tuple[str, str, int]
Asked = tuple[str, str]
"""A host that was asked, and how that ended."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What one process counted: by minute and place, and by minute, host and outcome."""

    served: Mapping[tuple[str, Place], Counts]
    asked: Mapping[tuple[str, Asked], int]

    def __bool__(self) -> bool:
        return bool(self.served or self.asked)


class Tally:
    """Counts in memory until it is taken away to be written. Its size is bounded: see KEPT_MINUTES."""

    def __init__(self) -> None:
        self._served: dict[str, defaultdict[_Key, list[int]]] = {}
        self._asked: dict[str, Counter[Asked]] = {}

    def count(self, served: Served, minute: str) -> None:
        """Count a request that was answered in `minute`."""
        counts = self._places(minute)[served.operation, served.region, served.status]
        counts[_REQUESTS] += 1
        counts[_BYTES_IN] += served.bytes_in
        counts[_BYTES_OUT] += served.bytes_out
        if (added := served.added_microseconds) is not None:
            counts[_ADDED_COUNT] += 1
            counts[_ADDED] += added
            counts[_FIRST_BUCKET + bisect_left(_MICROSECONDS, added)] += 1

    def count_asked(self, host: str, outcome: str, minute: str) -> None:
        """Count a request to another host that ended in `minute`."""
        self._hosts(minute)[host, outcome] += 1

    def take(self) -> Counted:
        """What was counted since the last time, which is forgotten here."""
        served, self._served = self._served, {}
        asked, self._asked = self._asked, {}
        return Counted(
            {
                (m, Place(*key)): Counts.of(flat)
                for m, places in served.items()
                for key, flat in places.items()
            },
            {(m, host): number for m, hosts in asked.items() for host, number in hosts.items()},
        )

    def put_back(self, counted: Counted) -> None:
        """Count again what could not be written."""
        for (minute, place), counts in counted.served.items():
            _add(self._places(minute)[place.operation, place.region, place.status], counts.flat())
        for (minute, host), number in counted.asked.items():
            self._hosts(minute)[host] += number

    def _places(self, minute: str) -> defaultdict[_Key, list[int]]:
        found = self._served.get(minute)
        if found is None:
            found = self._served[minute] = defaultdict(_nothing)
            if oldest := _too_old(self._served):
                old, total = self._served.pop(oldest), self._places(TOTAL_ONLY)
                for key, flat in old.items():
                    _add(total[key], flat)
                return total if oldest == minute else found
        return found

    def _hosts(self, minute: str) -> Counter[Asked]:
        found = self._asked.get(minute)
        if found is None:
            found = self._asked[minute] = Counter()
            if oldest := _too_old(self._asked):
                old, total = self._asked.pop(oldest), self._hosts(TOTAL_ONLY)
                total.update(old)
                return total if oldest == minute else found
        return found


def _nothing() -> list[int]:
    return [0] * (_FIRST_BUCKET + BUCKETS)


def _add(counts: list[int], more: Iterable[int]) -> None:
    counts[:] = map(add, counts, more)


def _too_old(minutes: Mapping[str, Any]) -> str | None:
    """The oldest minute, when there are more than may be told apart."""
    told_apart = minutes.keys() - {TOTAL_ONLY}
    return min(told_apart) if len(told_apart) > KEPT_MINUTES else None


def outcome_of(status: int) -> str:
    """How a request ended that another host answered."""
    return OK if 200 <= status < 300 else str(status)


def minute_of(moment: datetime) -> str:
    """The name of the UTC minute of a moment."""
    return moment.astimezone(timezone.utc).strftime(MINUTE)


def quantile(buckets: Sequence[int], q: float) -> float | None:
    """The seconds that a share `q` of the requests in `buckets` took at most; None when there are none.

    Found between the bounds of a bucket as if its requests were spread evenly, as Prometheus does it: of the
    last bucket, which has no end, only the beginning is known.
    """
    upto = list(accumulate(buckets))
    if not upto or not upto[-1]:
        return None
    rank = q * upto[-1]
    number = bisect_left(upto, rank) if rank > 0 else next(n for n, sum_ in enumerate(upto) if sum_)
    if number >= len(BOUNDS):
        return BOUNDS[-1]
    start = BOUNDS[number - 1] if number else 0.0
    before = upto[number] - buckets[number]
    return start + (BOUNDS[number] - start) * (rank - before) / buckets[number]

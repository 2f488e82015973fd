"""What AssemblyAI has against what the ledger has: one job at a time, in micro-dollars.

AssemblyAI's own figures of a job are in its transcript: which model ran, for how many seconds and channels,
and the options that it echoes (AssemblyAI documentation, "Get transcript"). It gives no prices: those are the
price book's, of the moment of the job's submission.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from aai_gateway.core.costs import Cost, line_item
from aai_gateway.core.matching import DELETED_URL, Echo, Listed, echo_of
from aai_gateway.core.price_book import PriceBook
from aai_gateway.core.speech_prices import price_speech, speech_job_from
from aai_gateway.errors import PriceError

Kind = Literal["missing", "different", "extra"]

_MEASURES = ("id", "status", "error", "audio_duration", "audio_channels", "speech_model_used")


@dataclass(frozen=True, slots=True)
class Booked:
    """What the store has of a job. `status` is its ledger row's; None: it is not booked.

    `adopted`: it was handed to a team without having been submitted here, and is not to be booked.
    """

    id: str
    created_at: datetime
    team_id: str | None = None
    requested: Mapping[str, Any] = field(default_factory=dict)
    status: str | None = None
    micros: int = 0
    audio_seconds: int = 0
    channels: int = 1
    items: Sequence[Mapping[str, Any]] = ()
    adopted: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is booked as what it was: not at all, or as unknown, it is still to be booked."""
        return self.status not in (None, "unknown")


@dataclass(frozen=True, slots=True)
class Figures:
    """What is left of a transcript that its cost depends on; small, whatever was said."""

    transcript: Mapping[str, Any]
    echo: Echo
    deleted: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """A job that AssemblyAI and the ledger do not agree on; micro-dollars, None where they are not known."""

    kind: Kind
    id: str
    created: datetime
    team_id: str | None
    why: str
    booked_micros: int
    actual_micros: int | None

    @property
    def difference(self) -> int | None:
        """By how much the job costs more than is booked."""
        return None if self.actual_micros is None else self.actual_micros - self.booked_micros


def figures_of(transcript: Mapping[str, Any]) -> Figures:
    """The figures in AssemblyAI's body of a transcript."""
    echo = echo_of(transcript)
    measures = {name: transcript.get(name) for name in _MEASURES}
    return Figures({**echo.options, **measures}, echo, transcript.get("audio_url") == DELETED_URL)


def cost_of(
    book: PriceBook, figures: Figures, requested: Mapping[str, Any], *, at: datetime, echo_wins: bool = False
) -> Cost | None:
    """What a job costs by AssemblyAI's figures; None when they lack its length.

    What was `requested` stands for what is not echoed; with `echo_wins` for that alone.
    """
    echoed = {name: value for name, value in figures.echo.options.items() if name != "unknown_options"}
    options = {**requested, **echoed} if echo_wins else requested
    try:
        return price_speech(book, speech_job_from(figures.transcript, options, at=at))
    except PriceError:
        return None


def missing(
    job: Listed, booked: Booked | None, team_id: str | None, cost: Cost | None, *, asked: bool
) -> Finding:
    """A job that has ended and is not booked. `asked` says that its figures were looked at."""
    if booked is None:
        why = "no row here"
    else:
        why = "never booked" if booked.status is None else "booked as unknown"
    # Without a length it is booked at nothing, as the settler does.
    micros = (cost.micros if cost else 0) if asked else None
    return Finding("missing", job.id, job.created, team_id, f"{job.status}, {why}", 0, micros)


def other_status(job: Listed, booked: Booked) -> Finding | None:
    """What the list alone tells of a booked job: whether it ended as it is booked."""
    if job.status == booked.status:
        return None
    why = f"{job.status}, booked as {booked.status}"
    return Finding("different", job.id, job.created, booked.team_id, why, booked.micros, None)


def different(job: Listed, booked: Booked, figures: Figures, book: PriceBook) -> Finding | None:
    """What AssemblyAI's figures tell of a booked job. Of a deleted one the length alone is left."""
    if figures.deleted:
        cost, reasons = _by_length(booked, figures.transcript.get("audio_duration"))
    else:
        priced = cost_of(book, figures, booked.requested, at=booked.created_at, echo_wins=True)
        cost, reasons = (priced.micros if priced else 0), list(_reasons(booked, priced))
    if cost == booked.micros:
        return None
    why = "; ".join(reasons) or "another sum"
    return Finding("different", job.id, job.created, booked.team_id, why, booked.micros, cost)


def extra(booked: Booked) -> Finding:
    """A booked job that AssemblyAI does not have."""
    why = "AssemblyAI has no such job"
    return Finding("extra", booked.id, booked.created_at, booked.team_id, why, booked.micros, 0)


def _by_length(booked: Booked, duration: object) -> tuple[int, list[str]]:
    if not isinstance(duration, int) or duration == booked.audio_seconds or not booked.items:
        return booked.micros, []
    quantity = duration * booked.channels
    lines = [
        line_item(str(item["name"]), quantity, "second", Decimal(item["unit_price"])) for item in booked.items
    ]
    return sum(line.micros for line in lines), [f"{duration} s of audio, booked {booked.audio_seconds} s"]


def _reasons(booked: Booked, cost: Cost | None) -> Iterator[str]:
    there = {item.name: item for item in (cost.items if cost else ())}
    here = {str(item["name"]): item for item in booked.items}
    yield from (f"{name} is not booked" for name in there if name not in here)
    yield from (f"{name} is booked, AssemblyAI has it not" for name in here if name not in there)
    for name in there.keys() & here.keys():
        quantity, price = here[name]["quantity"], Decimal(here[name]["unit_price"])
        if quantity != there[name].quantity:
            yield f"{name}: {there[name].quantity} s, booked {quantity} s"
        if price != there[name].unit_price:
            yield f"{name}: ${there[name].unit_price} an hour by the price book, booked at ${price}"

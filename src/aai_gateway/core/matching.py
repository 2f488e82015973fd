"""Which submission that was cut off made which of the jobs that nobody here answers for.

AssemblyAI's jobs carry nothing of ours, so the audio, the time, and the options that a transcript echoes must
tell (AssemblyAI documentation, "List transcripts" and "Get transcript").
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol, TypeVar

from aai_gateway.core.moments import from_iso
from aai_gateway.core.speech_prices import billable_options

CLOCK_SKEW = timedelta(minutes=5)
"""How far AssemblyAI's clock may differ from ours."""

DELETED_URL = "http://deleted_by_user"
"""What AssemblyAI shows in place of a deleted transcript's audio URL."""


class Submission(Protocol):
    """What is known of a submission: `requested` is what `billable_options` kept of it."""

    @property
    def id(self) -> str: ...
    @property
    def audio_url(self) -> str: ...
    @property
    def requested(self) -> Mapping[str, Any]: ...
    @property
    def created_at(self) -> datetime: ...


S = TypeVar("S", bound=Submission)


@dataclass(frozen=True, slots=True)
class Listed:
    """A job as AssemblyAI lists it."""

    id: str
    status: str
    audio_url: str
    created: datetime
    completed: datetime | None = None
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it costs what it costs."""
        return self.status in ("completed", "error")

    @property
    def deleted(self) -> bool:
        """Whether it was deleted: then its audio and its options are gone."""
        return self.audio_url == DELETED_URL


def listed_from(item: Mapping[str, Any]) -> Listed:
    """A job from an item of AssemblyAI's list. Raises ValueError for what is none."""
    try:
        completed, error = item.get("completed"), item.get("error")
        return Listed(
            id=str(item["id"]),
            status=str(item["status"]),
            audio_url=str(item["audio_url"]),
            created=_moment(item["created"]),
            completed=_moment(completed) if completed else None,
            error=str(error) if error else None,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"AssemblyAI's list has an item without {error}.") from None


def _moment(text: Any) -> datetime:
    moment = from_iso(str(text))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Window:
    """When AssemblyAI may say that a submission's job was created, both ends included."""

    earliest: datetime
    latest: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether the moment lies in it."""
        return self.earliest <= moment <= self.latest


def window(submission: Submission, lasts: timedelta) -> Window:
    """The window of a submission whose request may have lasted so long."""
    at = submission.created_at
    return Window(at - CLOCK_SKEW, at + lasts + CLOCK_SKEW)


def spans(submissions: Sequence[S], lasts: timedelta) -> list[tuple[Window, list[S]]]:
    """Submissions, oldest first, parted where AssemblyAI's list need not be read in between."""
    parts: list[tuple[Window, list[S]]] = []
    for one in submissions:
        its = window(one, lasts)
        if parts and its.earliest <= parts[-1][0].latest:
            before, members = parts[-1]
            parts[-1] = (Window(before.earliest, max(before.latest, its.latest)), [*members, one])
        else:
            parts.append((its, [one]))
    return parts


def may_have_made(submission: Submission, job: Listed, lasts: timedelta) -> bool:
    """Whether audio and time allow that the job is the submission's. A deleted job may be of any audio."""
    same = job.deleted or job.audio_url == submission.audio_url
    return same and window(submission, lasts).holds(job.created)


@dataclass(frozen=True, slots=True)
class Echo:
    """The options that a transcript echoes: as `billable_options` keeps them, and which it says are off."""

    options: Mapping[str, Any]
    off: frozenset[str] = frozenset()


def echo_of(transcript: Mapping[str, Any]) -> Echo:
    """What is left of a transcript for `agrees`: small, whatever was said."""
    options = billable_options(transcript)
    # An empty list or text may stand for an option that is not echoed; false stands for itself.
    return Echo(options, frozenset(name for name in options if transcript.get(name) is False))


def agrees(requested: Mapping[str, Any], echo: Echo) -> bool:
    """Whether nothing that a transcript echoes contradicts the options of a submission.

    What it does not echo contradicts nothing, and neither does a model that nobody asked for.
    """
    return all(_agrees(name, requested.get(name), value, echo) for name, value in echo.options.items())


def _agrees(name: str, asked: Any, value: Any, echo: Echo) -> bool:
    match name:
        case "unknown_options":  # fields of an answer that are no options
            return True
        case "speech_models" | "domain":
            return not asked or bool(asked == value)
        case "speech_understanding":
            return _tasks(asked) == _tasks(value)
        case _:
            return bool(asked) if value else not asked or name not in echo.off


def confirmed(requested: Mapping[str, Any], echo: Echo) -> int:
    """How many of a submission's options a transcript echoes as they were asked for."""
    return sum(1 for name, asked in requested.items() if asked and echo.options.get(name) == asked)


def match(
    submissions: Iterable[S], jobs: Iterable[Listed], echoes: Mapping[str, Echo], lasts: timedelta
) -> list[tuple[S, Listed]]:
    """Pairs of submissions and jobs, none twice: same audio, agreeing options, near in time, in time's order.

    `echoes` are the jobs' by id; a job without one is left out. As many as possible are paired; of several
    ways that with the smallest distances in time.
    """
    kinds: dict[tuple[str, str], list[S]] = defaultdict(list)
    for one in sorted(submissions, key=lambda each: (each.created_at, each.id)):
        kinds[one.audio_url, _kind(one.requested)].append(one)
    chosen: dict[tuple[str, str], list[Listed]] = defaultdict(list)
    for job in sorted(jobs, key=lambda each: (each.created, each.id)):
        if (echo := echoes.get(job.id)) is None:
            continue
        fitting = [
            (-confirmed(alike[0].requested, echo), _distance(alike, job), kind)
            for kind, alike in kinds.items()
            if agrees(alike[0].requested, echo) and any(may_have_made(one, job, lasts) for one in alike)
        ]
        if fitting:
            chosen[min(fitting)[2]].append(job)
    return [pair for kind, alike in kinds.items() for pair in _aligned(alike, chosen[kind], lasts)]


def _aligned(submissions: Sequence[S], jobs: Sequence[Listed], lasts: timedelta) -> list[tuple[S, Listed]]:
    """Both in time's order: the most pairs that keep it, then the smallest sum of squared distances."""
    # best[i][j]: (pairs, -cost) of the first i submissions and j jobs; the largest wins.
    best = [[(0, 0.0)] * (len(jobs) + 1) for _ in range(len(submissions) + 1)]
    for i, one in enumerate(submissions, 1):
        for j, job in enumerate(jobs, 1):
            best[i][j] = max(best[i - 1][j], best[i][j - 1])
            if (paired := _paired(best[i - 1][j - 1], one, job, lasts)) is not None:
                best[i][j] = max(best[i][j], paired)
    pairs: list[tuple[S, Listed]] = []
    i, j = len(submissions), len(jobs)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((submissions[i], jobs[j]))
    return pairs[::-1]


def _paired(
    before: tuple[int, float], one: Submission, job: Listed, lasts: timedelta
) -> tuple[int, float] | None:
    if not may_have_made(one, job, lasts):
        return None
    return before[0] + 1, before[1] - (job.created - one.created_at).total_seconds() ** 2


def _distance(submissions: Iterable[Submission], job: Listed) -> float:
    return min(abs((job.created - one.created_at).total_seconds()) for one in submissions)


def _kind(requested: Mapping[str, Any]) -> str:
    return json.dumps(dict(requested), sort_keys=True)


def _tasks(understanding: Any) -> set[str]:
    tasks = (understanding or {}).get("request") or {}
    return {name for name, asked in tasks.items() if asked}

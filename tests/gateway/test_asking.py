from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
from cut_off import accepted_many
from opened_gateway import opened_gateway
from recording_upstream import RecordingUpstream, answering, recording_upstream

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.emulator import Emulator, EmulatorConfig, running_emulator
from aai_gateway.errors import NotFound, UpstreamFailed
from aai_gateway.gateway.asking import AccountJobs, Pace, ask, retry_after
from aai_gateway.gateway.upstream import Upstream
from aai_gateway.settings import Settings

US = Region.US


@pytest.fixture
def recording():
    with recording_upstream() as upstream:
        yield upstream


@pytest.fixture
async def upstream(recording: RecordingUpstream) -> AsyncIterator[Upstream]:
    upstream = Upstream(Settings(assemblyai_api_key="key", us_url=recording.url))
    yield upstream
    await upstream.close()


async def test_an_answer_comes_as_it_is(upstream: Upstream, recording: RecordingUpstream):
    recording.answer = answering({"id": "j"})
    assert {"id": "j"} == await ask(upstream, US, "/v2/transcript/j", query="a=b")
    [request] = recording.requests
    assert ("/v2/transcript/j?a=b", ["key"]) == (request.path, request.header("authorization"))


async def test_what_assemblyai_does_not_know_is_not_found(upstream: Upstream, recording: RecordingUpstream):
    recording.answer = answering({"error": NotFound().text}, 400)
    with pytest.raises(NotFound):
        await ask(upstream, US, "/v2/transcript/j")


@pytest.mark.parametrize(
    ("body", "status", "headers", "expected"),
    [
        ({"error": "x"}, 429, {"Retry-After": "7"}, (429, 7.0)),
        ({"error": "x"}, 500, {}, (500, None)),
        ({"error": "x"}, 400, {}, (400, None)),
        (b"<html>", 200, {}, (502, None)),
        (["a list"], 200, {}, (502, None)),
    ],
)
async def test_any_other_answer_is_trouble(
    upstream: Upstream,
    recording: RecordingUpstream,
    body: object,
    status: int,
    headers: dict[str, str],
    expected: tuple[int, float | None],
):
    recording.answer = answering(body, status, headers)
    with pytest.raises(UpstreamFailed) as trouble:
        await ask(upstream, US, "/v2/transcript/j")
    assert expected == (trouble.value.status, trouble.value.retry_after)


@pytest.mark.parametrize("body", [{}, {"transcripts": None}, {"transcripts": [{"id": "j"}]}])
async def test_a_list_of_another_shape_is_trouble(
    upstream: Upstream, recording: RecordingUpstream, body: object
):
    recording.answer = answering(body)
    with pytest.raises(UpstreamFailed, match="list cannot be read"):
        await AccountJobs(upstream, Pace(1000)).page(US)


def test_retry_after_is_seconds_or_a_date():
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=100), usegmt=True)
    assert 90 < (retry_after({"Retry-After": later}) or 0) <= 100
    assert 0 == retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert [12.0, None, None, None] == [
        retry_after(headers)
        for headers in ({"Retry-After": " 12"}, {"Retry-After": "-1"}, {"Retry-After": "soon"}, {})
    ]


async def test_a_pace_lets_one_through_after_the_other(monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []

    async def noted(seconds: float) -> None:
        waits.append(round(seconds, 1))

    monkeypatch.setattr(asyncio, "sleep", noted)
    pace = Pace(2)
    for _ in range(4):
        await pace.turn()
    assert [0.5, 1.0, 1.5] == waits


async def test_pages_lead_back_to_a_moment_without_a_gap(tmp_path: Path):
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        made = accepted_many(emulator, 450)
        async with opened_gateway(emulator, tmp_path) as gateway:
            jobs = AccountJobs(gateway.upstream, Pace(10_000))
            assert made[::-1] == await listed(jobs, utc_now() - timedelta(days=1))
            assert made[:10][::-1] == await listed(jobs, utc_now() - timedelta(days=1), "gone", made[10])
            middle = created(emulator, made[300])
            assert made[250:][::-1] == await listed(jobs, middle)


async def listed(jobs: AccountJobs, earliest: datetime, *anchors: str) -> list[str]:
    return [job.id async for page in jobs.back_to(US, earliest, anchors) for job in page]


def created(emulator: Emulator, transcript_id: str) -> datetime:
    [found] = [job.created for job in emulator.jobs("us") if job.id == transcript_id]
    return found

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
from cut_off import HELLO, INTERVIEW, accepted, accepted_many, intent, note, owners, rows, set_back
from invoiced import agree, charged
from opened_gateway import TEAM, opened_gateway, speech_client

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.reconciling import Finding
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.emulator import Emulator, EmulatorConfig, Fault, running_emulator
from aai_gateway.errors import StoreError, UpstreamFailed
from aai_gateway.gateway import asking
from aai_gateway.gateway.asking import Pace, PatientJobs
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.reconcile import UNATTRIBUTED, Reconciler, Report
from aai_gateway.gateway.settler import Settler
from aai_gateway.store import intents, teams, transcripts, usage
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageRow

US = Region.US
LABELS = {"speaker_labels": True}
FAST = {"settle_after": 0.001, "settle_rate": 10_000}
NOBODYS = f"team:{UNATTRIBUTED}"


@pytest.fixture
def emulator():
    """One of the test's own, so that its list and its invoice hold nothing else; jobs end at once."""
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        yield emulator


@pytest.fixture
async def gateway(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with opened_gateway(emulator, tmp_path, **FAST) as gateway:
        yield gateway


def reconciler(gateway: Gateway) -> Reconciler:
    jobs = PatientJobs(gateway.upstream, Pace(10_000))
    return Reconciler(gateway.settings, gateway.store, jobs, gateway.ledger, gateway.prices)


async def reconciled(gateway: Gateway, region: Region = US, **options: bool) -> Report:
    now = utc_now()
    return await reconciler(gateway).run(
        region, now - timedelta(days=1), now + timedelta(seconds=1), **options
    )


async def booked(gateway: Gateway, *bodies: dict[str, object], route: str = "assemblyai") -> list[str]:
    """Jobs of the team that are booked."""
    made = []
    async with speech_client(gateway) as client:
        for body in bodies:
            answer = await client.post(f"/{route}/v2/transcript", json={"audio_url": HELLO, **body})
            made.append(str(answer.raise_for_status().json()["id"]))
            (await client.get(f"/{route}/v2/transcript/{made[-1]}")).raise_for_status()
    return made


def told(findings: list[Finding]) -> list[tuple[str, str, str | None, int | None]]:
    return sorted((f.kind, f.id, f.team_id, f.difference) for f in findings)


def invoiced(emulator: Emulator, *ids: str) -> int:
    return sum(row.micros for row in charged(emulator, ids).values())


async def test_what_agrees_is_whole(gateway: Gateway, emulator: Emulator):
    await booked(gateway, {}, LABELS, {"audio_url": "https://example.org/nothing-there.html"})
    await booked(gateway, {}, route="eu.assemblyai")
    found = [await reconciled(gateway, region) for region in Region]
    assert [(3, 0, True), (1, 0, True)] == [(f.compared, f.pending, f.whole) for f in found]


async def test_a_job_that_nobody_can_be_found_for_is_booked_as_unattributed(
    gateway: Gateway, emulator: Emulator
):
    made = accepted(emulator, **LABELS)
    report = await reconciled(gateway)
    assert [("missing", made, UNATTRIBUTED, invoiced(emulator, made))] == told(report.findings)
    assert ([], [None]) == (await rows(gateway), await owners(gateway, made))
    report = await reconciled(gateway, fix=True)
    assert ([], [("missing", made, UNATTRIBUTED, invoiced(emulator, made))]) == (
        report.findings,
        told(report.fixed),
    )
    assert [NOBODYS] == await owners(gateway, made)
    agree(await rows(gateway), charged(emulator, [made]))
    again = await reconciled(gateway, fix=True)
    assert (True, []) == (again.whole, again.fixed)
    async with gateway.store.read() as connection:
        row = await transcripts.get(connection, US, made)
        team = await teams.by_id(connection, UNATTRIBUTED)
    assert row is not None and team is not None
    [job] = emulator.jobs("us")
    assert (job.created, invoiced(emulator, made)) == (row.created_at, team.budget.spent_micros)


async def test_a_cut_off_submission_gives_its_job_a_team(gateway: Gateway, emulator: Emulator):
    labelled, plain, odd = accepted(emulator, **LABELS), accepted(emulator), accepted(emulator, INTERVIEW)
    lost, closed = intent(owner="team:labels", **LABELS), intent(owner="team:plain")
    await note(gateway, lost, closed)
    async with gateway.store.write() as connection:
        await intents.close(connection, closed.id, "unknown")
    report = await reconciled(gateway)
    assert {labelled: "labels", plain: "plain", odd: UNATTRIBUTED} == {
        f.id: f.team_id for f in report.findings
    }
    await reconciled(gateway, fix=True)
    assert ["team:labels", "team:plain", NOBODYS] == await owners(gateway, labelled, plain, odd)
    agree(await rows(gateway), charged(emulator, [labelled, plain, odd]))


async def test_a_job_that_one_under_way_may_have_made_is_left_to_it(gateway: Gateway, emulator: Emulator):
    under_way = intent(age=timedelta(seconds=1))
    await note(gateway, under_way)
    made, deleted = accepted(emulator), accepted(emulator)
    delete(emulator, deleted)
    report = await reconciled(gateway, fix=True)
    assert (True, 2, [None]) == (report.whole, report.pending, await owners(gateway, made))


def delete(emulator: Emulator, transcript_id: str) -> None:
    url = f"{emulator.urls.us}/v2/transcript/{transcript_id}"
    httpx.delete(url, headers={"Authorization": emulator.config.account_key}).raise_for_status()


async def test_a_job_that_was_not_booked_yet_is_booked_for_its_own_team(gateway: Gateway, emulator: Emulator):
    async with speech_client(gateway) as client:
        answer = await client.post("/assemblyai/v2/transcript", json={"audio_url": HELLO, **LABELS})
        made = answer.json()["id"]
    report = await reconciled(gateway, fix=True)
    assert [("missing", made, TEAM, invoiced(emulator, made))] == told(report.fixed)
    agree(await rows(gateway), charged(emulator, [made]))


async def test_a_job_that_was_on_record_as_unknown_is_booked(gateway: Gateway, emulator: Emulator):
    made = accepted(emulator)
    async with gateway.store.write() as connection:
        await transcripts.record(connection, Transcript(made, US, f"team:{TEAM}", HELLO, team_id=TEAM))
        await usage.record(connection, UsageRow("speech", made, US, f"team:{TEAM}", 0, status="unknown"))
    report = await reconciled(gateway, fix=True)
    assert [("missing", made, TEAM, invoiced(emulator, made))] == told(report.fixed)
    agree(await rows(gateway), charged(emulator, [made]))


async def book_short(gateway: Gateway, transcript_id: str) -> None:
    """Book two seconds of a job, and nothing besides."""
    line = {"name": "universal-3-5-pro", "quantity": 2, "unit": "second", "unit_price": "0.21", "micros": 117}
    owner = f"team:{TEAM}"
    async with gateway.store.write() as connection:
        await transcripts.record(connection, Transcript(transcript_id, US, owner, HELLO, team_id=TEAM))
        row = UsageRow("speech", transcript_id, US, owner, 117, items=[line], audio_seconds=2, team_id=TEAM)
        await usage.record(connection, row)


async def test_what_is_booked_otherwise_is_told_and_stays(gateway: Gateway, emulator: Emulator):
    await booked(gateway, {})
    short = accepted(emulator, **LABELS)
    await book_short(gateway, short)
    before = await rows(gateway)
    report = await reconciled(gateway, fix=True)
    [finding] = report.findings
    assert (short, TEAM, invoiced(emulator, short) - 117) == (finding.id, finding.team_id, finding.difference)
    assert "speaker_labels is not booked" in finding.why and "booked 2 s" in finding.why
    assert (before, 2) == (await rows(gateway), report.compared)


async def test_what_assemblyai_does_not_have_is_extra_and_stays(gateway: Gateway):
    async with gateway.store.write() as connection:
        for region in Region:
            row = Transcript("gone", region, f"team:{TEAM}", HELLO, team_id=TEAM)
            await transcripts.record(connection, row)
            await usage.record(connection, UsageRow("speech", "gone", region, row.owner, 117))
    for quick in (False, True):
        report = await reconciled(gateway, fix=True, quick=quick)
        assert [("extra", "gone", TEAM, -117)] == told(report.findings)
    assert 2 == len(await rows(gateway))


async def test_a_deleted_job_is_compared_by_its_length(gateway: Gateway, emulator: Emulator):
    [right], short = await booked(gateway, LABELS), accepted(emulator, **LABELS)
    await book_short(gateway, short)
    for one in (right, short):
        delete(emulator, one)
    report = await reconciled(gateway)
    assert (2, 2) == (report.compared, report.by_length)
    [finding] = report.findings
    [job] = [job for job in emulator.jobs("us") if job.id == short]
    assert job.audio_duration is not None
    # The line that is booked, for the length that it had: what else was charged nobody can tell any more.
    assert round(Fraction(21, 100) * job.audio_duration * 1_000_000 / 3600) == finding.actual_micros
    assert f"{job.audio_duration} s of audio, booked 2 s" == finding.why


async def test_a_deleted_job_without_a_row_is_booked_as_unattributed(gateway: Gateway, emulator: Emulator):
    made = accepted(emulator)
    await note(gateway, intent())
    delete(emulator, made)
    report = await reconciled(gateway, fix=True)
    assert [made] == [finding.id for finding in report.fixed]
    [row] = await rows(gateway)
    # Which model ran is gone with it: the dearest price stands in, and says so.
    assert (NOBODYS, "fallback") == (row.owner, row.priced_as)


async def test_quick_asks_for_no_transcript(gateway: Gateway, emulator: Emulator):
    await booked(gateway, {}, {})
    made = accepted(emulator)
    asked = len(emulator.requests)
    report = await reconciled(gateway, quick=True)
    assert [("missing", made, None, None)] == [
        (f.kind, f.id, f.team_id, f.difference) for f in report.findings
    ]
    assert {"/v2/transcript"} == {r.path for r in emulator.requests[asked:]}
    report = await reconciled(gateway, quick=True, fix=True)
    assert [("missing", made, UNATTRIBUTED, invoiced(emulator, made))] == told(report.fixed)
    assert (await reconciled(gateway, quick=True)).whole


async def test_quick_sees_a_job_that_ended_otherwise(gateway: Gateway, emulator: Emulator):
    made = accepted(emulator)
    async with gateway.store.write() as connection:
        await transcripts.record(connection, Transcript(made, US, f"team:{TEAM}", HELLO, team_id=TEAM))
        await usage.record(connection, UsageRow("speech", made, US, f"team:{TEAM}", 0, status="error"))
    [finding] = (await reconciled(gateway, quick=True)).findings
    assert ("different", "completed, booked as error", None) == (
        finding.kind,
        finding.why,
        finding.difference,
    )


async def test_a_job_that_still_runs_gets_its_row_and_is_settled_later(tmp_path: Path):
    with running_emulator(EmulatorConfig(job_seconds=0.5)) as emulator:
        async with opened_gateway(emulator, tmp_path, **FAST) as gateway:
            made = accepted(emulator)
            report = await reconciled(gateway)
            assert (True, 1, [None]) == (report.whole, report.pending, await owners(gateway, made))
            report = await reconciled(gateway, fix=True)
            assert (True, 1, 1) == (report.whole, report.pending, report.adopted)
            assert [NOBODYS] == await owners(gateway, made)
            settler = Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger)
            while not await rows(gateway):
                await settler.settle_due(US)
                async with gateway.store.write() as connection:
                    await transcripts.postpone(connection, US, made, utc_now(), 0)
            agree(await rows(gateway), charged(emulator, [made]))


async def test_only_the_time_that_was_asked_for_is_compared(gateway: Gateway, emulator: Emulator):
    old, new = accepted(emulator), accepted(emulator)
    set_back(emulator, utc_now() - timedelta(days=2), [old])
    assert [new] == [f.id for f in (await reconciled(gateway)).findings]
    now = utc_now()
    report = await reconciler(gateway).run(US, now - timedelta(days=3), now - timedelta(days=1))
    assert [old] == [f.id for f in report.findings]


async def test_completions_that_nobody_can_check_are_counted(gateway: Gateway):
    held = {"name": "unknown_outcome", "quantity": 1, "micros": 0, "held_micros": 40}
    async with gateway.store.write() as connection:
        for number, region in enumerate([US, US, Region.EU]):
            row = UsageRow("chat", f"call-{number}", region, "master", 0, items=[held], status="unknown")
            await usage.record(connection, row)
        await usage.record(connection, replace(row, service="understanding", region=US))
    report = await reconciled(gateway)
    assert (3, 120, True) == (report.unknown_completions, report.unknown_held_micros, report.whole)


async def test_trouble_upstream_is_waited_for(
    gateway: Gateway, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("aai_gateway.core.breaker.FIRST_PAUSE", 0.01)
    made = accepted_many(emulator, 5)
    for fault in (Fault(host="us", status=429), Fault(host="us", cut=True), Fault(host="us", status=500)):
        emulator.faults.add(fault)
    report = await reconciled(gateway, fix=True)
    assert sorted(made) == sorted(f.id for f in report.fixed)
    emulator.faults.add(Fault(host="us", status=500, count=None))
    with pytest.raises(UpstreamFailed):
        await reconciled(gateway)
    assert asking.TRIES + 1 == len([r for r in emulator.requests if r.status == 500]) - 1


async def test_a_wrong_key_is_told_at_once(emulator: Emulator, tmp_path: Path):
    async with opened_gateway(emulator, tmp_path, assemblyai_api_key="wrong", **FAST) as gateway:
        with pytest.raises(UpstreamFailed, match="401"):
            await reconciled(gateway)
    assert 1 == len(emulator.requests)


async def test_a_name_that_is_taken_is_told(gateway: Gateway, emulator: Emulator):
    async with gateway.store.write() as connection:
        await teams.create(connection, Team(id="t9", alias=UNATTRIBUTED))
    accepted(emulator)
    with pytest.raises(StoreError, match="already a team"):
        await reconciled(gateway, fix=True)


async def test_two_at_once_and_the_settler_book_each_job_once(gateway: Gateway, emulator: Emulator):
    made = accepted_many(emulator, 30)
    for number in range(5):
        await note(gateway, intent(owner=f"team:{number}"))
    settler = asyncio.create_task(
        Settler(gateway.settings, gateway.store, gateway.upstream, gateway.ledger).run()
    )
    await asyncio.gather(reconciled(gateway, fix=True), reconciled(gateway, fix=True))
    settler.cancel()
    await asyncio.wait([settler])
    assert (await reconciled(gateway, fix=True)).whole
    agree(await rows(gateway), charged(emulator, made))
    given = await owners(gateway, *made)
    assert {NOBODYS, *(f"team:{number}" for number in range(5))} == set(given)
    assert 25 == given.count(NOBODYS)


async def test_a_store_of_yesterday_is_made_whole(emulator: Emulator, tmp_path: Path):
    store, copy = tmp_path / "gateway.db", tmp_path / "copy.db"
    kinds = [{}, LABELS, {"speech_models": ["universal-2"]}, {"audio_url": INTERVIEW, "multichannel": True}]
    async with opened_gateway(emulator, tmp_path, **FAST) as gateway:
        await booked(gateway, *kinds)
    shutil.copy(store, copy)
    async with opened_gateway(emulator, tmp_path, **FAST) as gateway:
        await booked(gateway, *kinds, {"audio_url": "https://example.org/nothing.html"})
        await booked(gateway, LABELS, route="eu.assemblyai")
    shutil.copy(copy, store)
    async with opened_gateway(emulator, tmp_path, **FAST) as gateway:
        for region, count in ((US, 5), (Region.EU, 1)):
            report = await reconciled(gateway, region, fix=True)
            assert (count, True) == (len(report.fixed), report.whole)
            again = await reconciled(gateway, region, fix=True)
            assert (0, True) == (len(again.fixed), again.whole)
        total = sum(row.micros for row in await rows(gateway))
        assert emulator.invoice.total_micros(service="speech") == total
        async with gateway.store.read() as connection:
            spent = {team.id: team.budget.spent_micros for team in await teams.list_all(connection)}
        assert total == sum(spent.values())

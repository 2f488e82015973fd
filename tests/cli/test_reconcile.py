"""`aai-gateway reconcile` against an emulated account."""

from __future__ import annotations

import json
from datetime import timedelta

import httpx
import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.emulator import EmulatorConfig, running_emulator
from aai_gateway.store import reconciliations, teams, transcripts, usage
from aai_gateway.store.transcripts import Transcript
from aai_gateway.store.usage import UsageRow

HELLO = "https://example.org/audio.wav"
US = ("reconcile", "--region", "us", "--since", "1d")


@pytest.fixture
def emulator(data_dir, monkeypatch):
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        monkeypatch.setenv("ASSEMBLYAI_API_KEY", emulator.config.account_key)
        monkeypatch.setenv("AAI_GATEWAY_US_URL", emulator.urls.us)
        monkeypatch.setenv("AAI_GATEWAY_EU_URL", emulator.urls.eu)
        monkeypatch.setenv("AAI_GATEWAY_SETTLE_RATE", "10000")
        yield emulator


@pytest.fixture
def lost(emulator):
    """A job that the store knows nothing of: its id and what it was charged."""
    answer = httpx.post(
        f"{emulator.urls.us}/v2/transcript",
        headers={"Authorization": emulator.config.account_key},
        json={"audio_url": HELLO, "speaker_labels": True},
    )
    made = answer.raise_for_status().json()["id"]
    return made, emulator.invoice.micros_of("speech", "us", made)


@pytest.fixture
def extra(on_store):
    async def book(connection):
        await teams.create(connection, Team(id="t1", alias="research"))
        await transcripts.record(connection, Transcript("gone", Region.US, "team:t1", HELLO, team_id="t1"))
        row = UsageRow("speech", "gone", Region.US, "team:t1", 1_500_000, team_id="t1", created_at=utc_now())
        await usage.record(connection, row)

    on_store(book)


def test_what_is_whole_ends_with_0(run, emulator):
    found = run(*US)
    assert "AssemblyAI's figures minus the ledger: $0.000000" in found.stdout
    assert json.loads(run(*US, "--json").stdout)["whole"]


def test_what_is_missing_is_told_in_dollars_and_booked_once(run, emulator, lost):
    made, micros = lost
    found = run(*US, status=3)
    assert f"missing: 1 jobs, $0.{micros:06d}" in found.stdout
    assert made in found.stdout and "unattributed" in found.stdout
    assert "1 jobs, back to 20" in found.stderr
    assert "booked now: 1 jobs" in run(*US, "--fix").stdout
    again = json.loads(run(*US, "--fix", "--json").stdout)
    assert (True, [], [], 1) == (again["whole"], again["missing"], again["fixed"], again["compared"])
    spent = json.loads(run("usage", "--json", "--by", "team").stdout)["rows"]
    assert [("unattributed", micros)] == [(row["team"], row["micros"]) for row in spent]
    audited = [json.loads(line) for line in run("audit", "list", "--all", "--json").stdout.splitlines()]
    assert [
        ("team.create", "team:unattributed"),
        ("transcript.adopt", f"transcript:us/{made}"),
        ("usage.book", f"transcript:us/{made}"),
    ] == [(one["action"], one["target"]) for one in audited]
    assert micros == audited[-1]["details"]["micros"]
    assert {("unattributed", True)} == {(one["team_id"], one["actor"].startswith("cli:")) for one in audited}


def test_json_has_every_figure(run, emulator, lost, extra):
    made, micros = lost
    found = json.loads(run(*US, "--json", status=3).stdout)
    assert [(made, 0, micros, micros)] == [figures(one) for one in found["missing"]]
    assert [("gone", 1_500_000, 0, -1_500_000)] == [figures(one) for one in found["extra"]]
    assert {"jobs": 1, "micros": -1_500_000, "usd": "-1.500000", "without_a_sum": 0} == found["totals"][
        "extra"
    ]
    assert micros - 1_500_000 == found["difference"]["micros"]
    fixed = json.loads(run(*US, "--json", "--fix", status=3).stdout)
    assert [(made, 0, micros, micros)] == [figures(one) for one in fixed["fixed"]]
    assert (1, -1_500_000) == (len(fixed["extra"]), fixed["difference"]["micros"])


def figures(finding):
    return tuple(finding[name] for name in ("id", "booked_micros", "actual_micros", "difference_micros"))


def test_quick_knows_no_sums(run, emulator, lost):
    found = run(*US, "--quick", status=3)
    assert "missing: 1 jobs, $0.000000, 1 without a sum" in found.stdout
    assert "?" in found.stdout


def test_each_run_is_on_record(run, emulator, lost, extra, on_store):
    def last():
        found = on_store(reconciliations.latest)
        return {
            region.value: (one.quick, one.compared, one.findings, one.difference_micros, one.fixed)
            for region, one in found.items()
        }

    _, micros = lost
    assert {} == last()
    run("reconcile", "--region", "eu", "--since", "1d")
    run(*US, status=3)
    assert {"us": (False, 0, 2, micros - 1_500_000, 0), "eu": (False, 0, 0, 0, 0)} == last()
    run(*US, "--fix", status=3)
    assert (False, 0, 1, -1_500_000, 1) == last()["us"]
    run(*US, "--quick", status=3)
    assert (True, 1, 1, -1_500_000, 0) == last()["us"]


def test_regions_and_times_are_kept_apart(run, emulator, lost):
    run("reconcile", "--region", "eu", "--since", "1d")
    tomorrow = f"{utc_now() + timedelta(days=1):%Y-%m-%d}"
    run("reconcile", "--region", "us", "--since", "2026-01-01", "--until", "7d")
    run("reconcile", "--region", "us", "--since", tomorrow, status=2)
    run("reconcile", "--region", "us", "--since", "0001-01-01", "--until", "9999-12-31T23:59:59", status=3)


@pytest.mark.parametrize("wrong", [(), ("--region", "mars"), ("--region", "us", "--since", "soon")])
def test_wrong_options_are_refused(run, data_dir, wrong):
    run("reconcile", *wrong, status=2)


def test_without_a_key_it_says_so(run, data_dir):
    assert "no AssemblyAI key for the US region" in run(*US, status=1).stderr


def test_a_wrong_key_ends_it(run, emulator, monkeypatch):
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "wrong")
    assert "AssemblyAI answered 401" in run(*US, status=1).stderr

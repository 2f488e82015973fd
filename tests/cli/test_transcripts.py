"""`aai-gateway transcripts` and `teams delete` on a real store, with an emulated account."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import httpx
import pytest

from aai_gateway.core.regions import Region
from aai_gateway.emulator import EmulatorConfig, running_emulator
from aai_gateway.store import keys, teams, transcripts, usage
from aai_gateway.store.transcripts import Transcript

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
US, EU = Region.US, Region.EU
URL = "https://example.org/audio.wav"


@pytest.fixture
def emulator(data_dir, monkeypatch):
    with running_emulator(EmulatorConfig(job_seconds=0)) as emulator:
        monkeypatch.setenv("ASSEMBLYAI_API_KEY", emulator.config.account_key)
        monkeypatch.setenv("AAI_GATEWAY_US_URL", emulator.urls.us)
        monkeypatch.setenv("AAI_GATEWAY_EU_URL", emulator.urls.eu)
        monkeypatch.setenv("AAI_GATEWAY_SETTLE_RATE", "10000")
        yield emulator


@pytest.fixture
def old(emulator):
    """Jobs that were made in the EU without the gateway."""
    headers = {"Authorization": emulator.config.account_key}
    with httpx.Client(base_url=emulator.urls.eu, headers=headers) as client:
        made = [client.post("/v2/transcript", json={"audio_url": URL}) for _ in range(4)]
    return [answer.raise_for_status().json()["id"] for answer in made]


@pytest.fixture
def team(run):
    run("teams", "create", "newsroom", "--region", "eu")
    run("teams", "create", "research")
    return "newsroom"


@pytest.fixture
def owned(on_store, run, team):
    """Two EU transcripts, of which one is booked, and a US one; research made them with its key `laptop`."""
    run("keys", "create", "--team", "research", "--alias", "laptop")

    async def fill(connection):
        its = await teams.get(connection, "research")
        [key] = await keys.list_all(connection, its.id)
        owner = f"team:{its.id}"
        one = Transcript("e1", EU, owner, URL, team_id=its.id, key_hash=key.hash, settled_at=NOON)
        for number, row in enumerate(
            (one, replace(one, id="e2", status="error"), replace(one, id="u1", region=US))
        ):
            await transcripts.record(connection, replace(row, created_at=NOON + timedelta(hours=number)))
        await usage.record(connection, usage.UsageRow("speech", "e1", EU, owner, 42, team_id=its.id))
        return its.id

    return on_store(fill)


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def listed(run, *options):
    return [line["id"] for line in lines(run("transcripts", "list", "--json", *options))]


def test_list_shows_every_region_newest_first(run, owned):
    table = run("transcripts", "list").stdout
    assert table.index("u1") < table.index("e2") < table.index("e1")
    assert "research" in table and "laptop" in table and "$0.000042" in table
    first, *_ = lines(run("transcripts", "list", "--json", "--before", "e2"))
    assert ("e1", "eu", "research", "laptop", 42, "0.000042") == tuple(
        first[name] for name in ("id", "region", "team", "key", "micros", "usd")
    )


def test_list_narrows_and_pages(run, owned):
    assert ["u1", "e2", "e1"] == listed(run, "--team", "research", "--all")
    assert [] == listed(run, "--team", "newsroom")
    assert ["e2", "e1"] == listed(run, "--region", "eu", "--key", "laptop")
    assert ["e2"] == listed(run, "--status", "error")
    assert [] == listed(run, "--created-on", "2026-11-20")
    result = run("transcripts", "list", "--limit", "2")
    assert "--before e2" in result.stderr
    assert ["e1"] == listed(run, "--before", "e2")
    for wrong in (("--all",), ("--limit", "0"), ("--created-on", "soon"), ("--status", "done")):
        run("transcripts", "list", *wrong, status=2)
    assert "no transcript x" in run("transcripts", "list", "--before", "x", status=1).stderr
    assert "no key x" in run("transcripts", "list", "--key", "x", status=1).stderr


def test_adopt_takes_ids_from_both_sides_and_goes_on_after_a_wrong_one(run, team, old):
    result = run(
        "transcripts", "adopt", "--team", team, old[0], "nobodys", "-", stdin="\n".join(old[1:]), status=1
    )
    assert "nobodys: AssemblyAI has no such transcript in the EU region." in result.stderr
    assert "4 transcripts are team newsroom's now, 0 were already, 1 failed." in result.stderr
    again = json.loads(run("transcripts", "adopt", "--team", team, "--json", *old).stdout)
    assert (0, 4, 0, "eu") == tuple(again[name] for name in ("adopted", "already", "failed", "region"))
    assert sorted(old) == sorted(listed(run, "--team", team))
    assert "adopted" in run("transcripts", "list").stdout
    report = json.loads(run("reconcile", "--region", "eu", "--since", "1d", "--fix", "--json").stdout)
    assert (True, 4) == (report["whole"], report["not_charged"])
    assert [] == lines(run("usage", "rows", "--json"))


def test_adopt_refuses_what_cannot_be(run, team, old, monkeypatch):
    run("transcripts", "adopt", "--team", team, status=2)
    assert (
        "may not use the US"
        in run("transcripts", "adopt", "--team", team, "--region", "us", "x", status=1).stderr
    )
    assert "--region us or eu" in run("transcripts", "adopt", "--team", "research", "x", status=1).stderr
    assert "no team x" in run("transcripts", "adopt", "--team", "x", "y", status=1).stderr
    run("transcripts", "adopt", "--team", "newsroom", old[0])
    other = run("transcripts", "adopt", "--team", "research", "--region", "eu", old[0], status=1)
    assert "belongs to team newsroom" in other.stderr and "transcripts move" in other.stderr
    monkeypatch.delenv("ASSEMBLYAI_API_KEY")
    assert "no AssemblyAI key" in run("transcripts", "adopt", "--team", team, old[1], status=1).stderr


def test_move_gives_each_that_may_be_had(run, owned):
    result = run("transcripts", "move", "--to", "newsroom", "e1", "u1", "x", status=1)
    assert "u1: Team newsroom may not use the region" in result.stderr
    assert "x: The gateway does not know it" in result.stderr
    assert ["e1"] == listed(run, "--team", "newsroom")
    [row] = [line for line in lines(run("transcripts", "list", "--json")) if line["id"] == "e1"]
    assert (None, 42) == (row["key"], row["micros"])
    # What it cost stays with who was charged.
    assert ["research"] == [line["team"] for line in lines(run("usage", "rows", "--json"))]
    again = json.loads(run("transcripts", "move", "--to", "newsroom", "e1", "--json").stdout)
    assert (0, 1, 0) == (again["moved"], again["already"], again["failed"])
    wrong = run("transcripts", "move", "--from", "newsroom", "--to", "research", "e2", status=0)
    assert "1 were already" in wrong.stderr


def test_move_all_of_a_team(run, owned):
    run("teams", "create", "heirs")
    assert (
        "3 transcripts are team heirs's now"
        in run("transcripts", "move", "--from", "research", "--to", "heirs", "--all").stderr
    )
    assert ["u1", "e2", "e1"] == listed(run, "--team", "heirs")
    refused = run("transcripts", "move", "--from", "heirs", "--to", "newsroom", "--all", status=1)
    assert "may not use the US" in refused.stderr
    for wrong in ((), ("--all",), ("--all", "--from", "heirs", "e1")):
        run("transcripts", "move", "--to", "newsroom", *wrong, status=2)


def test_a_team_with_transcripts_is_not_deleted_without_a_word_on_them(run, owned):
    refused = run("teams", "delete", "research", "--yes", status=1).stderr
    assert "research has 3 transcripts" in refused
    assert "--delete-transcripts, --move-to TEAM, or --keep-transcripts" in refused
    run("teams", "delete", "research", "--yes", "--keep-transcripts", "--delete-transcripts", status=2)
    assert (
        "may not use the US"
        in run("teams", "delete", "research", "--yes", "--move-to", "newsroom", status=1).stderr
    )
    assert "itself" in run("teams", "delete", "research", "--yes", "--move-to", "research", status=1).stderr
    run("teams", "delete", "research", stdin="keep\nn\n", status=1)
    assert ["u1", "e2", "e1"] == listed(run, "--team", "research")


def test_what_becomes_of_them_is_asked(run, owned):
    run("teams", "create", "heirs")
    asked = run("teams", "delete", "research", stdin="burn\nmove\nheirs\ny\n")
    assert "none of the three" in asked.stderr
    assert "give its 3 transcripts to heirs" in asked.stderr
    assert ["u1", "e2", "e1"] == listed(run, "--team", "heirs")


def test_deleting_is_ordered_and_told(run, owned):
    result = run("teams", "delete", "research", "--delete-transcripts", "--yes")
    assert "deletes its 3 transcripts at AssemblyAI" in result.stderr
    found = run("transcripts", "list", "--deleting")
    assert "3 transcripts are still to be deleted" in found.stderr
    assert "being deleted" in found.stdout
    assert {("deleted", owned)} == {
        (line["owner"], line["team_id"]) for line in lines(run("transcripts", "list", "--json"))
    }
    assert "e1: It is being deleted." in run("transcripts", "move", "--to", "newsroom", "e1", status=1).stderr


def test_what_is_kept_is_the_master_keys(run, owned):
    assert (
        "kept, for the master key alone"
        in run("teams", "delete", "research", "--keep-transcripts", "--yes").stderr
    )
    assert {"master"} == {line["owner"] for line in lines(run("transcripts", "list", "--json"))}
    assert "u1: Team" not in run("transcripts", "move", "--to", "newsroom", "e1").stderr

"""`aai-gateway teams` on a real store."""

from __future__ import annotations

import json

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.store import holds, keys, teams
from aai_gateway.store.holds import Hold


def shown(run, name):
    return json.loads(run("teams", "show", name, "--json").stdout)


def test_create_prints_the_id_and_keeps_the_team(run, on_store):
    result = run(
        "teams", "create", "newsroom", "--region", "eu", "--budget", "50", "--budget-duration", "30d"
    )
    team = on_store(lambda connection: teams.get(connection, "newsroom"))
    assert f"{team.id}\n" == result.stdout
    assert ((Region.EU,), 50_000_000, "30d") == (team.regions, team.budget.max_micros, team.budget.duration)
    assert team.budget.resets_at is not None
    assert "keys create --team newsroom" in result.stderr


@pytest.mark.parametrize("folder", ["spåces 漢 #1", "100%41?yes&no"])
def test_a_store_that_was_not_there_is_said_to_be_new(run, tmp_path, monkeypatch, folder):
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(tmp_path / folder))
    file = tmp_path / folder / "gateway.db"
    assert f"There was no store at {file}: a new one is made" in run("teams", "list").stderr
    assert file.is_file()
    assert "There was no store" not in run("teams", "list").stderr


def test_a_team_may_use_everything_unless_limited(run):
    run("teams", "create", "research")
    team = shown(run, "research")
    assert (["us", "eu"], [], None) == (team["regions"], team["models"], team["budget"]["max_micros"])


def test_json_has_exact_amounts(run):
    made = json.loads(run("teams", "create", "lab", "--budget", "0.000001", "--json").stdout)
    assert (1, "0.000001", "0.000000") == tuple(
        made["budget"][n] for n in ("max_micros", "max_usd", "spent_usd")
    )


def test_a_soft_budget_warns_below_the_budget(run):
    options = ("--budget", "5", "--soft-budget", "4", "--budget-duration", "7d")
    made = json.loads(run("teams", "create", "lab", *options, "--json").stdout)["budget"]
    assert ("4.000000", "5.000000", "0.000000") == tuple(made[f"{n}_usd"] for n in ("soft", "left", "held"))
    run("teams", "update", "lab", "--budget", "3", status=2)
    run("teams", "update", "lab", "--soft-budget", "2")
    run("teams", "update", "lab", "--budget", "3")
    after = shown(run, "lab")["budget"]
    assert (2_000_000, 3_000_000, "7d", made["resets_at"]) == tuple(
        after[n] for n in ("soft_micros", "max_micros", "duration", "resets_at")
    )


def test_what_is_held_is_shown(run, on_store):
    run("teams", "create", "lab", "--budget", "1")

    async def place(connection):
        team = await teams.get(connection, "lab")
        one = Hold("h", "speech", Region.US, f"team:{team.id}", 100_000, utc_now(), team_id=team.id)
        await holds.place(connection, one)

    on_store(place)
    budget = shown(run, "lab")["budget"]
    assert (100_000, 900_000) == (budget["held_micros"], budget["left_micros"])
    assert "$0.000000 +$0.100000 held of $1.000000" in run("teams", "list").stdout


def test_list_is_by_name(run):
    assert "no teams yet" in run("teams", "list").stderr
    run("teams", "create", "research", "--model", "assemblyai/*")
    run("teams", "create", "newsroom", "--region", "eu", "--region", "us")
    assert ["newsroom", "research"] == [
        team["name"] for team in json.loads(run("teams", "list", "--json").stdout)
    ]
    table = run("teams", "list").stdout
    assert table.index("newsroom") < table.index("research")
    assert "assemblyai/*" in table


def test_tables_are_never_cut_off(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    team_id = run("teams", "create", "a-team-with-rather-a-long-name").stdout.strip()
    assert team_id in run("teams", "list").stdout


def test_show_lists_the_keys(run):
    run("teams", "create", "research")
    run("keys", "create", "--team", "research", "--alias", "laptop")
    assert ["laptop"] == [key["alias"] for key in shown(run, "research")["keys"]]
    assert "laptop" in run("teams", "show", "research").stdout


def test_update_changes_only_what_is_given(run):
    run("teams", "create", "research", "--budget", "5", "--budget-duration", "7d", "--model", "assemblyai/*")
    before = shown(run, "research")
    run("teams", "update", "research", "--budget", "6", "--name", "science", "--block")
    after = shown(run, "science")
    assert ("6.000000", "7d") == (after["budget"]["max_usd"], after["budget"]["duration"])
    assert before["budget"]["resets_at"] == after["budget"]["resets_at"]
    assert (["assemblyai/*"], True) == (after["models"], after["blocked"])
    run("teams", "update", "science", "--unblock", "--region", "us")
    assert (["us"], False) == tuple(shown(run, "science")[name] for name in ("regions", "blocked"))


def test_delete_asks_and_takes_the_keys_along(run, on_store):
    run("teams", "create", "research")
    run("keys", "create", "--team", "research")
    run("teams", "delete", "research", stdin="n\n", status=1)
    run("teams", "delete", "research", "--yes")
    assert [] == on_store(keys.list_all)
    run("teams", "delete", "research", "--yes", status=1)


def test_a_name_is_taken_once(run):
    run("teams", "create", "research")
    assert "already a team" in run("teams", "create", "research", status=1).stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--budget", "-1"),
        ("--budget", "nan"),
        ("--budget", "1e12"),
        ("--budget", "0.0000001"),
        ("--budget", "ten"),
        ("--soft-budget", "ten"),
        ("--budget", "1", "--soft-budget", "1"),
        ("--budget-duration", "soon"),
        ("--region", "mars"),
    ],
)
def test_wrong_values_are_refused(run, wrong):
    run("teams", "create", "lab", *wrong, status=2)
    assert [] == json.loads(run("teams", "list", "--json").stdout)


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 257])
def test_wrong_names_are_refused(run, name):
    run("teams", "create", name, status=2)


def test_limits_are_set_shown_changed_and_lifted(run):
    options = ("--rpm", "60", "--concurrent-jobs", "5", "--concurrent-uploads", "2")
    made = json.loads(
        run("teams", "create", "lab", *options, "--upload-bytes-per-day", "1.5GB", "--json").stdout
    )
    limits = {
        "requests_per_minute": 60,
        "concurrent_jobs": 5,
        "concurrent_uploads": 2,
        "upload_bytes_per_day": 1_500_000_000,
    }
    assert limits == made["limits"] == shown(run, "lab")["limits"]
    run("teams", "update", "lab", "--name", "laboratory")
    assert limits == shown(run, "laboratory")["limits"]
    table = run("teams", "update", "laboratory", "--rpm", "none", "--concurrent-jobs", "9").stdout
    assert "9 jobs, 2 uploads, 1,500,000,000 bytes/day" in table
    assert {**limits, "requests_per_minute": None, "concurrent_jobs": 9} == shown(run, "laboratory")["limits"]


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("--rpm", "0"),
        ("--rpm", "-1"),
        ("--rpm", "1.5"),
        ("--concurrent-jobs", "many"),
        ("--concurrent-uploads", "10000000000000000"),
        ("--upload-bytes-per-day", "0"),
        ("--upload-bytes-per-day", "10 apples"),
        ("--upload-bytes-per-day", "10,000,000"),
        ("--upload-bytes-per-day", "10GB/day"),
        ("--upload-bytes-per-day", "2026-11-01"),
    ],
)
def test_a_wrong_limit_is_refused(run, option, wrong):
    assert wrong in run("teams", "create", "lab", option, wrong, status=2).stderr


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_model_is_no_model(run, empty):
    assert "--model is empty" in run("teams", "create", "lab", "--model", empty, status=2).stderr
    run("teams", "create", "lab")
    assert "--model is empty" in run("teams", "update", "lab", "--model", empty, status=2).stderr
    assert "--model is empty" in run("keys", "create", "--team", "lab", "--model", empty, status=2).stderr
    assert [] == shown(run, "lab")["models"]

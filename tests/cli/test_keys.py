"""`aai-gateway keys` on a real store."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import hash_key
from aai_gateway.store import keys


@pytest.fixture
def team(run):
    run("teams", "create", "newsroom", "--region", "eu")
    return "newsroom"


def listed(run, *options):
    return json.loads(run("keys", "list", "--json", *options).stdout)


def test_create_prints_the_key_alone_and_keeps_its_hash(run, on_store, team):
    result = run("keys", "create", "--team", team, "--alias", "laptop", "--budget", "2.5", "--region", "eu")
    key = result.stdout.removesuffix("\n")
    stored = on_store(lambda connection: keys.by_hash(connection, hash_key(key)))
    assert ("laptop", 2_500_000, (Region.EU,)) == (stored.alias, stored.budget.max_micros, stored.regions)
    assert f"sk-...{key[-4:]}" == stored.masked
    assert key not in result.stderr
    assert "newsroom" in result.stderr
    assert key not in run("keys", "list").stdout + run("keys", "list", "--json").stdout


def test_json_has_the_key_and_all_else(run, team):
    made = json.loads(run("keys", "create", "--team", team, "--json", "--model", "eu.assemblyai/*").stdout)
    assert hash_key(made["key"]) == made["hash"]
    assert ("newsroom", ["eu.assemblyai/*"], "active", None) == tuple(
        made[name] for name in ("team", "models", "state", "regions")
    )


def test_a_soft_budget_is_the_key_s_own(run, team):
    options = ("--budget", "2.5", "--soft-budget", "2", "--json")
    made = json.loads(run("keys", "create", "--team", team, *options).stdout)
    assert ("2.000000", "2.500000") == (made["budget"]["soft_usd"], made["budget"]["max_usd"])
    run("keys", "create", "--team", team, "--budget", "1", "--soft-budget", "2", status=2)


def test_expires_counts_from_now(run, on_store, team):
    key = run("keys", "create", "--team", team, "--expires", "12h").stdout.strip()
    stored = on_store(lambda connection: keys.by_hash(connection, hash_key(key)))
    assert timedelta(hours=11, minutes=59) < stored.expires_at - utc_now() <= timedelta(hours=12)


def test_list_can_be_one_team_s(run, team):
    run("teams", "create", "research")
    run("keys", "create", "--team", "research", "--alias", "a")
    run("keys", "create", "--team", team, "--alias", "b")
    assert ["a", "b"] == [key["alias"] for key in listed(run)]
    assert ["b"] == [key["alias"] for key in listed(run, "--team", team)]
    assert "There are no keys yet" not in run("keys", "list").stderr


@pytest.mark.parametrize("name_it", ["alias", "hash", "masked", "ellipsis", "ending", "stdin", "itself"])
def test_revoke_by_any_name(run, team, name_it):
    made = json.loads(run("keys", "create", "--team", team, "--alias", "laptop", "--json").stdout)
    ending = made["key"][-4:]
    named = {
        "alias": "laptop",
        "hash": made["hash"],
        "masked": f"sk-...{ending}",
        "ellipsis": f"…{ending}",
        "ending": f"...{ending}",
        "stdin": "-",
        "itself": made["key"],
    }[name_it]
    result = run("keys", "revoke", named, stdin=made["key"] + "\n")
    assert made["key"] not in result.output
    assert ["revoked"] == [key["state"] for key in listed(run)]


def test_revoke_says_when_there_is_no_such_key(run, team):
    assert "There is no such key" in run("keys", "revoke", "nobody", status=1).stderr
    assert "No key was given" in run("keys", "revoke", "-", stdin="", status=1).stderr


def test_a_key_cannot_have_a_region_that_its_team_lacks(run, team):
    assert "limited to eu" in run("keys", "create", "--team", team, "--region", "us", status=1).stderr
    assert [] == listed(run)


def test_a_key_needs_a_team(run):
    run("keys", "create", status=2)
    assert "There is no team nobody" in run("keys", "create", "--team", "nobody", status=1).stderr


@pytest.mark.parametrize(
    "wrong", [("--expires", "soon"), ("--expires", "0d"), ("--alias", ""), ("--budget", "-1")]
)
def test_wrong_values_are_refused(run, team, wrong):
    run("keys", "create", "--team", team, *wrong, status=2)
    assert [] == listed(run)


def created(run, team, *options):
    return json.loads(run("keys", "create", "--team", team, "--alias", "laptop", "--json", *options).stdout)


def shown(run, name="laptop"):
    return json.loads(run("keys", "show", name, "--json").stdout)


def test_a_key_is_narrowed_when_it_is_made_and_later(run, team):
    created(run, team, "--own-only", "--read-only")
    assert "read its own" in run("keys", "list").stdout
    assert (True, True) == (shown(run)["own_only"], shown(run)["read_only"])
    changed = run("keys", "update", "laptop", "--no-own-only", "--json")
    assert (False, True) == tuple(json.loads(changed.stdout)[name] for name in ("own_only", "read_only"))
    assert "read and write its team's" in run("keys", "update", "laptop", "--no-read-only").stdout
    assert "Nothing to change" in run("keys", "update", "laptop", status=1).stderr
    assert "There is no such key" in run("keys", "update", "nobody", "--own-only", status=1).stderr


def test_rotate_prints_another_secret_and_the_key_stays(run, team):
    made = created(run, team)
    result = run("keys", "rotate", "laptop")
    secret = result.stdout.removesuffix("\n")
    after = shown(run)
    assert (made["hash"], f"sk-...{secret[-4:]}") == (after["hash"], after["masked"])
    new, old = after["secrets"]
    assert (after["masked"], None, "active") == (new["masked"], new["expires_at"], new["state"])
    left = datetime.fromisoformat(old["expires_at"]) - utc_now()
    assert (made["masked"], "active") == (old["masked"], old["state"])
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    assert old["expires_at"][:16].replace("T", " ") in result.stderr
    assert secret not in result.stderr + run("keys", "show", "laptop").stdout


def test_without_grace_the_old_secret_works_no_more(run, team):
    made = created(run, team)
    turned = json.loads(run("keys", "rotate", "-", "--grace", "0", "--json", stdin=made["key"]).stdout)
    assert [("active", turned["masked"]), ("expired", made["masked"])] == [
        (secret["state"], secret["masked"]) for secret in shown(run)["secrets"]
    ]
    assert made["hash"] == turned["hash"] != hash_key(turned["key"])
    assert "ended" in run("keys", "show", "laptop").stdout


def test_what_cannot_be_rotated_is_said(run, team):
    made = created(run, team)
    run("keys", "rotate", "laptop", "--grace", "soon", status=2)
    assert "There is no such key" in run("keys", "rotate", "nobody", status=1).stderr
    run("keys", "revoke", "laptop")
    assert "laptop is revoked" in run("keys", "rotate", "laptop", status=1).stderr
    assert [made["masked"]] == [secret["masked"] for secret in shown(run)["secrets"]]


def test_the_last_use_is_shown(run, on_store, team):
    made = created(run, team)
    moment = datetime(2026, 11, 21, 12, 30, tzinfo=timezone.utc)
    assert shown(run)["last_used_at"] is None
    on_store(lambda connection: keys.note_used(connection, {made["hash"]: moment}))
    assert moment == datetime.fromisoformat(shown(run)["last_used_at"])
    assert "2026-11-21 12:30" in run("keys", "list").stdout


def test_limits_are_set_shown_changed_and_lifted(run, team):
    options = ("--rpm", "60", "--concurrent-jobs", "5", "--upload-bytes-per-day", "2GiB")
    made = json.loads(
        run("keys", "create", "--team", "newsroom", "--alias", "desk", *options, "--json").stdout
    )
    limits = {
        "requests_per_minute": 60,
        "concurrent_jobs": 5,
        "concurrent_uploads": None,
        "upload_bytes_per_day": 2 * 1024**3,
    }
    assert limits == made["limits"]
    changed = run("keys", "update", "desk", "--rpm", "none", "--concurrent-uploads", "3", "--json").stdout
    wanted = {**limits, "requests_per_minute": None, "concurrent_uploads": 3}
    assert wanted == json.loads(changed)["limits"]
    assert "5 jobs, 3 uploads" in run("keys", "list").stdout
    assert "There is no such key" in run("keys", "update", "nobody", "--rpm", "1", status=1).stderr

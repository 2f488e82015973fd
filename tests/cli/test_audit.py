"""`aai-gateway audit` on a real store, and that commands are told in their user's name."""

from __future__ import annotations

import getpass
import hashlib
import json
import socket
import sqlite3

import pytest

from aai_gateway.cli.actor import command_actor


def exported(run, *options):
    return [json.loads(line) for line in run("audit", "list", "--json", *options).stdout.splitlines()]


@pytest.fixture
def history(run):
    """A team with a key; the key revoked, the team limited to the EU and deleted. Its id."""
    team_id = run("teams", "create", "newsroom").stdout.strip()
    run("teams", "create", "research")
    run("keys", "create", "--team", "newsroom", "--alias", "desk", "--budget", "5")
    run("keys", "revoke", "desk")
    run("teams", "update", "newsroom", "--region", "eu")
    run("teams", "delete", "newsroom", "--yes")
    return team_id


@pytest.fixture
def tamper(data_dir):
    """Run statements behind the store's back, its triggers taken away."""

    def tamper(*statements):
        connection = sqlite3.connect(data_dir / "gateway.db")
        for event in ("update", "delete", "insert"):
            connection.execute(f"DROP TRIGGER IF EXISTS audit_log_no_{event}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return tamper


def test_every_command_that_changes_something_is_told_in_its_users_name(run, history):
    found = exported(run, "--all")
    assert [
        ("team.create", "newsroom"),
        ("team.create", "research"),
        ("key.create", "desk"),
        ("key.update", None),
        ("team.update", None),
        ("team.delete", None),
    ] == [(one["action"], one["details"].get("after", {}).get("alias")) for one in found]
    assert {f"cli:{getpass.getuser()}"} == {one["actor"] for one in found}
    assert {command_actor().source} == {one["source"] for one in found}
    assert socket.gethostname() in found[0]["source"]
    assert {"after": {"blocked": True}, "before": {"blocked": False}} == found[3]["details"]
    assert ["desk"] == [key["alias"] for key in found[5]["details"]["keys"]]
    assert "sk-" not in json.dumps(found)


def test_a_table_is_newest_first_and_speaks_of_keys_and_teams_by_name(run, history):
    run("keys", "create", "--team", "research", "--alias", "laptop")
    table = run("audit", "list").stdout.splitlines()
    assert ["Entry", "Time", "(UTC)", "Who", "From"] == table[0].split()[:5]
    assert "7" == table[2].split()[0]
    assert " key.create " in table[2] and " key laptop " in table[2] and " research " in table[2]
    assert "blocked: false → true" in next(line for line in table if "key.update" in line)
    assert ["7", "6"] == [
        line.split()[0] for line in run("audit", "list", "--limit", "2").stdout.splitlines()[2:]
    ]
    assert "--limit" in run("audit", "list", "--limit", "2").stderr
    assert "no such entries" in run("audit", "list", "--action", "nothing").stderr


def test_entries_are_chosen_by_what_they_tell(run, history):
    assert 5 == len(exported(run, "--team", history))
    assert [2] == [one["seq"] for one in exported(run, "--team", "research")]
    assert [4, 3] == [one["seq"] for one in exported(run, "--action", "key.*")]
    assert 6 == len(exported(run, "--actor", "cli:*"))
    assert [6, 5, 1] == [one["seq"] for one in exported(run, "--target", f"team:{history}")]
    assert [6] == [one["seq"] for one in exported(run, "--limit", "1")]
    assert [] == exported(run, "--until", "1d")
    assert 6 == len(exported(run, "--since", "1d"))
    assert "no team nobody" in run("audit", "list", "--team", "nobody", status=1).stderr


def test_too_long_tables_are_refused(run, data_dir):
    run("audit", "list", "--all", status=2)
    run("audit", "list", "--limit", "10001", status=2)


def test_what_is_exported_can_be_verified_elsewhere(run, history):
    previous = "0" * 64
    for number, entry in enumerate(exported(run, "--all"), 1):
        body = {name: value for name, value in entry.items() if name not in ("previous_hash", "hash")}
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        assert number == entry["seq"]
        assert previous == entry["previous_hash"]
        previous = hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        assert previous == entry["hash"]
    assert f"6:{previous}\n" == run("audit", "verify").stdout


def test_verify_names_what_was_changed_and_ends_with_1(run, history, tamper):
    tamper("UPDATE audit_log SET actor = 'cli:nobody' WHERE seq = 4")
    broken = run("audit", "verify", status=1)
    assert ("", True) == (broken.stdout, "Entry 4 was changed" in broken.stderr)
    told = json.loads(run("audit", "verify", "--json", status=1).stdout)
    assert (False, None, 4) == (told["whole"], told["head"], told["broken_at"])
    assert "Entry 4" in told["why"]


def test_a_cut_off_end_is_found_with_an_earlier_head(run, history, tamper):
    head = run("audit", "verify").stdout.strip()
    run("keys", "create", "--team", "research")
    now = json.loads(run("audit", "verify", "--expect", head, "--json").stdout)
    assert (True, 7) == (now["whole"], now["entries"])
    tamper("DELETE FROM audit_log WHERE seq > 5")
    assert run("audit", "verify").stdout.startswith("5:")
    cut = run("audit", "verify", "--expect", head, status=1)
    assert "The log ends at entry 5, but entry 6 was there" in cut.stderr
    run("audit", "verify", "--expect", "6", status=2)


def test_an_empty_log_is_whole(run, data_dir):
    head = f"0:{'0' * 64}"
    assert f"{head}\n" == run("audit", "verify").stdout
    run("audit", "verify", "--expect", head)


def test_under_sudo_it_says_for_whom(monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ada")
    assert command_actor().source.endswith("(sudo by ada)")

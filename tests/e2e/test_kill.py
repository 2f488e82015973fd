"""Gateways that are killed under load, again and again: nothing is lost, doubled, misplaced or overspent.

A short run of `scripts/chaos`, which goes on for as long as one likes.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from account_books import read
from gateway_process import REPOSITORY, free_port
from light_gateway import Nursery
from waiting import until

from aai_gateway.store.schema import REVISION

KILLS = 10
SECONDS = 600
"""Far more than it takes; a run that hangs must not hold up the tests for ever."""


def test_nothing_is_lost_or_doubled_when_gateways_are_killed_at_random_moments():
    paths = [str(REPOSITORY / "scripts"), str(REPOSITORY / "tests" / "support")]
    chaos = subprocess.run(
        [sys.executable, "-m", "chaos_monkey", "--kills", str(KILLS), "--seed", "7", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert chaos.stdout, chaos.stderr
    told = json.loads(chaos.stdout)
    facts = told["facts"]
    print(chaos.stderr, *(f"{name}: {value}" for name, value in facts.items()), sep="\n")
    assert {} == {kind: wrongs for kind, wrongs in told["wrongs"].items() if wrongs}
    assert 0 == chaos.returncode
    # It was a run that could have found something: with jobs cut off, a budget spent, and chat.
    assert KILLS == facts["kills"]
    assert facts["jobs accepted by AssemblyAI"] == facts["usage rows for them"] > 20
    assert facts["jobs accepted by AssemblyAI"] > facts["jobs that a client heard of"]
    assert facts["submissions over a budget"] > 0
    assert facts["chats answered"] > 0


def test_a_store_whose_making_was_cut_off_is_made_whole_by_the_next_start(tmp_path: Path):
    left: set[str] = set()
    wait = 0.02
    with Nursery(tmp_path / "light.log") as nursery:
        # Later and later, until a start has come through on this machine, however slow it is.
        for number in range(40):
            if REVISION in left and number >= 8:
                break
            folder = tmp_path / str(number)
            folder.mkdir()
            environment = {"AAI_GATEWAY_DATA_DIR": str(folder), "AAI_GATEWAY_SETTLE_INTERVAL": "0.1"}
            pid = nursery.start(environment, free_port())
            time.sleep(wait)
            wait *= 1.35
            nursery.kill(pid)
            left.add(revision(folder / "gateway.db"))
            pid = nursery.start(environment, free_port())
            until(lambda store=folder / "gateway.db": revision(store) == REVISION)
            nursery.kill(pid)
    # Some were killed before the store was made, some after.
    assert {"nothing", REVISION} <= left


def revision(store: Path) -> str:
    with suppress(sqlite3.OperationalError):
        for row in read(store, "SELECT version_num FROM alembic_version"):
            return str(row["version_num"])
    return "nothing"

"""Gateways that are killed under load, again and again: nothing is lost, doubled, misplaced or overspent.

A short run of `scripts/chaos`, which goes on for as long as one likes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from gateway_process import REPOSITORY

KILLS = 10
SECONDS = 240
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
    assert facts["jobs accepted by AssemblyAI"] == facts["usage rows for them"] > 50
    assert facts["jobs accepted by AssemblyAI"] > facts["jobs that a client heard of"]
    assert facts["submissions over a budget"] > 0
    assert facts["chats answered"] > 0

"""`aai-gateway backup`: the store at one moment, while others write to it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from aai_gateway.core.tenancy import Team
from aai_gateway.store import teams

# Adds teams two at a time: a consistent copy never has an odd number of them.
WRITER = """
import asyncio, sys
from aai_gateway.core.tenancy import Team
from aai_gateway.store import Store, teams

async def main():
    store = await Store.open(sys.argv[1])
    number = 0
    while True:
        async with store.write() as connection:
            for _ in range(2):
                number += 1
                name = f"w{number}"
                await teams.create(connection, Team(id=name, alias=name, metadata={"text": "x" * 20_000}))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def store(on_store, data_dir) -> Path:
    async def fill(connection):
        await teams.create(connection, Team(id="t1", alias="newsroom"))
        await teams.create(connection, Team(id="t2", alias="research"))

    on_store(fill)
    return data_dir / "gateway.db"


def names(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as copy:
        assert [("ok",)] == copy.execute("PRAGMA integrity_check").fetchall()
        return [name for (name,) in copy.execute("select id from teams order by id")]


def test_the_copy_is_whole_and_its_owners_only(run, store, tmp_path):
    made = json.loads(run("backup", "copy.db", "--json").stdout)
    copy = tmp_path / "copy.db"
    assert ["t1", "t2"] == names(copy)
    assert ("copy.db", copy.stat().st_size) == (made["file"], made["bytes"])
    assert 0o600 == stat.S_IMODE(copy.stat().st_mode)
    assert ["copy.db", "data"] == sorted(path.name for path in tmp_path.iterdir())


def test_it_is_one_moment_of_a_store_that_is_written_to(run, store, tmp_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, f"sqlite:///{store}"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        for number in range(8):
            run("backup", f"copy{number}.db")
            time.sleep(0.02)
    finally:
        writer.kill()
        written = [int(line) for line in writer.communicate()[0].split()]
    counts = [len(names(tmp_path / f"copy{number}.db")) for number in range(8)]
    assert [0] * 8 == [count % 2 for count in counts]
    assert sorted(counts) == counts
    assert counts[0] < counts[-1] <= max(written) + 4


def test_the_gateway_opens_a_copy_that_was_put_back(run, store, on_store, tmp_path):
    run("backup", "copy.db")

    async def add(connection):
        await teams.create(connection, Team(id="t3", alias="late"))

    on_store(add)
    for name in ("gateway.db-wal", "gateway.db-shm"):
        store.with_name(name).unlink(missing_ok=True)
    (tmp_path / "copy.db").replace(store)
    assert ["newsroom", "research"] == [
        team["name"] for team in json.loads(run("teams", "list", "--json").stdout)
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another's copy")
def test_the_copy_that_root_makes_is_the_gateway_s(run, store, tmp_path):
    os.chown(store, 61234, 61235)
    run("backup", "copy.db")
    made = (tmp_path / "copy.db").stat()
    assert (61234, 61235, 0o600) == (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode))


def test_a_file_that_is_there_is_kept_unless_forced(run, store, tmp_path):
    (tmp_path / "copy.db").write_text("precious")
    assert "exists already" in run("backup", "copy.db", status=1).stderr
    assert "precious" == (tmp_path / "copy.db").read_text()
    run("backup", "copy.db", "--force")
    assert ["t1", "t2"] == names(tmp_path / "copy.db")


def test_the_store_is_not_copied_over_itself(run, store):
    assert "is the store itself" in run("backup", str(store), "--force", status=1).stderr
    assert ["t1", "t2"] == names(store)


def test_what_cannot_be_copied_is_said(run, data_dir, monkeypatch):
    assert "There is no store at" in run("backup", "copy.db", status=1).stderr
    assert not data_dir.exists()
    monkeypatch.setenv("AAI_GATEWAY_STORE_URL", "postgresql://localhost/x")
    assert "pg_dump" in run("backup", "copy.db", status=1).stderr


def test_a_path_that_cannot_be_looked_at_is_said(run, store):
    assert "cannot be copied" in run("backup", f"{'x' * 300}.db", status=1).stderr


def test_a_folder_that_is_not_there_is_said(run, store):
    assert "cannot be copied" in run("backup", "nowhere/copy.db", status=1).stderr

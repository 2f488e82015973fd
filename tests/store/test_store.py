from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, teams, transcripts, usage

WORKER = Path(__file__).parent / "worker.py"
TEAM = Team("t1", "research")


@pytest.fixture
async def store(store: Store) -> Store:
    async with store.write() as connection:
        await teams.create(connection, TEAM)
    return store


async def start_worker(store_url: str, name: str, jobs: int) -> asyncio.subprocess.Process:
    command = (sys.executable, str(WORKER), store_url, TEAM.id, name, str(jobs))
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


async def book(store: Store, source_id: str, micros: int = 7) -> None:
    row = usage.UsageRow("speech", source_id, Region.US, "team:t1", micros, team_id="t1")
    async with store.write() as connection:
        await usage.record(connection, row)


async def create_and_fail(store: Store, team: Team) -> None:
    async with store.write() as connection:
        await teams.create(connection, team)
        raise ZeroDivisionError


async def fill_the_disk(store: Store, transcript: transcripts.Transcript) -> None:
    async with store.write() as connection:
        pages = await connection.scalar(sa.text("PRAGMA page_count"))
        await connection.execute(sa.text(f"PRAGMA max_page_count = {pages}"))
        await transcripts.record(connection, transcript)


async def booked_and_spent(store: Store) -> tuple[int, int]:
    async with store.read() as connection:
        total = await usage.total(connection)
        team = await teams.by_id(connection, TEAM.id)
    assert team is not None
    return total.micros, team.budget.spent_micros


async def test_a_write_that_raises_is_undone(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        await create_and_fail(store, Team("t2", "newsroom"))

    async with store.read() as connection:
        assert [TEAM.alias] == [team.alias for team in await teams.list_all(connection)]


async def test_reading_never_waits_for_a_writer_and_sees_only_what_is_committed(store: Store) -> None:
    async with store.write() as writing:
        await teams.create(writing, Team("t2", "newsroom"))
        async with store.read() as reading:
            assert await teams.by_id(reading, "t2") is None
    async with store.read() as reading:
        assert await teams.by_id(reading, "t2") is not None


async def test_an_open_reader_sees_the_newest_commit(store: Store) -> None:
    async with store.read() as reading:
        assert await teams.by_id(reading, "t2") is None
        async with store.write() as writing:
            await teams.create(writing, Team("t2", "newsroom"))
        assert await teams.by_id(reading, "t2") is not None


async def test_many_writers_of_one_process_lose_nothing(store: Store) -> None:
    await asyncio.gather(*(book(store, f"job-{number}") for number in range(60)))

    assert (60 * 7, 60 * 7) == await booked_and_spent(store)


async def test_many_writers_of_several_processes_lose_nothing(store: Store, store_url: str) -> None:
    workers = [await start_worker(store_url, name, 40) for name in ("a", "b", "c")]
    await asyncio.gather(*(book(store, f"job-{number}") for number in range(40)))
    await asyncio.gather(*(worker.communicate() for worker in workers))

    assert [0, 0, 0] == [worker.returncode for worker in workers]
    assert (160 * 7, 160 * 7) == await booked_and_spent(store)


async def test_a_killed_writer_leaves_whole_jobs_and_every_acknowledged_one(
    store: Store, store_url: str
) -> None:
    worker = await start_worker(store_url, "killed", 100_000)
    assert worker.stdout is not None
    for _ in range(25):
        acknowledged = int(await worker.stdout.readline())
    worker.send_signal(signal.SIGKILL)
    rest = (await worker.communicate())[0].splitlines()
    acknowledged += len(rest)

    async with store.read() as connection:
        jobs = (await usage.total(connection)).jobs
        query = sa.text("SELECT count(*) FROM transcripts t JOIN usage u ON u.source_id = t.id")
        whole = await connection.scalar(query)
        recorded = await connection.scalar(sa.text("SELECT count(*) FROM transcripts"))
    booked, spent = await booked_and_spent(store)
    assert jobs == whole == recorded
    assert booked == spent == 7 * jobs
    assert jobs in (acknowledged + 1, acknowledged + 2)
    await book(store, "after")


@pytest.mark.parametrize("steps", range(0, 40, 3))
async def test_a_write_cancelled_anywhere_is_whole_and_holds_up_nobody(store: Store, steps: int) -> None:
    task = asyncio.create_task(book(store, "cancelled"))
    for _ in range(steps):
        await asyncio.sleep(0.0002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await book(store, "next")

    booked, spent = await booked_and_spent(store)
    assert booked == spent
    assert booked in (7, 14)


async def test_a_cancelled_block_is_undone(store: Store) -> None:
    inside = asyncio.Event()

    async def write_and_wait() -> None:
        async with store.write() as connection:
            await teams.create(connection, Team("t2", "newsroom"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with store.write() as connection:
        assert await teams.by_id(connection, "t2") is None


async def test_a_statement_cancelled_on_its_way_gives_up_the_write_lock(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    loop, running = asyncio.get_running_loop(), asyncio.Event()
    finish = threading.Event()

    def pause() -> int:
        loop.call_soon_threadsafe(running.set)
        return finish.wait(30)

    async def write_slowly() -> None:
        async with store.write() as connection:
            await teams.create(connection, TEAM)
            raw = (await connection.get_raw_connection()).driver_connection
            await raw.create_function("pause", 0, pause)
            await connection.execute(sa.text("SELECT pause() UNION ALL SELECT 2"))

    task = asyncio.create_task(write_slowly())
    await running.wait()
    task.cancel()
    loop.call_later(0.01, finish.set)
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    async with store.write() as connection:
        assert TEAM.alias == (await teams.create(connection, TEAM)).alias
    # All the while the task's traceback, and in it the statement, was alive, as where a server logs it.
    assert cancelled.tb is not None
    await store.close()


async def test_the_change_counter_moves_with_commits_and_with_nothing_else(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    first = store.change_counter()
    async with store.read() as connection:
        await teams.list_all(connection)
    assert first == store.change_counter()

    with pytest.raises(ZeroDivisionError):
        await create_and_fail(store, TEAM)
    assert first == store.change_counter()

    async with store.write() as connection:
        await teams.create(connection, TEAM)
    second = store.change_counter()
    assert first != second

    worker = await start_worker(f"sqlite:///{tmp_path}/gateway.db", "other", 1)
    await worker.communicate()
    assert second != store.change_counter()
    await store.close()


async def test_the_change_counter_is_unknown_on_a_closed_store(store: Store) -> None:
    await store.close()

    assert store.change_counter() is None


async def test_a_full_disk_is_a_store_error_and_passes(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    transcript = transcripts.Transcript("id", Region.US, "master", "https://example.com/" + "a" * 100_000)
    with pytest.raises(StoreError, match="cannot be written: database or disk is full"):
        await fill_the_disk(store, transcript)
    async with store.write() as connection:
        await connection.execute(sa.text("PRAGMA max_page_count = 1000000"))
        assert await transcripts.record(connection, transcript)
    await store.close()


async def test_a_file_that_lost_its_name_takes_nothing_more_until_it_is_back(tmp_path: Path) -> None:
    file, aside = tmp_path / "gateway.db", tmp_path / "aside.db"
    store = await Store.open(f"sqlite:///{file}")
    file.rename(aside)
    for _ in range(2):
        with pytest.raises(StoreError, match="was moved, replaced or removed while it was open"):
            async with store.write() as connection:
                await teams.create(connection, TEAM)
        file.write_bytes(b"")
    aside.rename(file)
    async with store.write() as connection:
        await teams.create(connection, TEAM)
    await store.close()

    store = await Store.open(f"sqlite:///{file}")
    async with store.read() as reading:
        assert ["t1"] == [team.id for team in await teams.list_all(reading)]
    await store.close()


async def test_a_damaged_file_is_a_store_error_when_read(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    with sqlite3.connect(tmp_path / "gateway.db") as connection:
        connection.execute("DROP TABLE virtual_keys")
        connection.execute("DROP TABLE teams")
    connection.close()

    with pytest.raises(StoreError, match="cannot be read: no such table: teams"):
        async with store.read() as reading:
            await teams.list_all(reading)
    await store.close()

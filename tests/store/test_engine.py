from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.errors import StoreError
from aai_gateway.store import Store, gateway_budget, teams, transcripts, usage
from aai_gateway.store.engine import make_engine, parse_url, prepare_file
from aai_gateway.store.schema import POSTGRES_SCHEMA, REVISION, metadata

WORKER = Path(__file__).parent / "worker.py"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


def shared_folder(parent: Path) -> Path:
    folder = parent / "shared"
    folder.mkdir()
    folder.chmod(0o750)
    return folder


async def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/new/deep/gateway.db")
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "research"))
    folder = tmp_path / "new" / "deep"
    files = {path.name: mode(path) for path in folder.iterdir()}
    await store.close()

    assert 0o700 == mode(folder)
    assert {"gateway.db": 0o600, "gateway.db-wal": 0o600, "gateway.db-shm": 0o600} == files
    assert ["gateway.db"] == [path.name for path in folder.iterdir()]


async def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    folder = shared_folder(tmp_path)
    store = await Store.open(f"sqlite:///{folder}/gateway.db")
    await store.close()

    assert 0o750 == mode(folder)


async def test_sqlite_is_durable_and_keeps_references(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    async with store.read() as connection:
        found = {name: await connection.scalar(sa.text(f"PRAGMA {name}")) for name in pragmas}
    await store.close()

    assert {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000} == found


async def test_what_is_stored_is_there_after_reopening(store_url: str) -> None:
    store = await Store.open(store_url)
    async with store.write() as connection:
        await teams.create(connection, Team("t1", "research"))
    await store.close()

    store = await Store.open(store_url)
    async with store.read() as connection:
        found = await teams.list_all(connection)
    await store.close()
    assert ["research"] == [team.alias for team in found]


async def test_processes_may_open_a_new_store_at_once(store_url: str) -> None:
    command = (sys.executable, str(WORKER), store_url, "t1", "opener", "0")
    workers = [
        await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE) for _ in range(4)
    ]
    errors = [(await worker.communicate())[1].decode() for worker in workers]

    assert [""] * 4 == errors
    assert [0] * 4 == [worker.returncode for worker in workers]


async def test_stores_may_be_opened_at_once_in_one_process(store_url: str) -> None:
    stores = await asyncio.gather(*(Store.open(store_url) for _ in range(8)))
    async with stores[0].write() as connection:
        await teams.create(connection, Team("t1", "research"))
    async with stores[7].read() as connection:
        found = await teams.by_id(connection, "t1")
    for store in stores:
        await store.close()

    assert found is not None


async def test_migrations_make_exactly_the_schema(store: Store) -> None:
    def compares_default(*arguments: object) -> bool | None:
        """Not where Postgres cannot: it has no equality of JSON."""
        column = arguments[2]
        assert isinstance(column, sa.Column)
        return False if isinstance(column.type, sa.JSON) else None

    def differences(connection: sa.Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": compares_default}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with store.read() as connection:
        assert [] == await connection.run_sync(differences)


def test_the_schema_names_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "aai_gateway.store:migrations")

    assert [REVISION] == ScriptDirectory.from_config(config).get_heads()


async def test_a_store_of_a_newer_release_is_refused_and_left_alone(store_url: str) -> None:
    store = await Store.open(store_url)
    async with store.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await store.close()

    for _ in range(2):
        with pytest.raises(StoreError, match="at revision 9999, which this release does not know"):
            await Store.open(store_url)


async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE virtual_keys (note TEXT)")
    with pytest.raises(StoreError, match="table virtual_keys already exists"):
        await Store.open(f"sqlite:///{file}")

    with sqlite3.connect(file) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert [("virtual_keys",)] == tables


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gateway.db"
    file.write_text("Not a database at all. " * 100)

    with pytest.raises(StoreError, match=r"cannot be opened: file is not a database.*a backup back"):
        await Store.open(f"sqlite:///{file}")


async def test_a_home_folder_is_the_user_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    await (await Store.open("sqlite:///~/gateway.db")).close()

    assert ["home", "gateway.db"] == names(tmp_path)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StoreError, match=r"cannot be opened: .*taken"):
        await Store.open(f"sqlite:///{tmp_path}/taken/gateway.db")


async def test_an_unreachable_postgres_is_refused_without_its_password() -> None:
    with pytest.raises(StoreError, match="cannot be opened") as refused:
        await Store.open("postgresql://user:hunter2@127.0.0.1:1/gateway")

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("", "cannot be read"),
        ("gateway.db", "cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://localhost/gateway", "cannot be kept in mysql"),
    ],
)
def test_a_url_of_something_else_is_refused(url: str, text: str) -> None:
    with pytest.raises(StoreError, match=text):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:////tmp/a.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:////tmp/a.db", "sqlite+aiosqlite"),
        ("postgresql://localhost/a", "postgresql+psycopg"),
        ("postgres://localhost/a", "postgresql+psycopg"),
        ("postgresql+asyncpg://localhost/a", "postgresql+psycopg"),
    ],
)
def test_the_driver_is_ours_to_choose(url: str, driver: str) -> None:
    assert driver == parse_url(url).drivername


async def test_a_store_of_the_first_release_keeps_what_it_knows(store_url: str) -> None:
    def first_release(connection: sa.Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "aai_gateway.store:migrations")
        command.upgrade(config, "0001")

    engine = make_engine(parse_url(store_url))
    if engine.dialect.name == "sqlite":
        await asyncio.to_thread(prepare_file, Path(engine.url.database or ""))
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(sa.text(f"CREATE SCHEMA {POSTGRES_SCHEMA}"))
        await connection.run_sync(first_release)
        for statement in (
            "INSERT INTO teams (id, alias, regions, models, spent_micros, lifetime_micros, blocked, "
            "created_at, metadata) "
            "VALUES ('t1', 'newsroom', '[\"eu\"]', '[]', 70, 70, false, '2026-10-01', '{}')",
            "INSERT INTO transcripts (region, id, owner, team_id, audio_url, requested, status, throttled, "
            "created_at, attempts) "
            "VALUES ('eu', 'j1', 'team:t1', 't1', 'https://x', '{}', 'completed', false, '2026-10-02', 0)",
            "INSERT INTO usage (service, region, source_id, status, owner, team_id, micros, items, "
            "audio_seconds, channels, prompt_tokens, completion_tokens, tags, created_at, day) VALUES "
            "('speech', 'eu', 'j1', 'completed', 'team:t1', 't1', 60, '[]', 1, 1, 0, 0, '[]', '2026-10-03', "
            "'2026-10-03'), ('chat', 'eu', 'c1', 'completed', 'team:t1', 't1', 10, '[]', 0, 1, 1, 1, '[]', "
            "'2026-10-04', '2026-10-04')",
        ):
            await connection.exec_driver_sql(statement)
    await engine.dispose()

    store = await Store.open(store_url)
    async with store.read() as connection:
        team = await teams.get(connection, "newsroom")
        [job, completion] = await usage.list_rows(connection, oldest_first=True)
        gateway, lifetime = await gateway_budget.get(connection)
        transcript = await transcripts.get(connection, Region.EU, "j1")
    await store.close()
    assert team is not None
    assert (70, 0, None, False) == (
        team.budget.spent_micros,
        team.budget.held_micros,
        team.budget.soft_micros,
        team.budget.warned,
    )
    assert transcript is not None
    assert ((), None) == (transcript.tags, transcript.end_user)
    # A job was priced as of its submission, a completion as of its booking.
    assert [transcript.created_at, completion.created_at] == [job.priced_at, completion.priced_at]
    assert (70, 70) == (gateway.spent_micros, lifetime)

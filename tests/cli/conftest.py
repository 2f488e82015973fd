"""A command line of its own: no settings of the machine, a data folder that goes away."""

from __future__ import annotations

import asyncio
import os

import pytest
from typer.testing import CliRunner

from aai_gateway.cli.main import app
from aai_gateway.settings import Settings, environment_name
from aai_gateway.store import Store


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    for field in Settings.model_fields:
        monkeypatch.delenv(environment_name(field), raising=False)
    for name in ("LITELLM_MASTER_KEY", "AAI_GATEWAY_DEBUG", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data"
    monkeypatch.setenv("AAI_GATEWAY_DATA_DIR", str(folder))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    environment = dict(os.environ)
    yield folder
    # `serve` fills its own process's environment in; here that is the tests'.
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture
def run(data_dir):
    """Run a command line; the result has `exit_code`, `stdout` and `stderr`."""

    def run(*arguments: str, stdin: str | None = None, status: int = 0):
        result = CliRunner().invoke(app, list(arguments), input=stdin, prog_name="aai-gateway")
        assert status == result.exit_code, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def on_store(data_dir):
    """Run `work(connection)` in a transaction of the command line's store."""

    def on_store(work):
        async def opened():
            store = await Store.open(f"sqlite:///{data_dir / 'gateway.db'}")
            try:
                async with store.write() as connection:
                    return await work(connection)
            finally:
                await store.close()

        return asyncio.run(opened())

    return on_store

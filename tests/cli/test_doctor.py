"""`aai-gateway doctor`: each finding, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata

import pytest
import sqlalchemy as sa
from random_usage import UNKNOWN, item

from aai_gateway.cli import checks, probes
from aai_gateway.cli.ledger_checks import ledger
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team
from aai_gateway.core.usage_rows import UsageRow
from aai_gateway.emulator import Emulator
from aai_gateway.settings import load_settings
from aai_gateway.store import Store, teams, usage
from aai_gateway.store.schema import teams as teams_table

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def nowhere(data_dir, monkeypatch):
    """Nothing is asked of the outside."""
    for name in ("US_URL", "EU_URL", "LLM_US_URL", "LLM_EU_URL", "URL"):
        monkeypatch.setenv(f"AAI_GATEWAY_{name}", NOWHERE)


def found(checks):
    return {check.name: check for check in checks}


def probed():
    return found(asyncio.run(probes.probe_all(load_settings())))


async def probed_with_emulator(monkeypatch, key):
    async with Emulator() as emulator:
        for name, url in zip(
            ("US_URL", "EU_URL", "LLM_US_URL", "LLM_EU_URL"),
            (emulator.urls.us, emulator.urls.eu, emulator.urls.llm_us, emulator.urls.llm_eu),
            strict=True,
        ):
            monkeypatch.setenv(f"AAI_GATEWAY_{name}", url)
        if key is not None:
            monkeypatch.setenv("ASSEMBLYAI_API_KEY", key)
        return found(await probes.probe_all(load_settings()))


@contextmanager
def answering(answers):
    """A server on loopback that answers `{path: (status, body)}`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers.get(self.path, (404, b"{}"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_each_host_that_takes_the_key_is_ok(monkeypatch):
    checks = await probed_with_emulator(monkeypatch, "emulator-account-key")
    for name in ("speech us", "speech eu", "chat us", "chat eu", "clock"):
        assert "ok" == checks[name].status, checks[name]
    assert checks["speech us"].text.endswith("takes the account key")


async def test_a_refused_key_is_told_from_an_unreachable_host(monkeypatch):
    checks = await probed_with_emulator(monkeypatch, "a-wrong-secret")
    assert ("fail", True) == (
        checks["speech eu"].status,
        "refuses the account key" in checks["speech eu"].text,
    )
    assert not any("a-wrong-secret" in check.text for check in checks.values())


async def test_without_a_key_hosts_that_answer_are_ok(monkeypatch):
    checks = await probed_with_emulator(monkeypatch, None)
    assert ("ok", True) == (checks["speech us"].status, "no account key" in checks["speech us"].text)


def test_unreachable_hosts_fail_only_who_needs_them(monkeypatch):
    assert {"warn"} == {check.status for check in probed().values()}
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "a-secret")
    checks = probed()
    assert ("fail", True) == (
        checks["speech us"].status,
        "127.0.0.1:9 cannot be reached" in checks["speech us"].text,
    )


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        (
            {
                "/health/liveliness": (200, b'"alive"'),
                "/assemblyai/v2/transcript": (401, b'{"error": "Authentication error"}'),
            },
            "ok",
            "as the gateway",
        ),
        (
            {
                "/health/liveliness": (200, b'"alive"'),
                "/assemblyai/v2/transcript": (401, b'{"error": {"message": "No api key", "code": "401"}}'),
            },
            "fail",
            "without the gateway",
        ),
        ({}, "fail", "no healthy LiteLLM proxy: status 404"),
    ],
)
def test_the_gateway_is_told_from_stock_litellm(monkeypatch, answers, status, said):
    with answering(answers) as url:
        monkeypatch.setenv("AAI_GATEWAY_URL", url)
        check = probed()["gateway"]
    assert status == check.status
    assert said in check.text


@pytest.mark.parametrize(
    ("statuses", "status", "said"),
    [
        ((200, 200), "ok", "may use US and EU"),
        ((403, 200), "ok", "may use EU"),
        ((403, 403), "fail", "no region"),
        ((401, 401), "fail", "refuses AAI_GATEWAY_KEY"),
    ],
)
def test_the_virtual_key_is_tried_in_both_regions(monkeypatch, statuses, status, said):
    answers = {
        "/health/liveliness": (200, b'"alive"'),
        "/assemblyai/v2/transcript": (401, b'{"error": "Authentication error"}'),
        "/assemblyai/v2/transcript?limit=1": (statuses[0], b"{}"),
        "/eu.assemblyai/v2/transcript?limit=1": (statuses[1], b"{}"),
    }
    with answering(answers) as url:
        monkeypatch.setenv("AAI_GATEWAY_URL", url)
        monkeypatch.setenv("AAI_GATEWAY_KEY", "sk-a-secret")
        check = probed()["virtual key"]
    assert status == check.status
    assert said in check.text
    assert "sk-a-secret" not in check.text


def test_the_data_folder(data_dir):
    assert ("ok", True) == (
        checks.data_folder(load_settings()).status,
        "will be made" in checks.data_folder(load_settings()).text,
    )
    data_dir.mkdir(mode=0o700)
    assert "ok" == checks.data_folder(load_settings()).status
    data_dir.chmod(0o755)
    assert "chmod 700" in checks.data_folder(load_settings()).text
    data_dir.rmdir()
    data_dir.touch()
    assert "fail" == checks.data_folder(load_settings()).status


def test_a_full_disk_is_told(data_dir, monkeypatch):
    data_dir.mkdir()
    assert ["ok"] == [check.status for check in checks.disk(load_settings())]
    with monkeypatch.context() as patched:
        patched.setattr("aai_gateway.store.trouble.LEAST_BYTES", 10**18)
        [check] = checks.disk(load_settings())
    assert ("fail", True) == (check.status, "make room" in check.text)
    monkeypatch.setenv("AAI_GATEWAY_STORE_URL", "postgresql://localhost/x")
    assert [] == list(checks.disk(load_settings()))


def test_looking_at_the_store_changes_nothing(data_dir):
    check = asyncio.run(checks.store(load_settings()))
    assert ("ok", True) == (check.status, "will be made" in check.text)
    assert not data_dir.exists()


def test_the_store_s_revision_is_compared(data_dir):
    path = data_dir / "gateway.db"

    async def made():
        await (await Store.open(f"sqlite:///{path}")).close()
        return await checks.store(load_settings())

    assert "ok" == asyncio.run(made()).status
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    assert "warn" == asyncio.run(checks.store(load_settings())).status
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    check = asyncio.run(checks.store(load_settings()))
    assert ("fail", True) == (check.status, "which this release does not know" in check.text)
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    check = asyncio.run(checks.store(load_settings()))
    assert ("fail", True) == (check.status, "cannot be read" in check.text)
    assert "put a backup back" in check.text


def ledger_found():
    return [(check.name, check.status, check.text) for check in asyncio.run(ledger(load_settings()))]


def test_a_ledger_in_order_is_said_to_be(data_dir, on_store):
    assert [] == ledger_found()
    assert not data_dir.exists()
    on_store(lambda connection: teams.create(connection, Team("t1", "research")))
    on_store(lambda connection: usage.record(connection, speech_row("a")))

    assert [
        ("prices", "ok", "every row has prices of its own"),
        ("unknown completions", "ok", "none in 30 days"),
        ("held money", "ok", "adds up: each key, team and the gateway have the sum of their holds"),
        ("spend", "ok", "adds up: each key, team and the gateway have the sum of their usage rows"),
    ] == ledger_found()


def test_what_is_wrong_in_the_ledger_is_told(on_store):
    at = utc_now().replace(second=0, microsecond=0)
    odd = speech_row(
        "a",
        micros=990_000,
        items=(item("clairvoyance", 3600, "second", "0.99", 990_000, fallback=True),),
        priced_as="fallback",
        created_at=at,
    )
    lost = {"service": "chat", "micros": 0, "items": (UNKNOWN,), "status": "unknown"}

    async def book(connection):
        await teams.create(connection, Team("t1", "research", created_at=at))
        await usage.record(connection, odd)
        await usage.record(connection, speech_row("b", **lost))
        await usage.record(connection, speech_row("c", **lost, created_at=at - timedelta(days=31)))
        wrong = {"held_micros": 5, "lifetime_micros": 6}
        await connection.execute(sa.update(teams_table).values(wrong))

    on_store(book)

    when = f"{at:%Y-%m-%d %H:%M}"
    assert [
        (
            "price missing",
            "warn",
            f"speech clairvoyance (universal-2) was charged at the fallback price once, {when} UTC: "
            "$0.990000; give it a price with aai-gateway prices",
        ),
        (
            "unknown completions",
            "warn",
            "1 in 30 days had no answer; they may have cost $3,000.000000 at most",
        ),
        ("held money", "fail", "Team research has $0.000005 held, its holds add up to $0.000000"),
        ("spend", "fail", "Team research has $0.000006 spent, its usage rows add up to $0.990000"),
    ] == ledger_found()


def test_a_store_of_another_revision_or_none_has_no_ledger_to_check(data_dir, on_store):
    on_store(
        lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    )
    assert [] == ledger_found()
    (data_dir / "gateway.db").write_bytes(b"this is no database, whatever its name says" * 100)
    assert [("ledger", "fail")] == [one[:2] for one in ledger_found()]


def speech_row(source_id, **others):
    defaults = {
        "service": "speech",
        "micros": 7,
        "model": "universal-2",
        "team_id": "t1",
        "created_at": utc_now(),
    }
    return UsageRow(source_id=source_id, region=Region.US, owner="team:t1", **defaults | others)


def test_a_store_url_s_password_is_not_shown(monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_STORE_URL", "mysql://gateway:secret-word@db/gateway")
    check = asyncio.run(checks.store(load_settings()))
    assert ("fail", False) == (check.status, "secret-word" in check.text)


def test_account_keys_by_region(monkeypatch):
    assert ["warn", "warn"] == [check.status for check in checks.account_keys(load_settings())]
    monkeypatch.setenv("ASSEMBLYAI_EU_API_KEY", "a-secret")
    assert ["warn", "ok"] == [check.status for check in checks.account_keys(load_settings())]


def test_versions_are_those_of_the_package():
    found_packages = found(checks.packages())
    assert "ok" == checks.python_version().status
    assert ("ok", metadata.version("litellm")) == (
        found_packages["litellm"].status,
        found_packages["litellm"].text,
    )
    assert {"extra proxy", "extra quotes", "extra emulator", "litellm"} == found_packages.keys()


def test_the_command_prints_each_and_fails_when_one_does(run, monkeypatch):
    monkeypatch.setenv("ASSEMBLYAI_API_KEY", "a-secret")
    monkeypatch.setenv("AAI_GATEWAY_EMBEDDING_MODEL", "/no/such/folder")
    result = run("doctor", "--json", status=1)
    answer = json.loads(result.stdout)
    by_name = {check["name"]: check for check in answer["checks"]}
    assert answer["ok"] is False
    assert ("fail", "fail") == (by_name["speech us"]["status"], by_name["embedding model"]["status"])
    assert "a-secret" not in result.output


def test_a_variable_that_is_no_setting_is_told(run, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_REED_TIMEOUT", "5")
    result = run("doctor")
    assert "warn  settings: AAI_GATEWAY_REED_TIMEOUT is no setting; is it AAI_GATEWAY_READ_TIMEOUT?" in (
        result.stdout
    )


def test_settings_that_cannot_be_used_end_it(run, monkeypatch):
    monkeypatch.setenv("AAI_GATEWAY_CONNECT_TIMEOUT", "-1")
    result = run("doctor", status=1)
    assert "FAIL  settings:" in result.stdout
    assert "AAI_GATEWAY_CONNECT_TIMEOUT" in result.stdout

"""Keys by forms: the secret is on one page, once."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from dashboard_client import browser, form_of, send, sign_in, text_of
from opened_gateway import KEY, MASTER, TEAM

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import VirtualKey, hash_key, mask_key
from aai_gateway.store import audit_log, keys, transcripts
from aai_gateway.store.transcripts import Transcript

PATH = f"/keys/{hash_key(KEY)}"
EDIT = f"{PATH}/edit"


@pytest.fixture
async def client(client):
    await sign_in(client, MASTER)
    return client


async def key(gateway, key_hash: str = hash_key(KEY)) -> VirtualKey | None:
    async with gateway.store.read() as connection:
        return await keys.by_hash(connection, key_hash)


async def all_keys(gateway) -> list[VirtualKey]:
    async with gateway.store.read() as connection:
        return await keys.list_all(connection)


def secret_on(page) -> str:
    [found] = re.findall(r'<code id="secret">(sk-[A-Za-z0-9_-]{32})</code>', page.text)
    return found


async def test_a_key_is_made_and_shown_once(client, gateway):
    answer = await send(
        client,
        f"/keys/new?team={TEAM}",
        "/keys/new",
        key_alias="laptop",
        regions="eu",
        models="eu.assemblyai/*",
        max_budget="5",
        rpm_limit="9",
        duration="30d",
        own_only="on",
        read_only="",
    )
    assert 200 == answer.status_code
    assert "no-store" == answer.headers["cache-control"]
    secret = secret_on(answer)
    made = await key(gateway, hash_key(secret))
    assert (TEAM, "laptop", (Region.EU,), ("eu.assemblyai/*",)) == (
        made.team_id,
        made.alias,
        made.regions,
        made.models,
    )
    assert (5_000_000, 9, True, False) == (
        made.budget.max_micros,
        made.limits.requests_per_minute,
        made.own_only,
        made.read_only,
    )
    assert abs(made.expires_at - utc_now() - timedelta(days=30)) < timedelta(minutes=1)
    assert 'base_url = "http://gateway/eu.assemblyai"' in answer.text.replace("&#34;", '"')
    assert 1 == answer.text.count(secret)
    async with gateway.store.read() as connection:
        [entry, *_] = await audit_log.list_entries(connection, limit=1)
    assert ("key.create", "master", "127.0.0.1 (dashboard)") == (entry.action, entry.actor, entry.source)
    for path in (f"/dashboard/keys/{made.hash}/edit", f"/dashboard/keys/{made.hash}/delete"):
        page = await client.get(path)
        assert 200 == page.status_code
        assert secret not in page.text
    async with browser(gateway) as other:
        assert 303 == (await sign_in(other, secret)).status_code


async def test_a_reload_of_the_page_with_the_key_makes_no_other_and_shows_it_no_more(client, gateway):
    form = {**form_of(await client.get(f"/dashboard/keys/new?team={TEAM}"), "/keys/new")}
    first = await client.post("/dashboard/keys/new", data=form)
    secret = secret_on(first)
    again = await client.post("/dashboard/keys/new", data=form)
    assert 409 == again.status_code
    assert secret not in again.text
    assert "It was shown once" in text_of(again)
    assert 2 == len(await all_keys(gateway))


async def test_what_is_refused_may_be_sent_again_and_keeps_what_was_typed(client, gateway):
    answer = await send(
        client, "/keys/new", key_alias="laptop", team_id=TEAM, max_budget="much", own_only="on"
    )
    assert 400 == answer.status_code
    form = form_of(answer, "/keys/new")
    assert ("laptop", TEAM, "much", "on") == tuple(
        form[name] for name in ("key_alias", "team_id", "max_budget", "own_only")
    )
    assert "Budget must be an amount" in answer.text
    assert 200 == (await client.post("/dashboard/keys/new", data={**form, "max_budget": "1"})).status_code
    answer = await send(client, "/keys/new", key_alias="laptop", team_id=TEAM)
    assert 400 == answer.status_code
    assert "There is already a key with the name laptop." in text_of(answer)


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"team_id": ""}, 400, "Choose the key's team."),
        ({"team_id": "nobody"}, 404, ""),
        ({"duration": "soon"}, 400, "is no duration"),
        ({"once": "x"}, 400, "The form cannot be read."),
        ({"once": ""}, 400, "The form cannot be read."),
    ],
)
async def test_a_key_that_cannot_be_made_is_not(client, gateway, fields, status, says):
    answer = await send(client, f"/keys/new?team={TEAM}", "/keys/new", **fields)
    assert status == answer.status_code
    assert says in text_of(answer)
    assert 1 == len(await all_keys(gateway))


async def test_a_key_is_changed_and_its_expiry_stays_unless_told(client, gateway):
    until = utc_now() + timedelta(days=3)
    async with gateway.store.write() as connection:
        await keys.update(connection, hash_key(KEY), expires_at=until)
    assert 303 == (await send(client, EDIT, read_only="on", key_alias="lab")).status_code
    changed = await key(gateway)
    assert (until, True, "lab") == (changed.expires_at, changed.read_only, changed.alias)
    assert 303 == (await send(client, EDIT, duration="never", read_only="")).status_code
    changed = await key(gateway)
    assert (None, False) == (changed.expires_at, changed.read_only)


async def test_a_key_may_not_use_what_its_team_may_not(client, gateway):
    assert 303 == (await send(client, f"/teams/{TEAM}/edit", regions="eu")).status_code
    answer = await send(client, EDIT, regions="us")
    assert 400 == answer.status_code
    assert "is limited to eu" in answer.text.partition('id="regions-error"')[2].partition("</p>")[0]


async def test_a_change_that_somebody_else_made_meanwhile_is_not_lost(client, gateway):
    form = form_of(await client.get(f"/dashboard{EDIT}"), EDIT)
    async with gateway.store.write() as connection:
        await keys.update(connection, hash_key(KEY), expires_at=utc_now() + timedelta(days=1))
    answer = await client.post(f"/dashboard{EDIT}", data={**form, "max_budget": "30"})
    assert 409 == answer.status_code
    assert "Expires: never before" in text_of(answer)
    assert (await key(gateway)).budget.max_micros is None


async def test_a_rotation_shows_the_new_secret_once_and_lets_the_old_one_work_for_the_grace(client, gateway):
    form = form_of(await client.get(f"/dashboard{EDIT}"), f"{PATH}/rotate")
    assert "24h" == form["grace_period"]
    answer = await client.post(f"/dashboard{PATH}/rotate", data=form)
    assert 200 == answer.status_code
    secret = secret_on(answer)
    for works in (KEY, secret):
        assert hash_key(KEY) == (await gateway.identity.caller_of_key(works)).key_hash
    again = await client.post(f"/dashboard{PATH}/rotate", data=form)
    assert 409 == again.status_code
    assert secret not in again.text
    async with gateway.store.read() as connection:
        assert 2 == len(await keys.secrets_of(connection, hash_key(KEY)))


async def test_without_a_grace_the_old_secret_ends_at_once(client, gateway):
    async with browser(gateway) as other:
        await sign_in(other, KEY)
        answer = await send(client, EDIT, f"{PATH}/rotate", grace_period="0")
        assert 200 == answer.status_code
        assert 401 == (await sign_in(browser_without_session(other), KEY)).status_code


def browser_without_session(client):
    client.cookies.delete("aai_gateway_session")
    return client


async def test_a_rotation_that_cannot_be_is_told_beside_its_field(client, gateway):
    answer = await send(client, EDIT, f"{PATH}/rotate", grace_period="soon")
    assert 400 == answer.status_code
    assert "is no duration" in answer.text.partition('id="grace_period-error"')[2].partition("</p>")[0]
    await send(client, EDIT, f"{PATH}/block")
    answer = await send(client, EDIT, f"{PATH}/rotate")
    assert 400 == answer.status_code
    assert "The key is blocked: a new secret would not work." in text_of(answer)


async def test_a_key_is_blocked_unblocked_and_deleted(client, gateway):
    for action, is_blocked in (("block", True), ("unblock", False)):
        assert 303 == (await send(client, EDIT, f"{PATH}/{action}")).status_code
        assert is_blocked == (await key(gateway)).blocked
    answer = await send(client, f"{PATH}/delete")
    assert (303, f"/dashboard/teams/{TEAM}") == (answer.status_code, answer.headers["location"])
    assert await key(gateway) is None
    assert 404 == (await client.get(f"/dashboard{EDIT}")).status_code


async def test_a_key_without_a_team_is_deleted_once_it_is_said_what_becomes_of_its_transcripts(
    client, gateway
):
    lone = "sk-key-without-a-team"
    async with gateway.store.write() as connection:
        await keys.create(connection, VirtualKey(hash=hash_key(lone), masked=mask_key(lone)))
        one = Transcript(
            id="t1",
            region=Region.US,
            owner=f"key:{hash_key(lone)}",
            team_id=None,
            key_hash=hash_key(lone),
            audio_url="https://example.org/a",
            created_at=utc_now(),
        )
        await transcripts.record(connection, one)
    path = f"/keys/{hash_key(lone)}/delete"
    answer = await send(client, path)
    assert 400 == answer.status_code
    assert "Say what becomes of its 1 transcripts." in text_of(answer)
    assert 303 == (await send(client, path, transcripts="keep")).status_code

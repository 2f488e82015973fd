"""Signing in and out: whose session it is, and everything that ends it."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sa
from dashboard_client import browser, form_of, sign_in, text_of
from opened_gateway import KEY, MASTER, TEAM, opened_gateway

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.guesses import Guesses
from aai_gateway.core.tenancy import Secret, Team, VirtualKey, hash_key, mask_key
from aai_gateway.gateway.dashboard import sessions
from aai_gateway.gateway.identity import Identity
from aai_gateway.store import audit_log, dashboard_sessions, keys, teams
from aai_gateway.store.schema import dashboard_sessions as table


async def is_in(client: httpx.AsyncClient) -> bool:
    """Whether the client is signed in: the form of signing in sends on who is."""
    answer = await client.get("/dashboard/sign-in")
    return 303 == answer.status_code


async def rows(gateway) -> list[sa.RowMapping]:
    async with gateway.store.read() as connection:
        return list((await connection.execute(sa.select(table))).mappings())


async def change_row(gateway, **values) -> None:
    async with gateway.store.write() as connection:
        await connection.execute(sa.update(table).values(values))


async def change_key(gateway, **changes) -> None:
    async with gateway.store.write() as connection:
        await keys.update(connection, hash_key(KEY), **changes)


@pytest.mark.parametrize("key", [KEY, MASTER, f"Bearer {KEY}", f"  {KEY} "])
async def test_a_key_signs_in_and_the_cookie_is_hidden_strict_and_narrow(client, gateway, key):
    answer = await sign_in(client, key)
    home = "" if key == MASTER else f"/teams/{TEAM}"
    assert (303, f"/dashboard{home}") == (answer.status_code, answer.headers["location"])
    [cookie] = answer.headers.get_list("set-cookie")
    value, *flags = cookie.split("; ")
    assert ["HttpOnly", "Path=/dashboard", "SameSite=strict"] == sorted(flags)
    assert await is_in(client)
    [row] = await rows(gateway)
    # Nothing in the store is a cookie, and nothing in the cookie is a key.
    assert row["hash"] not in value
    assert value.removeprefix("aai_gateway_session=").partition(".")[0] not in str(dict(row))
    assert KEY not in cookie
    assert MASTER not in cookie


async def test_on_https_the_cookie_is_for_https_alone(gateway):
    async with browser(gateway, scheme="https") as client:
        answer = await sign_in(client, KEY)
        assert "Secure" in answer.headers["set-cookie"].split("; ")
    async with browser(gateway) as client:  # TLS ended at a proxy that the server does not trust
        client.headers["origin"] = "https://gateway"
        assert "Secure" in (await sign_in(client, KEY)).headers["set-cookie"].split("; ")


async def test_below_a_root_path_links_and_cookie_are_below_it(gateway):
    async with browser(gateway, root="/costs") as client:
        answer = await sign_in(client, KEY)
        assert f"/costs/dashboard/teams/{TEAM}" == answer.headers["location"]
        assert "Path=/costs/dashboard" in answer.headers["set-cookie"].split("; ")
        assert await is_in(client)


async def test_what_is_no_key_is_refused_and_never_said_again(client, gateway):
    for key in ("sk-nobodys", "", "Bearer", "\x00", "sk-" + "x" * 5000, "schlüssel"):
        answer = await sign_in(client, key)
        assert 401 == answer.status_code
        assert "No key is like that" in text_of(answer)
        assert not key or key not in answer.text
        assert not await is_in(client)
    assert [] == await rows(gateway)
    async with gateway.store.read() as connection:
        assert [] == await audit_log.list_entries(
            connection, audit_log.AuditFilter(action="session.*"), limit=9
        )


async def test_guesses_have_to_wait_as_on_the_api(gateway):
    identity = Identity(gateway.store, lambda key: key == MASTER, Guesses(3))
    object.__setattr__(gateway, "identity", identity)
    async with browser(gateway) as client:
        for number in range(3):
            assert 401 == (await sign_in(client, f"sk-guess-{number}")).status_code
        for key in ("sk-one-more", KEY, MASTER):
            answer = await sign_in(client, key)
            assert 429 == answer.status_code
            assert 0 < int(answer.headers["retry-after"]) <= 300
            assert "Too many unknown keys" in text_of(answer)
        assert not await is_in(client)


async def test_one_key_signs_in_so_often_a_minute_and_no_more(client, gateway, monkeypatch):
    monkeypatch.setattr(dashboard_sessions, "MOST_A_MINUTE", 2)
    for _ in range(2):
        assert 303 == (await sign_in(client, KEY)).status_code
        form = form_of(await client.get("/dashboard/teams/new"), "/dashboard/sign-out")
        assert 303 == (await client.post("/dashboard/sign-out", data=form)).status_code
    answer = await sign_in(client, KEY)
    assert (429, "60") == (answer.status_code, answer.headers["retry-after"])
    assert 303 == (await sign_in(client, MASTER)).status_code


async def test_the_oldest_of_many_sessions_ends(gateway, monkeypatch):
    monkeypatch.setattr(dashboard_sessions, "MOST_AT_ONCE", 2)
    async with browser(gateway) as first, browser(gateway) as second, browser(gateway) as third:
        for client in (first, second, third):
            await sign_in(client, KEY)
        assert [False, True, True] == [await is_in(client) for client in (first, second, third)]


async def test_signing_out_ends_the_session_and_not_just_the_cookie(client, gateway):
    await sign_in(client, KEY)
    kept = client.cookies["aai_gateway_session"]
    form = form_of(await client.get("/dashboard/teams/new"), "/dashboard/sign-out")
    answer = await client.post("/dashboard/sign-out", data=form)
    assert (303, "/dashboard/sign-in") == (answer.status_code, answer.headers["location"])
    assert "aai_gateway_session" not in client.cookies
    client.cookies.set("aai_gateway_session", kept, path="/dashboard")
    assert not await is_in(client)
    async with gateway.store.read() as connection:
        entries = await audit_log.list_entries(connection, audit_log.AuditFilter(action="session.*"), limit=9)
    assert ["session.delete", "session.create"] == [entry.action for entry in entries]
    assert {f"key:{hash_key(KEY)}"} == {entry.actor for entry in entries}
    assert {TEAM} == {entry.team_id for entry in entries}
    assert {"127.0.0.1 (dashboard)"} == {entry.source for entry in entries}
    assert 1 == len({entry.target for entry in entries})


async def test_each_sign_in_has_an_id_of_its_own_and_none_that_was_brought_along(client):
    client.cookies.set("aai_gateway_session", "a" * 43 + "." + "b" * 43, path="/dashboard")
    first = (await sign_in(client, KEY)).cookies["aai_gateway_session"]
    client.cookies.set("aai_gateway_session", first, path="/dashboard")
    second = (await client_without_page(client, KEY)).cookies["aai_gateway_session"]
    assert 3 == len({"a" * 43, first.partition(".")[0], second.partition(".")[0]})


async def client_without_page(client: httpx.AsyncClient, key: str) -> httpx.Response:
    """Sign in again, while signed in."""
    client.cookies.delete("aai_gateway_session")
    return await sign_in(client, key)


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "a" * 43, "a" * 43 + "." + "b" * 43, "a" * 43 + ".", "ä" * 87, '"', "a" * 10_000],
)
async def test_a_cookie_that_was_not_signed_here_is_nobodys(client, cookie):
    answer = await client.get(
        "/dashboard/sign-in", headers={"cookie": f"aai_gateway_session={cookie}".encode()}
    )
    assert 200 == answer.status_code


async def test_two_different_cookies_are_nobodys(client, gateway):
    value = (await sign_in(client, KEY)).cookies["aai_gateway_session"]
    async with browser(gateway) as other:
        for more, status in ((f"aai_gateway_session={value}", 303), ("aai_gateway_session=x", 200)):
            headers = {"cookie": f"aai_gateway_session={value}; {more}"}
            assert status == (await other.get("/dashboard/sign-in", headers=headers)).status_code


async def test_a_gateway_with_another_secret_knows_no_cookie_of_this_one(client, gateway, emulator, tmp_path):
    value = (await sign_in(client, KEY)).cookies["aai_gateway_session"]
    secret = "another secret than the file's"
    async with opened_gateway(emulator, tmp_path, secret=secret) as other, browser(other) as elsewhere:
        elsewhere.cookies.set("aai_gateway_session", value, path="/dashboard")
        assert not await is_in(elsewhere)


async def test_another_process_knows_the_session_and_its_end(client, gateway, emulator, tmp_path):
    value = (await sign_in(client, KEY)).cookies["aai_gateway_session"]
    async with opened_gateway(emulator, tmp_path) as other, browser(other) as elsewhere:
        elsewhere.cookies.set("aai_gateway_session", value, path="/dashboard")
        assert await is_in(elsewhere)
        form = form_of(await elsewhere.get("/dashboard/teams/new"), "/dashboard/sign-out")
        await elsewhere.post("/dashboard/sign-out", data=form)
        assert not await is_in(client)


async def test_a_session_ends_when_nobody_looks_and_is_renewed_when_somebody_does(client, gateway):
    await sign_in(client, KEY)
    now = utc_now()
    await change_row(gateway, expires_at=now + timedelta(minutes=27))
    assert await is_in(client)
    [row] = await rows(gateway)
    assert now + timedelta(minutes=27) == row["expires_at"]  # not written each time
    await change_row(gateway, expires_at=now + timedelta(minutes=24))
    assert await is_in(client)
    [row] = await rows(gateway)
    assert row["expires_at"] >= now + timedelta(minutes=30)
    await change_row(gateway, expires_at=now)
    assert not await is_in(client)


async def test_no_session_is_longer_than_twelve_hours(client, gateway):
    await sign_in(client, KEY)
    now = utc_now()
    begun = now - sessions.LONGEST + timedelta(minutes=3)
    await change_row(gateway, created_at=begun, expires_at=now + timedelta(minutes=1))
    assert await is_in(client)
    [row] = await rows(gateway)
    assert row["expires_at"] <= begun + sessions.LONGEST
    await change_row(gateway, created_at=now - sessions.LONGEST, expires_at=now + timedelta(minutes=1))
    assert not await is_in(client)


async def test_sessions_that_have_ended_are_cleared_away(client, gateway):
    await sign_in(client, KEY)
    await change_row(gateway, expires_at=utc_now() - timedelta(minutes=2))
    client.cookies.clear()
    await sign_in(client, MASTER)
    assert [None] == [row["secret_hash"] for row in await rows(gateway)]


@pytest.mark.parametrize("changes", [{"blocked": True}, {"expires_at": utc_now() - timedelta(seconds=1)}])
async def test_the_session_of_a_key_that_may_no_more_ends_and_stays_ended(client, gateway, changes):
    await sign_in(client, KEY)
    await change_key(gateway, **changes)
    answer = await client.get("/dashboard/teams/new")
    assert 404 == answer.status_code or 303 == answer.status_code
    assert not await is_in(client)
    assert 401 == (await sign_in(client, KEY)).status_code
    await change_key(gateway, blocked=False, expires_at=None)
    assert not await is_in(client)
    assert 303 == (await sign_in(client, KEY)).status_code


async def test_the_session_of_a_blocked_team_ends(client, gateway):
    await sign_in(client, KEY)
    async with gateway.store.write() as connection:
        await teams.update(connection, TEAM, blocked=True)
    assert not await is_in(client)
    answer = await sign_in(client, KEY)
    assert 403 == answer.status_code
    assert f"Team {TEAM} is blocked." in text_of(answer)


async def test_a_deleted_key_takes_its_sessions_along_and_its_successor_gets_none(client, gateway):
    await sign_in(client, KEY)
    async with gateway.store.write() as connection:
        await keys.delete(connection, hash_key(KEY))
    assert [] == await rows(gateway)
    async with gateway.store.write() as connection:
        again = VirtualKey(hash=hash_key(KEY), masked=mask_key(KEY), team_id=TEAM)
        await keys.create(connection, again)
    assert not await is_in(client)


async def test_a_deleted_team_takes_its_sessions_along(client, gateway):
    await sign_in(client, KEY)
    async with gateway.store.write() as connection:
        await teams.create(connection, Team(id="t2", alias="t2"))
        await teams.delete(connection, TEAM)
    assert [] == await rows(gateway)
    assert not await is_in(client)


async def test_a_session_lasts_as_long_as_the_secret_that_began_it(client, gateway):
    await sign_in(client, KEY)
    new, now = "sk-the-second-secret", utc_now()
    async with gateway.store.write() as connection:
        secret = Secret(hash_key(new), mask_key(new), now)
        await keys.rotate(connection, hash_key(KEY), secret, now + timedelta(hours=1))
    assert await is_in(client)
    async with gateway.store.write() as connection:
        secret = Secret(hash_key("sk-third"), mask_key("sk-third"), now)
        await keys.rotate(connection, hash_key(KEY), secret, now)
    assert not await is_in(client)
    assert 303 == (await sign_in(client, "sk-third")).status_code


async def test_another_master_key_ends_the_sessions_of_the_one_before(gateway):
    current = [MASTER]
    async with browser(gateway, lambda: current[0]) as client:
        await sign_in(client, MASTER)
        assert await is_in(client)
        [row] = await rows(gateway)
        assert hash_key(MASTER) != row["master_hash"]
        for master in ("sk-another", None):
            current[0] = master
            async with browser(gateway, lambda: current[0]) as other:
                other.cookies = client.cookies
                assert not await is_in(other)


@pytest.mark.parametrize(
    ("path", "goes_on"),
    [
        ("/teams/x?from=2026-01-01&q=a%20b", True),
        ("/teams/a%2Fb", True),
        ("https://elsewhere.example/", False),
        ("//elsewhere.example/", True),  # below /dashboard it is a page that is not there
        ("/\\elsewhere.example", False),
        ("/../v1/models", False),
        ("/%2e%2e/v1/models", False),
        ("/a/..%2f..%2fv1", False),
        ("/a\r\nset-cookie: x=y", False),
        ("javascript:alert(1)", False),
        ("@elsewhere.example/", False),
        (".elsewhere.example/", False),
        ("", False),
    ],
)
async def test_after_signing_in_a_viewer_goes_to_a_page_of_the_dashboard_and_nowhere_else(
    client, path, goes_on
):
    answer = await sign_in(client, MASTER, next=path)
    assert 303 == answer.status_code
    assert f"/dashboard{path if goes_on else ''}" == answer.headers["location"]


async def test_who_is_not_signed_in_comes_back_to_the_page_that_was_asked_for(client):
    answer = await client.get("/dashboard/teams/new?from=2026-01-01&q=a+b")
    assert 303 == answer.status_code
    page = await client.get(answer.headers["location"])
    assert "/teams/new?from=2026-01-01&q=a+b" == form_of(page, "/sign-in")["next"]


async def test_a_link_on_another_site_finds_the_session_that_is_there(client):
    headers = {"sec-fetch-site": "cross-site"}
    answer = await client.get("/dashboard/teams/new", headers=headers)
    assert (200, "0") == (answer.status_code, answer.headers["refresh"])
    answer = await client.get("/dashboard/teams/new", headers={"sec-fetch-site": "same-origin"})
    assert 303 == answer.status_code

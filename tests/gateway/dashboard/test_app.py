"""Every route of the dashboard: its headers, who may see it, and which requests it takes."""

from __future__ import annotations

import logging
import re

import httpx
import pytest
from dashboard_client import browser, form_of, sign_in, text_of
from opened_gateway import KEY, MASTER, TEAM
from starlette.routing import Route

from aai_gateway.core.tenancy import Team, VirtualKey, hash_key, mask_key
from aai_gateway.errors import StoreError
from aai_gateway.gateway.dashboard import key_forms, team_forms
from aai_gateway.gateway.dashboard.app import ROUTES
from aai_gateway.gateway.dashboard.paths import identifier, is_page, segment
from aai_gateway.gateway.dashboard.rendering import static_name
from aai_gateway.store import Store, keys, teams

STRANGER = "sk-key-of-another-team"
OTHER = "team-2"
POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


def paths(routes: list[Route]) -> list[tuple[str, set[str]]]:
    """Routes with their parameters filled in by things of OTHER's, and their methods."""
    filled = {"team": OTHER, "team_id": OTHER, "key": hash_key(STRANGER), "name": static_name("style.css")}
    found = []
    for route in routes:
        path = re.sub(r"{(\w+)(?::\w+)?}", lambda match: filled.get(match[1], "none"), route.path)
        found.append((f"/dashboard{path}", route.methods or set()))
    return found


@pytest.fixture
async def another_team(gateway):
    """A team that nobody else may learn anything of, the words of its name included."""
    async with gateway.store.write() as connection:
        await teams.create(connection, Team(id=OTHER, alias="Heimliche Abteilung"))
        key = VirtualKey(
            hash=hash_key(STRANGER), masked=mask_key(STRANGER), team_id=OTHER, alias="Heimlicher Laptop"
        )
        await keys.create(connection, key)


def guarded(answer: httpx.Response) -> None:
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert POLICY == policy
    assert "nosniff" == answer.headers["x-content-type-options"]
    assert "same-origin" == answer.headers["referrer-policy"]
    assert "same-origin" == answer.headers["cross-origin-opener-policy"]
    assert "same-origin" == answer.headers["cross-origin-resource-policy"]
    assert "permissions-policy" in answer.headers
    if "/static/" not in str(answer.url):
        assert "no-store" == answer.headers["cache-control"]
    if answer.content and answer.request.method != "HEAD":
        assert answer.headers["content-type"].startswith(("text/", "image/svg")), answer.url


def has_nothing_inline(answer: httpx.Response) -> bool:
    return not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", answer.text)


async def test_every_answer_of_every_route_is_guarded_and_no_page_has_anything_inline(gateway, another_team):
    async with browser(gateway) as client:
        for key in (None, KEY, MASTER):
            if key is not None:
                client.cookies.clear()
                assert 303 == (await sign_in(client, key)).status_code
            for path, _ in [*paths(ROUTES), ("/dashboard/nowhere", set()), ("/dashboard/static/x", set())]:
                for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
                    if path.endswith("/sign-out") and method == "POST":
                        continue
                    answer = await client.request(method, path)
                    guarded(answer)
                    assert answer.status_code < 500, (method, path)
                    if "text/html" in answer.headers.get("content-type", ""):
                        assert has_nothing_inline(answer), (method, path)


async def test_who_is_not_signed_in_sees_no_page(gateway, another_team):
    async with browser(gateway) as client:
        for path, methods in paths(ROUTES):
            if "/static/" in path or path.endswith("/sign-in"):
                continue
            for method in methods:
                answer = await client.request(method, path)
                assert 303 == answer.status_code, (method, path)
                assert answer.headers["location"].startswith("/dashboard/sign-in"), (method, path)


async def test_a_team_learns_nothing_of_another_on_any_route(gateway, another_team):
    async with browser(gateway) as client:
        await sign_in(client, KEY)
        form = form_of(await client.get("/dashboard/teams/new"), "/sign-out")
        for path, methods in paths(ROUTES):
            if "/static/" in path or path.endswith(("/sign-in", "/sign-out")):
                continue
            for method in methods:
                answer = await client.request(method, path, data=form if method == "POST" else None)
                assert "Heimlich" not in answer.text, (method, path)
                if OTHER in path or hash_key(STRANGER) in path:
                    assert answer.status_code in (403, 404), (method, path)
    async with gateway.store.read() as connection:
        other = await teams.by_id(connection, OTHER)
        assert other is not None
        assert not other.blocked
        assert 1 == len(await keys.list_all(connection, OTHER))


async def test_pages_of_the_master_key_are_for_nobody_else_there_or_not(gateway):
    async with browser(gateway) as client:
        await sign_in(client, KEY)
        form = form_of(await client.get("/dashboard/teams/new"), "/sign-out")
        for path, methods in paths([*team_forms.ROUTES, *key_forms.ROUTES]):
            for method in methods - {"HEAD"}:
                answer = await client.request(method, path, data=form if method == "POST" else None)
                assert 403 == answer.status_code, (method, path)
                assert "This page is for the master key." in text_of(answer)


async def every_post(client: httpx.AsyncClient) -> list[tuple[str, dict[str, str]]]:
    """Each form that the master key sends, with the fields that it would be sent with."""
    team, key = f"/dashboard/teams/{TEAM}", f"/dashboard/keys/{hash_key(KEY)}"
    found = []
    for page, actions in (
        ("/dashboard/teams/new", ["/dashboard/teams/new"]),
        (f"{team}/edit", [f"{team}/edit", f"{team}/block"]),
        (f"{team}/delete", [f"{team}/delete"]),
        (f"/dashboard/keys/new?team={TEAM}", ["/dashboard/keys/new"]),
        (f"{key}/edit", [f"{key}/edit", f"{key}/block", f"{key}/rotate"]),
        (f"{key}/delete", [f"{key}/delete"]),
    ):
        answer = await client.get(page)
        for action in actions:
            fields = {"team_alias": "x", "confirm": TEAM}
            form = form_of(answer, action)
            found.append((action, {**form, **{n: v for n, v in fields.items() if n in form}}))
    return [*found, ("/dashboard/sign-out", {"csrf": found[0][1]["csrf"]})]


async def test_no_form_is_taken_from_another_site_or_session(gateway):
    async with browser(gateway) as client, browser(gateway) as other:
        await sign_in(client, MASTER)
        await sign_in(other, MASTER)
        of_other = form_of(await other.get("/dashboard/teams/new"), "/sign-out")["csrf"]
        posts = await every_post(client)
        taken = {
            path for path, methods in paths([*team_forms.ROUTES, *key_forms.ROUTES]) if "POST" in methods
        }
        assert len(taken) + 1 - 2 == len(posts)  # unblock stands where block does
        for path, fields in posts:
            for changed in ({}, {"csrf": ""}, {"csrf": of_other}, {"csrf": "x" * 43}, {"csrf": "ä"}):
                without = {name: value for name, value in fields.items() if name != "csrf"}
                assert 403 == (await client.post(path, data={"x": "y", **without, **changed})).status_code, (
                    path
                )
            for headers in (
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site"},
                {"sec-fetch-site": "same-origin, cross-site"},
                {"origin": "https://elsewhere.example"},
                {"origin": "null"},
                {"origin": "http://gateway.elsewhere.example"},
                {"origin": "http://gateway:81"},
            ):
                answer = await client.post(path, data=fields, headers=headers)
                assert 403 == answer.status_code, (path, headers)
                assert "another site" in text_of(answer)
        async with gateway.store.read() as connection:
            assert [TEAM] == [team.id for team in await teams.list_all(connection)]
            assert 1 == len(await keys.list_all(connection))
        for headers in ({"sec-fetch-site": "same-origin"}, {"origin": "http://gateway"}):
            answer = await client.post(
                posts[0][0], data={**posts[0][1], "team_alias": str(headers)}, headers=headers
            )
            assert 303 == answer.status_code


async def test_another_site_cannot_sign_a_browser_in(gateway):
    async with browser(gateway) as client:
        form = form_of(await client.get("/dashboard/sign-in"), "/sign-in")
        client.cookies.clear()  # a strict cookie stays behind when another site sends the form
        answer = await client.post("/dashboard/sign-in", data={**form, "key": KEY})
        assert 403 == answer.status_code
        assert "aai_gateway_session" not in client.cookies
        form = form_of(await client.get("/dashboard/sign-in"), "/sign-in")
        for fields, headers in (
            ({"csrf": "x"}, {}),
            ({}, {"sec-fetch-site": "cross-site"}),
            ({}, {"origin": "https://elsewhere.example"}),
        ):
            data = {**form, "key": KEY, **fields}
            assert 403 == (await client.post("/dashboard/sign-in", data=data, headers=headers)).status_code
        assert "aai_gateway_session" not in client.cookies


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"key": "x"}', "application/json", 415),
        (b"key=x", "text/plain", 415),
        (b"key=x", "multipart/form-data; boundary=x", 415),
        (b"key=\xff", "application/x-www-form-urlencoded", 400),
        (b"key=%ff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(300)), "application/x-www-form-urlencoded", 400),
        (b"key=" + b"x" * 300_000, "application/x-www-form-urlencoded", 413),
        (b"", "application/x-www-form-urlencoded", 403),
        (b"key=sk-x", "application/x-www-form-urlencoded; charset=utf-8", 403),
    ],
)
async def test_what_is_no_form_is_a_page_that_says_so(client, content, kind, status):
    answer = await client.post("/dashboard/sign-in", content=content, headers={"content-type": kind})
    assert status == answer.status_code
    assert answer.headers["content-type"].startswith("text/html")


async def test_other_methods_are_refused_by_name(client):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = await client.request(method, "/dashboard/sign-in")
        assert (405, {"GET", "HEAD", "POST"}) == (
            answer.status_code,
            set(answer.headers["allow"].split(", ")),
        )
        assert "<h1>" in answer.text


async def test_a_store_that_is_away_is_a_page_that_tells_nothing_of_it(gateway, monkeypatch, caplog):
    async with browser(gateway) as client:
        await sign_in(client, MASTER)

        def failing(self):
            raise StoreError("the store at /secret/place is on fire")

        monkeypatch.setattr(Store, "read", failing)
        answer = await client.get("/dashboard/teams/new")
    assert (503, "10") == (answer.status_code, answer.headers["retry-after"])
    assert "/secret/place" not in answer.text
    assert "on fire" in caplog.text
    guarded(answer)


async def test_what_fails_is_a_page_that_tells_nothing_of_it(gateway, monkeypatch, caplog):
    async with browser(gateway) as client:
        await sign_in(client, MASTER)

        def failing(self):
            raise ValueError("what nobody thought of")

        monkeypatch.setattr(Store, "read", failing)
        with caplog.at_level(logging.ERROR):
            answer = await client.get("/dashboard/teams/new")
    assert 500 == answer.status_code
    assert "nobody thought of" not in answer.text
    assert "nobody thought of" in caplog.text
    guarded(answer)


async def test_static_files_are_kept_for_ever_by_a_name_that_changes_with_them(client):
    name = static_name("style.css")
    answer = await client.get(f"/dashboard/static/{name}")
    assert (200, "text/css; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert "public, max-age=31536000, immutable" == answer.headers["cache-control"]
    etag = {"if-none-match": answer.headers["etag"]}
    assert 304 == (await client.get(f"/dashboard/static/{name}", headers=etag)).status_code
    older = await client.get("/dashboard/static/style.0123456789ab.css")
    assert (200, "no-cache") == (older.status_code, older.headers["cache-control"])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "style",
        "x.1.css",
        "../app.py",
        "..%2fapp.py",
        "%2e%2e%2fapp.py",
        "app.py",
        "style.x.py",
        ".css",
        "a.b.c.d",
    ],
)
async def test_nothing_else_of_the_package_is_served(client, name):
    assert 404 == (await client.get(f"/dashboard/static/{name}")).status_code


@pytest.mark.parametrize("odd", ["new", "a/b", "..", ".", "~x", "", "ä", "a b", "~", "%2e"])
def test_an_odd_id_is_one_segment_and_comes_back(odd):
    assert re.fullmatch(r"~[A-Za-z0-9_-]*", segment(odd))
    assert odd == identifier(segment(odd))


@pytest.mark.parametrize("plain", ["6b1f6f5e-6f57-4c5c-8a2f-0f4a55cf0c7e", "team-1", "a.b", "newer"])
def test_a_plain_id_stands_as_it_is(plain):
    assert plain == segment(plain) == identifier(plain)


def test_what_was_not_made_here_stands_for_itself():
    assert "~%%" == identifier("~%%")
    assert is_page("/teams/x?from=1")
    assert not is_page(None)

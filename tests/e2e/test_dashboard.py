"""The dashboard of the real proxy, as a browser asks for it: sessions of all workers, what is written."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import httpx
from gateway_process import GatewayProcess, running_gateway

from aai_gateway.core.tenancy import hash_key
from aai_gateway.emulator import Emulator

SIGN_IN = "/dashboard/sign-in"


def value_of(page: httpx.Response, name: str) -> str:
    """The value of a hidden field that every form of a page has."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found is not None, page.text
    return unescape(found[1])


def sign_in(client: httpx.Client, key: str) -> httpx.Response:
    csrf = value_of(client.get(SIGN_IN), "csrf")
    return client.post(SIGN_IN, data={"key": key, "csrf": csrf, "next": ""})


def is_in(client: httpx.Client) -> bool:
    return 303 == client.get(SIGN_IN).status_code


def test_a_team_signs_in_and_out_and_its_revoked_key_ends_the_session(gateway: GatewayProcess):
    team = gateway.team()
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        answer = sign_in(client, team.key)
        assert (303, f"/dashboard/teams/{team.id}") == (answer.status_code, answer.headers["location"])
        page = client.get(answer.headers["location"])
        assert 200 == page.status_code
        assert team.alias in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        kept = dict(client.cookies)
        assert 303 == client.post("/dashboard/sign-out", data={"csrf": value_of(page, "csrf")}).status_code
        client.cookies.update(kept)
        assert not is_in(client)
        client.cookies.clear()
        sign_in(client, team.key)
        assert is_in(client)
        with gateway.admin() as admin:
            admin.post("/key/block", json={"key": hash_key(team.key)}).raise_for_status()
        answer = client.get(f"/dashboard/teams/{team.id}")
        assert (303, True) == (answer.status_code, answer.headers["location"].startswith(SIGN_IN))
        assert 401 == sign_in(client, team.key).status_code
    assert_unsaid(gateway, team.key, *kept.values())


def test_the_master_key_makes_a_team_and_a_key_that_works(gateway: GatewayProcess):
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        assert "/dashboard" == sign_in(client, gateway.master_key).headers["location"]
        page = client.get("/dashboard/teams/new")
        fields = {"csrf": value_of(page, "csrf"), "team_alias": "By the form", "regions": "us,eu"}
        made = client.post("/dashboard/teams/new", data=fields)
        assert 303 == made.status_code
        team_id = made.headers["location"].rpartition("/")[2]
        page = client.get(f"/dashboard/keys/new?team={team_id}")
        fields = {name: value_of(page, name) for name in ("csrf", "once")} | {"team_id": team_id}
        shown = client.post("/dashboard/keys/new", data=fields)
        [secret] = re.findall(r'<code id="secret">([^<]+)</code>', shown.text)
        assert secret not in client.post("/dashboard/keys/new", data=fields).text
        assert (
            200
            == httpx.get(
                f"{gateway.url}/assemblyai/v2/transcript", headers={"Authorization": secret}
            ).status_code
        )
    assert_unsaid(gateway, secret, gateway.master_key)


def test_nothing_of_the_dashboard_is_litellms(gateway: GatewayProcess):
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        for path in ("/Dashboard", "/dashboards", "//dashboard", "/dashboard%2f", "/x/..%2fdashboard"):
            assert "<h1>" not in client.get(path).text, path
        for path in ("/dashboard/nowhere", "/dashboard/../dashboard/x", "/dashboard/v1/models"):
            answer = client.get(path)
            assert (404, True) == (answer.status_code, "There is no such page" in answer.text), path


def test_a_session_holds_and_ends_in_every_worker_below_a_root_path(emulator: Emulator, tmp_path: Path):
    root = "/costs"
    workers = ("--num_workers", "2", "--timeout_worker_healthcheck", "60")
    with running_gateway(emulator, tmp_path, *workers, SERVER_ROOT_PATHS=root) as gateway:
        team = gateway.team()
        cookies: dict[str, str] = {}
        with httpx.Client(base_url=f"{gateway.url}{root}", timeout=60) as client:
            answer = sign_in(client, team.key)
            assert f"{root}/dashboard/teams/{team.id}" == answer.headers["location"]
            assert f"Path={root}/dashboard" in answer.headers["set-cookie"]
            csrf = value_of(client.get("/dashboard/teams/new"), "csrf")
            cookies = dict(client.cookies)
        # A connection stays with the worker that took it, so each look is a connection of its own.
        assert {303} == {look(gateway, root, cookies) for _ in range(12)}
        with httpx.Client(base_url=f"{gateway.url}{root}", timeout=60, cookies=cookies) as client:
            assert 303 == client.post("/dashboard/sign-out", data={"csrf": csrf}).status_code
        assert {200} == {look(gateway, root, cookies) for _ in range(12)}


def look(gateway: GatewayProcess, root: str, cookies: dict[str, str]) -> int:
    with httpx.Client(timeout=60, cookies=cookies) as client:
        return client.get(f"{gateway.url}{root}{SIGN_IN}").status_code


def assert_unsaid(gateway: GatewayProcess, *secrets: str) -> None:
    """No secret, and no id of a cookie, is in the log or the store."""
    written = [gateway.log, *gateway.data_dir.glob("gateway.db*")]
    for secret in secrets:
        said = secret.partition(".")[0].encode()
        assert [] == [path.name for path in written if said in path.read_bytes()]

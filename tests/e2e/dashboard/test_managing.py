"""The master key's holder in a real browser: teams and keys made, changed, blocked, rotated and deleted."""

from __future__ import annotations

import httpx
import pytest
from browsing import Visit, Visiting
from gateway_process import GatewayProcess
from playwright.sync_api import expect


def status(gateway: GatewayProcess, key: str, method: str = "GET") -> int:
    """How the API answers a key: what it may list, or (POST) whether it may submit."""
    url = f"{gateway.url}/assemblyai/v2/transcript"
    body = {"audio_url": "https://example.org/audio.wav"} if method == "POST" else None
    return httpx.request(method, url, json=body, headers={"Authorization": key}, timeout=30).status_code


def make_team(reader: Visit, name: str) -> None:
    reader.go()
    reader.page.get_by_role("link", name="New team").click()
    reader.page.get_by_label("Name").fill(name)
    reader.page.get_by_label("Regions").select_option("US alone")
    reader.page.get_by_label("Budget, $", exact=True).fill("12.5")
    reader.page.get_by_label("Period").fill("1mo")
    reader.page.get_by_role("button", name="Make the team").click()
    reader.page.get_by_role("heading", name=name).wait_for()


def make_key(reader: Visit, name: str) -> str:
    """From the team's page; its secret."""
    reader.page.get_by_role("link", name="New key").click()
    reader.page.get_by_label("Name").fill(name)
    reader.page.get_by_role("button", name="Make the key").click()
    return secret_shown(reader)


def secret_shown(reader: Visit) -> str:
    return reader.page.locator("#secret").inner_text().strip()


def press(reader: Visit, button: str) -> None:
    """Press a button that sends a form, and see what comes of it."""
    with reader.page.expect_navigation():
        reader.page.get_by_role("button", name=button, exact=True).click()


def count_of_keys(gateway: GatewayProcess, team: str) -> int:
    with gateway.admin() as admin:
        return len(admin.get("/key/list", params={"team_id": team, "size": 100}).json()["keys"])


def test_a_team_and_its_key_from_the_first_to_the_last(
    visit: Visiting, gateway: GatewayProcess, scripts: bool
) -> None:
    name = f"Harbour & Co, {scripts}"
    with visit(scripts=scripts) as reader:
        reader.sign_in(gateway.master_key)
        make_team(reader, name)
        page = reader.figures()
        assert [12_500_000, 12_500_000] == page.head["Budget per month"].micros[:2]
        home, team = reader.path, reader.path.removeprefix("/teams/")
        assert "This team has no key yet." in reader.text

        key = make_key(reader, f"harbour-{scripts}")
        assert 200 == status(gateway, key)
        assert key not in reader.page.url
        press_again = reader.page.reload()
        assert press_again is not None and 409 == press_again.status
        assert "It was shown once" in reader.text and key not in reader.page.content()
        assert 1 == count_of_keys(gateway, team)

        reader.go(home)
        reader.page.get_by_role("link", name=f"harbour-{scripts}").click()
        reader.page.get_by_label("It may look, and change or cost nothing").check()
        press(reader, "Save")
        assert "Saved." in reader.page.get_by_role("status").inner_text()
        assert (200, 403) == (status(gateway, key), status(gateway, key, "POST"))
        press(reader, "Block")
        assert 401 == status(gateway, key)
        press(reader, "Unblock")
        assert 200 == status(gateway, key)

        reader.page.get_by_label("The old secret works for").fill("0")
        press(reader, "Make another secret")
        second = secret_shown(reader)
        assert (401, 200) == (status(gateway, key), status(gateway, second))
        reader.page.get_by_role("link", name="I have it").click()
        reader.page.get_by_role("link", name="Delete").click()
        press(reader, "Delete the key")
        assert home == reader.path
        assert "This team has no key yet." in reader.text
        assert 401 == status(gateway, second)

        reader.page.get_by_role("link", name="Edit").click()
        reader.page.get_by_label("Name").fill(f"{name} Ltd")
        press(reader, "Save")
        press(reader, "Block")
        assert "blocked" in reader.page.get_by_role("heading", level=1).inner_text()
        reader.page.get_by_role("link", name="Delete").click()
        reader.page.get_by_label("Type").fill(f"{name} Ltd")
        press(reader, "Delete the team")
        assert "" == reader.path
        assert 404 == reader.go(home).status
        for secret in (key, second):
            assert 1 == sum(secret in text for _, text in reader.documents)
            assert not any(secret in url for url in reader.asked)


def test_what_is_wrong_in_a_form_is_said_beside_it_and_nothing_is_lost(
    visit: Visiting, gateway: GatewayProcess, scripts: bool
) -> None:
    with visit(scripts=scripts) as reader:
        reader.sign_in(gateway.master_key, "/teams/new")
        reader.page.get_by_label("Name").fill("Lost & found")
        reader.page.get_by_label("Budget, $", exact=True).fill("a lot")
        press(reader, "Make the team")
        budget = reader.page.get_by_label("Budget, $", exact=True)
        assert "true" == budget.get_attribute("aria-invalid")
        (described,) = [
            i for i in (budget.get_attribute("aria-describedby") or "").split() if i.endswith("-error")
        ]
        assert reader.page.locator(f"#{described}").inner_text()
        assert ("Lost & found", "a lot") == (
            reader.page.get_by_label("Name").input_value(),
            budget.input_value(),
        )
        assert "Nothing was changed" in reader.page.get_by_role("alert").inner_text()


def test_two_people_who_change_the_same_team_hear_of_each_other(
    visit: Visiting, gateway: GatewayProcess
) -> None:
    team = gateway.team()
    with visit() as reader, visit(scripts=False) as other:
        for one in (reader, other):
            one.sign_in(gateway.master_key, f"/teams/{team.id}/edit")
        other.page.get_by_label("Requests a minute").fill("70")
        press(other, "Save")
        reader.page.get_by_label("Requests a minute").fill("7")
        press(reader, "Save")
        assert "somebody else has changed this" in reader.page.get_by_role("alert").inner_text()
        assert "7" == reader.page.get_by_label("Requests a minute").input_value()


def test_a_key_is_copied_by_its_button(visit: Visiting, gateway: GatewayProcess) -> None:
    team = gateway.team()
    with visit(permissions=["clipboard-read", "clipboard-write"]) as reader:
        reader.sign_in(gateway.master_key, f"/teams/{team.id}")
        key = make_key(reader, "to-be-copied")
        reader.page.get_by_role("button", name="Copy").click()
        expect(reader.page.get_by_role("button", name="Copied")).to_be_visible()
        assert key == reader.page.evaluate("navigator.clipboard.readText()")
    with visit(scripts=False) as reader:
        reader.sign_in(gateway.master_key, f"/teams/{team.id}")
        make_key(reader, "not-to-be-copied")
        expect(reader.page.get_by_role("button", name="Copy", include_hidden=True)).to_be_hidden()


@pytest.mark.parametrize("path", ["", "/operators", "/audit", "/teams/new", "/keys/new"])
def test_a_teams_key_finds_nothing_of_the_masters(
    visit: Visiting, gateway: GatewayProcess, path: str
) -> None:
    team, other = gateway.team(), gateway.team()
    with visit() as reader:
        reader.sign_in(team.key, path)
        assert other.alias not in reader.page.content()
        assert 0 == reader.page.get_by_role("link", name="New").count()
        assert path == "" or reader.go(path).status in (403, 404)

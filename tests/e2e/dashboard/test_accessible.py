"""Every page of the dashboard in a real browser: axe finds nothing, and nothing runs over the edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Visit, Visiting, visiting
from dashboard_work import Work, do_work
from gateway_process import GatewayProcess
from playwright.sync_api import Browser

from aai_gateway.emulator import Emulator

WIDTHS = (1400, 380)
ALL_WIDTHS = (320, 380, 700, 900, 1400)
"""CSS pixels; 700 is 1400 magnified to 200 %, 320 is 1280 magnified to 400 %."""
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
"""What another colour scheme can change."""
OVER_THE_EDGE = """() => document.documentElement.scrollWidth > innerWidth
  ? [...document.querySelectorAll('body *')]
      .filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll, pre'))
      .map(e => e.outerHTML.slice(0, 120))
  : []"""
MOVING = """() => [...document.querySelectorAll('*')].filter(e => {
  const s = getComputedStyle(e);
  return s.animationName !== 'none' || s.transitionDuration.split(',').some(d => parseFloat(d) > 0);
}).map(e => e.outerHTML.slice(0, 120))"""


def at(path: str, opened: str = "details:not(.menu)") -> Callable[[Visit, str, str], None]:
    """Go to a page, and open what can be opened. `{team}` and `{key}` are filled in."""

    def show(visit: Visit, team: str, key: str) -> None:
        visit.go(path.format(team=team, key=key))
        visit.page.evaluate(f"document.querySelectorAll('{opened}').forEach(one => {{ one.open = true }})")

    return show


def sent(path: str, button: str, **fields: str) -> Callable[[Visit, str, str], None]:
    """Fill in a form, and send it."""

    def show(visit: Visit, team: str, key: str) -> None:
        visit.go(path.format(team=team, key=key))
        for name, value in fields.items():
            visit.page.locator(f"[name={name}]").fill(value)
        with visit.page.expect_navigation():
            visit.page.get_by_role("button", name=button, exact=True).click()

    return show


def reloaded(visit: Visit, team: str, key: str) -> None:
    PAGES["key shown once"](visit, team, key)
    visit.page.reload()


PAGES: dict[str, Callable[[Visit, str, str], None]] = {
    "overview": at(""),
    "overview of another month, its menu open": at("?month=2020-02", "details"),
    "no such team": at("?month=2020-02&q=nobody"),
    "team": at("/teams/{team}"),
    "team in another month, its menu open": at("/teams/{team}?month=2020-02", "details"),
    "transcripts": at("/teams/{team}/transcripts"),
    "no such transcript": at("/teams/{team}/transcripts?state=queued"),
    "chats": at("/teams/{team}/chats"),
    "operators": at("/operators"),
    "audit log": at("/audit"),
    "no such entry": at("/audit?actor=nobody"),
    "new team": at("/teams/new"),
    "new team, refused": sent("/teams/new", "Make the team", team_alias="Nobody", max_budget="a lot"),
    "edit team": at("/teams/{team}/edit"),
    "edit team, saved": sent("/teams/{team}/edit", "Save"),
    "delete team": at("/teams/{team}/delete"),
    "delete team, refused": sent("/teams/{team}/delete", "Delete the team", confirm="no"),
    "new key": at("/keys/new?team={team}"),
    "new key, refused": sent("/keys/new?team={team}", "Make the key", budget_duration="soon"),
    "key shown once": sent("/keys/new?team={team}", "Make the key"),
    "key shown, loaded again": reloaded,
    "edit key": at("/keys/{key}/edit"),
    "delete key": at("/keys/{key}/delete"),
    "not found": at("/nothing"),
    "makes no sense": at("?month=soon"),
}
BEFORE_SIGNING_IN: dict[str, Callable[[Visit, str, str], None]] = {
    "sign in": at("/sign-in"),
    "session ended": at("/sign-in?ended=1"),
    "sign in, refused": sent("/sign-in", "Sign in", key="sk-nobodys"),
}
EMPTY: dict[str, Callable[[Visit, str, str], None]] = {
    "overview": at(""),
    "operators": at("/operators"),
    "audit log": at("/audit?action=key.create"),
    "new key": at("/keys/new"),
}


@pytest.fixture(scope="module")
def empty(browser: Browser, gateway: GatewayProcess) -> list[str]:
    """What is wrong with the pages of a gateway in which nothing has happened yet."""
    with _window(browser, gateway) as visit:
        visit.sign_in(gateway.master_key)
        return [line for name, show in EMPTY.items() for line in _examined(visit, name, show, "", "")]


@pytest.fixture(scope="module")
def work(empty: list[str], gateway: GatewayProcess, emulator: Emulator) -> Work:
    return do_work(gateway, emulator)


@pytest.fixture(scope="module")
def places(work: Work) -> tuple[str, str]:
    """A team's id, and the hash of a key of its."""
    with work.gateway.admin() as admin:
        found = admin.get("/key/info", params={"key": work.narrowed.key}).raise_for_status().json()
    return work.newsroom.id, str(found["key"])


@pytest.fixture(scope="module")
def master(browser: Browser, gateway: GatewayProcess, work: Work) -> Iterator[Visit]:
    with _window(browser, gateway) as visit:
        visit.sign_in(gateway.master_key)
        yield visit


def test_pages_on_which_there_is_nothing_yet(empty: list[str]) -> None:
    assert [] == empty


@pytest.mark.parametrize("name", PAGES)
def test_pages(master: Visit, places: tuple[str, str], name: str) -> None:
    assert [] == _examined(master, name, PAGES[name], *places)


@pytest.mark.parametrize("name", BEFORE_SIGNING_IN)
def test_pages_before_signing_in(browser: Browser, gateway: GatewayProcess, name: str) -> None:
    with _window(browser, gateway) as visit:
        assert [] == _examined(visit, name, BEFORE_SIGNING_IN[name], "", "")


@pytest.mark.parametrize("whose", ["newsroom", "narrowed"])
def test_a_readers_own_page(browser: Browser, gateway: GatewayProcess, work: Work, whose: str) -> None:
    with _window(browser, gateway) as visit:
        visit.sign_in((work.newsroom if whose == "newsroom" else work.narrowed).key)
        assert [] == _examined(visit, whose, at(""), "", "")


def test_nothing_moves_for_who_wants_that(visit: Visiting, work: Work) -> None:
    with visit(reduced_motion="reduce") as reader:
        reader.sign_in(work.gateway.master_key)
        assert [] == reader.page.evaluate(MOVING)


def test_forced_colours_leave_the_chart_and_the_controls(visit: Visiting, work: Work) -> None:
    with visit(forced_colors="active") as reader:
        reader.sign_in(work.gateway.master_key)

        def style(selector: str, name: str) -> str:
            return str(reader.page.locator(selector).first.evaluate(f"e => getComputedStyle(e).{name}"))

        assert style(".bars .s1", "fill") != style("body", "backgroundColor")
        assert style(".meter .spent", "fill") != style(".meter .track", "fill")
        assert "solid" == style(".signout button", "borderTopStyle")


def _window(browser: Browser, gateway: GatewayProcess) -> AbstractContextManager[Visit]:
    """A window in which axe may run: the pages' own policy lets in no script from elsewhere."""
    return visiting(browser, gateway.url, bypass_csp=True, viewport={"width": WIDTHS[0], "height": 900})


def _examined(
    visit: Visit, name: str, show: Callable[[Visit, str, str], None], team: str, key: str
) -> list[str]:
    """What axe finds at two widths in light and in dark, and what runs over the edge at five widths."""
    page, found = visit.page, []
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    show(visit, team, key)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            results = Axe().run(
                page, options={"resultTypes": ["violations"]} if scheme == "light" else COLOURS
            )
            for violation in results.response["violations"]:
                for node in violation["nodes"]:
                    found.append(
                        f"{name}, {width}, {scheme}: {violation['id']} {node['target']} {node['html'][:150]}"
                    )
    for width in ALL_WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        found += [f"{name}, {width}: over the edge: {one}" for one in page.evaluate(OVER_THE_EDGE)]
    return found

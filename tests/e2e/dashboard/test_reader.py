"""What JavaScript adds in a real browser, and what a reader can do with the keyboard alone."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from browsing import Visit, Visiting
from dashboard_work import Work
from gateway_process import GatewayProcess
from playwright.sync_api import expect

FOCUSABLE = """() => [
    ...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')
  ].filter(e => e.checkVisibility({visibilityProperty: true}) && !e.disabled && e.type !== 'hidden')
  .map((e, number) => { e.dataset.number = number; return e.dataset.number; })"""
FOCUSED = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  return [e.dataset.number, s.outlineStyle !== 'none' || e.matches('.skip') ? '' : e.outerHTML];
}"""


@pytest.mark.parametrize(
    ("locale", "amount", "moment"),
    [
        (
            "de-DE",
            r"-?[\d.]+,\d{2,6}\s\$",
            r"\d{1,2}\.\s?\w+\.?\s?\d{4}, \d\d:\d\d|\d\d\.\d\d\.\d{4}, \d\d:\d\d",
        ),
        ("en-US", r"\$[\d,]+\.\d{2,6}", r"\w{3} \d{1,2}, \d{4}, \d{1,2}:\d\d\s[AP]M"),
        ("hi-IN", r"\$[\d,]+\.\d{2,6}", r".+"),
    ],
)
def test_numbers_and_moments_are_the_readers(
    visit: Visiting, work: Work, locale: str, amount: str, moment: str
) -> None:
    with visit(locale=locale, timezone_id="Asia/Kathmandu") as reader:
        reader.sign_in(work.research.key)
        amounts = reader.page.locator("main data.usd:visible")
        for text in amounts.all_inner_texts():
            assert re.fullmatch(amount, text), text
        spent = amounts.first
        assert re.fullmatch(r"\$\d+\.\d{6}", spent.get_attribute("title") or "")
        when = reader.page.locator("time[data-shape=moment]").first
        assert re.fullmatch(moment, when.inner_text()), when.inner_text()
        utc = when.get_attribute("datetime")
        minute = reader.page.evaluate("utc => (new Date(utc).getUTCMinutes() + 45) % 60", utc)
        assert f":{minute:02}" in when.inner_text()
        assert f"{str(utc)[:10]} {str(utc)[11:19]} UTC" == when.get_attribute("title")
        day = reader.page.locator("time[data-shape=day]").first
        assert str(int(str(day.get_attribute("datetime"))[8:])) in re.findall(r"\d+", day.inner_text())


def test_without_scripts_they_are_english_and_utc(visit: Visiting, work: Work) -> None:
    with visit(scripts=False, locale="de-DE", timezone_id="Asia/Kathmandu") as reader:
        reader.sign_in(work.research.key)
        for element in reader.page.locator("main time[data-shape=moment]").all():
            moment = str(element.get_attribute("datetime"))
            assert f"{moment[11:16]}" in element.inner_text() and moment[:4] in element.inner_text()
        assert re.fullmatch(r"\$[\d,]+\.\d{2,6}", reader.page.locator("main data.usd").first.inner_text())


def test_a_page_that_is_left_open_keeps_up_and_disturbs_nobody(
    visit: Visiting, gateway: GatewayProcess
) -> None:
    team = gateway.team(max_budget=3)
    with visit() as reader:
        reader.page.clock.install()
        reader.sign_in(team.key)
        spent = reader.page.locator(".figures .lead data.usd")
        assert "0.000000" == spent.get_attribute("value")
        chat(gateway, team.key)
        reader.page.get_by_text("Period", exact=True).click()
        asked = len(reader.asked)
        reader.page.clock.run_for(130_000)
        assert (asked, "0.000000") == (len(reader.asked), spent.get_attribute("value"))
        assert reader.page.locator("details.menu").get_attribute("open") is not None

        reader.page.keyboard.press("Escape")
        reader.page.evaluate("document.activeElement.blur()")
        reader.page.clock.run_for(61_000)
        expect(spent).not_to_have_attribute("value", "0.000000")
        expect(reader.page.locator("#fresh")).to_contain_text("Up to date at")
        reader.page.get_by_text("The figures as a table").click()
        now = spent.get_attribute("value")
        chat(gateway, team.key)
        reader.page.clock.run_for(61_000)
        assert now == spent.get_attribute("value"), "an open table is not taken away"


def chat(gateway: GatewayProcess, key: str) -> None:
    body: dict[str, Any] = {
        "model": "assemblyai/gpt-5",
        "messages": [{"role": "user", "content": "Repeat: fox."}],
    }
    url, headers = f"{gateway.url}/v1/chat/completions", {"Authorization": f"Bearer {key}"}
    httpx.post(url, json=body, headers=headers, timeout=60).raise_for_status()


def test_a_session_that_ended_leads_to_signing_in(visit: Visiting, gateway: GatewayProcess) -> None:
    team = gateway.team()
    with visit() as reader:
        reader.page.clock.install()
        reader.sign_in(team.key)
        with gateway.admin() as admin:
            admin.post("/key/block", json={"key": team.key}).raise_for_status()
        reader.page.clock.run_for(61_000)
        reader.page.get_by_role("heading", name="Sign in").wait_for()
        assert "Your session has ended." in reader.text


@pytest.mark.parametrize(
    "path", ["", "/operators", "/audit", "/teams/{team}", "/teams/{team}/chats", "/keys/new"]
)
def test_tab_reaches_everything(visit: Visiting, work: Work, path: str) -> None:
    with visit() as reader:
        reader.sign_in(work.gateway.master_key, path.replace("{team}", work.research.id))
        wanted = reader.page.evaluate(FOCUSABLE)
        assert len(wanted) > 8
        seen = []
        reader.page.evaluate("document.activeElement.blur()")
        for _ in range(len(wanted) + 3):
            reader.page.keyboard.press("Tab")
            number, unmarked = reader.page.evaluate(FOCUSED)
            if number is not None:
                assert "" == unmarked, "what has the focus shows it"
                seen.append(number)
        assert set(wanted) <= set(seen)
        in_order = list(dict.fromkeys(seen))
        assert sorted(in_order, key=int) == in_order, "and in the order of the page"


def test_the_keyboard_skips_opens_and_closes(visit: Visiting, work: Work) -> None:
    with visit() as reader:
        reader.sign_in(work.gateway.master_key)
        page = reader.page
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Tab")
        assert "Skip to the content" == focused_text(reader)
        expect(page.locator(".skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.getElementById('main').contains(document.activeElement)")
        summary = page.locator("details.menu > summary")
        summary.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("link", name="Last 7 days")).to_be_visible()
        page.keyboard.press("Tab")
        assert "This month" == focused_text(reader)
        page.keyboard.press("Escape")
        expect(page.get_by_role("link", name="Last 7 days")).to_be_hidden()
        assert "Period" == focused_text(reader)
        summary.press("Enter")
        page.get_by_role("heading", level=1).click()
        expect(page.get_by_role("link", name="Last 7 days")).to_be_hidden()


def focused_text(reader: Visit) -> str:
    return str(reader.page.evaluate("document.activeElement.textContent")).strip()

from __future__ import annotations

import re
import wave
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import started_browser

from aai_gateway.quotes.passages import Quote
from aai_gateway.quotes.report import (
    Report,
    TopicSpan,
    Turn,
    lanes_of,
    marks_of,
    speakers_named,
    ticks_of,
    to_html,
)

HOUR = 3_600_000


def quote(start: int, end: int, text: str = "It burns.", speaker: str = "Ana") -> Quote:
    return Quote("t-1", "us", start, end, text, (speaker,), 0.93, 0, 0)


REPORT = Report(
    title="Hearing",
    duration=20_000,
    quotes=[quote(12_000, 14_000, "We lost it."), quote(3_000, 4_000, "It rained.", "Ben")],
    turns=[Turn("Ana", 0, 3_000), Turn("Ben", 3_000, 5_000), Turn("Ana", 6_000, 20_000)],
    topics=[TopicSpan(("Environment",), 0, 9_000, "How it came about"), TopicSpan(("Money",), 9_000, 20_000)],
    note="model-x, $0.012",
    audio="talk.wav",
)


def test_lanes_follow_who_speaks_first_and_tell_their_share():
    lanes = lanes_of([Turn("B", 0, 1000), Turn("A", 2000, 5000), Turn("B", 5000, 5500)])
    assert [("B", 33), ("A", 67)] == [(lane.name, lane.percent) for lane in lanes]
    assert ((0, 1000), (5000, 5500)) == lanes[0].spans


def test_near_turns_are_drawn_as_one():
    [lane] = lanes_of([Turn("A", 0, 1000), Turn("A", 1200, 3000), Turn("A", 9000, 9500)])
    assert ((0, 3000), (9000, 9500)) == lane.spans


def test_many_speakers_share_the_last_lane():
    turns = [Turn(f"S{n}", n * 1000, n * 1000 + 100 * (20 - n)) for n in range(12)]
    lanes = lanes_of(turns)
    assert 8 == len(lanes)
    assert ("5 others", 0) == (lanes[-1].name, lanes[-1].colour)
    assert [f"S{n}" for n in range(7)] == [lane.name for lane in lanes[:-1]]
    assert "· 12 speakers ·" in to_html(replace(REPORT, turns=turns))


def test_a_label_is_told_from_a_name():
    assert "Speaker B, Ana, Speaker 2, Al" == speakers_named(["B", "Ana", "2", "Al"])


def test_ticks_are_whole_minutes_and_few():
    assert [] == ticks_of(40_000)
    assert [600_000, 1_200_000, 1_800_000, 2_400_000, 3_000_000] == ticks_of(HOUR)
    assert len(ticks_of(9 * HOUR)) <= 8


def test_quotes_close_together_stand_on_rows_of_their_own():
    marks = marks_of([quote(60_000, 62_000), quote(61_000, 64_000), quote(HOUR // 2, HOUR // 2 + 1000)], HOUR)
    assert [(1, 0), (2, 1), (3, 0)] == [(mark.number, mark.row) for mark in marks]


def test_the_page_loads_nothing_but_the_audio():
    page = to_html(REPORT)
    assert ["talk.wav"] == re.findall(r'src="([^"]+)"', page)
    assert re.findall(r'href="([^"]+)"', page) == ["#q2", "#q1"]
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_the_page_without_anything_says_so():
    page = to_html(Report("Nothing", 0, []))
    assert "None was found." in page
    assert "<audio" not in page


@pytest.fixture(scope="module")
def browser():
    with started_browser() as started:
        yield started


@pytest.fixture
def opened(browser, tmp_path):
    """A function that opens a report in a window and gives its page and what the browser complained of."""
    with wave.open(str(tmp_path / "talk.wav"), "wb") as recording:
        recording.setparams((1, 2, 8000, 0, "NONE", ""))
        recording.writeframes(bytes(2 * 8000 * 20))
    troubles: list[str] = []

    def open_page(report: Report, width: int = 900, **options):
        (tmp_path / "report.html").write_text(to_html(report), encoding="utf-8")
        page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.goto((tmp_path / "report.html").as_uri())
        return page, troubles

    return open_page


def test_play_jumps_to_the_quote_and_marks_it_until_its_end(opened):
    page, troubles = opened(REPORT)
    page.locator("#q2 button").click()
    page.wait_for_selector("#q2.on", timeout=20_000)
    assert 3 <= page.evaluate("document.querySelector('audio').currentTime") < 4.5
    page.wait_for_selector("#q2:not(.on)", timeout=20_000)
    assert page.evaluate("document.querySelector('audio').paused")
    assert 4 <= page.evaluate("document.querySelector('audio').currentTime") < 6
    assert [] == troubles


def test_the_line_and_its_marks_are_clicked_and_reached_by_keyboard(opened):
    page, troubles = opened(REPORT)
    page.locator("a.mark").nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#q1.on", timeout=20_000)
    page.evaluate("document.querySelector('audio').pause()")
    box = page.locator("#line").bounding_box()
    page.locator("#line").click(position={"x": box["width"] / 2, "y": box["height"] - 4})
    assert 10 == pytest.approx(page.evaluate("document.querySelector('audio').currentTime"), abs=1)
    assert [] == troubles


def test_the_numbers_on_the_line_stand_apart_on_a_telephone(opened):
    near = [quote(start * 100, start * 100 + 50) for start in range(0, 195, 7)]
    page, _ = opened(replace(REPORT, quotes=near), 380)
    boxes = [circle.bounding_box() for circle in page.locator("a.mark circle").all()]
    assert len(near) == len(boxes)
    assert [] == [
        (one, other)
        for place, one in enumerate(boxes)
        for other in boxes[:place]
        if abs(one["x"] - other["x"]) < one["width"] and abs(one["y"] - other["y"]) < one["height"]
    ]


def test_a_topic_without_room_for_letters_has_no_label(opened):
    topics = [TopicSpan(("Money",), 0, 18_500), TopicSpan(("Environment",), 18_500, 20_000)]
    page, _ = opened(replace(REPORT, topics=topics), 380)
    shown = page.locator("#line .label span")
    assert [True, False] == [label.is_visible() for label in shown.all()]


def test_without_a_script_it_reads_whole(opened):
    page, _ = opened(REPORT, java_script_enabled=False)
    text = page.locator("body").inner_text()
    for part in (
        "“We lost it.”",
        "0:12 – 0:14",
        "Ben",
        "Environment",
        "How it came about",
        "confidence 0.93",
    ):
        assert part in text
    assert page.locator("button:visible").count() == 0


def test_a_recording_that_is_not_there_is_told(opened):
    page, _ = opened(replace(REPORT, audio="gone.wav"))
    page.locator("#no-audio").wait_for(timeout=20_000)
    assert "The recording cannot be played from gone.wav." == page.locator("#no-audio").inner_text()


def test_arabic_and_hebrew_stand_from_right_to_left(opened):
    hebrew = "היום יפה, וטוב שבאתם."
    report = replace(
        REPORT,
        title=hebrew,
        quotes=[quote(0, 1000, hebrew, "דנה"), quote(2000, 3000)],
        topics=[TopicSpan(("כסף",), 0, 9000, hebrew)],
    )
    page, _ = opened(report)
    directions = page.evaluate(
        "[...document.querySelectorAll('h1, blockquote')].map(one => getComputedStyle(one).direction)"
    )
    assert ["rtl", "rtl", "ltr"] == directions
    assert f"“{hebrew}”" == page.locator("blockquote").first.inner_text()


@pytest.mark.parametrize("width", [380, 900])
def test_a_word_without_end_does_not_widen_the_page(opened, width):
    endless = "https://example.com/" + "a" * 400
    report = Report(
        title=endless,
        duration=20_000,
        quotes=[quote(0, 1000, endless, endless)],
        turns=[Turn(endless, 0, 9000)],
        topics=[TopicSpan((endless,), 0, 9000, endless)],
        note=endless,
        audio="a" * 200,
    )
    page, _ = opened(report, width)
    page.locator("#no-audio").wait_for(timeout=20_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


HOSTILE = """"><script>alert(1)</script></style></title><img src=x onerror="alert(2)"> {{ 7*7 }} & 'x'"""


def test_what_was_said_is_never_run(opened):
    report = Report(
        title=HOSTILE,
        duration=9_000,
        quotes=[quote(0, 1000, HOSTILE, HOSTILE)],
        turns=[Turn(HOSTILE, 0, 9000)],
        topics=[TopicSpan((HOSTILE,), 0, 9000, HOSTILE)],
        note=HOSTILE,
    )
    page, troubles = opened(report)
    assert [] == troubles
    assert 0 == page.locator("img").count()
    assert HOSTILE == page.title()
    assert f"“{HOSTILE}”" == page.locator("blockquote").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 900, 1400])
def test_everybody_can_use_it(opened, width, scheme):
    page, _ = opened(REPORT, width, color_scheme=scheme, bypass_csp=True)
    violations = Axe().run(page).response["violations"]
    assert [] == [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in violations]
    assert page.evaluate("document.documentElement.scrollWidth") <= width

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from aai_gateway.emulator.listing import ListQuery, page
from aai_gateway.emulator.price_list import PUBLISHED
from aai_gateway.emulator.world import World


@pytest.fixture
def made(us: httpx.Client) -> list[str]:
    """Seven transcripts, the newest first; the fourth oldest failed."""
    urls = ["https://example.org/audio.wav"] * 7
    urls[3] = "https://audio.invalid/a.mp3"
    return [us.post("/v2/transcript", json={"audio_url": url}).json()["id"] for url in urls][::-1]


def ids(answer: httpx.Response) -> list[str]:
    return [item["id"] for item in answer.json()["transcripts"]]


def test_walk_to_older_and_back(us: httpx.Client, made: list[str]):
    first = us.get("/v2/transcript?limit=3")
    second = us.get(first.json()["page_details"]["prev_url"])
    third = us.get(second.json()["page_details"]["prev_url"])
    assert made == ids(first) + ids(second) + ids(third)
    assert first.json()["page_details"]["next_url"] is None
    assert third.json()["page_details"]["prev_url"] is None
    assert ids(second) == ids(us.get(third.json()["page_details"]["next_url"]))[-3:]
    assert ids(first) == ids(us.get(second.json()["page_details"]["next_url"]))


def test_items(us: httpx.Client, made: list[str]):
    failed = us.get("/v2/transcript?status=error").json()["transcripts"]
    assert [made[3]] == [item["id"] for item in failed]
    assert failed[0]["error"].startswith("Download error")
    item = us.get("/v2/transcript?limit=1").json()["transcripts"][0]
    assert {"id", "resource_url", "status", "created", "completed", "audio_url", "error"} == set(item)
    assert "" == item["error"]
    assert str(us.base_url.join(f"/v2/transcript/{made[0]}")) == item["resource_url"]
    assert item["created"] <= item["completed"]
    assert item["created"].endswith("Z")


def test_filters(us: httpx.Client, made: list[str]):
    today = datetime.now(timezone.utc).date()
    assert made == ids(us.get(f"/v2/transcript?created_on={today}"))
    assert [] == ids(us.get(f"/v2/transcript?created_on={today - timedelta(days=2)}"))
    assert [] == ids(us.get("/v2/transcript?status=queued"))
    assert [] == ids(us.get("/v2/transcript?throttled_only=true"))
    assert made[:2] == ids(us.get(f"/v2/transcript?after_id={made[2]}"))
    assert made[5:] == ids(us.get(f"/v2/transcript?before_id={made[4]}"))
    assert made[2:4] == ids(us.get(f"/v2/transcript?before_id={made[1]}&after_id={made[4]}"))


def test_pages_keep_their_filters(us: httpx.Client, made: list[str]):
    page = us.get("/v2/transcript?limit=4&status=completed").json()["page_details"]
    assert "status=completed" in page["prev_url"]
    assert [made[5], made[6]] == ids(us.get(page["prev_url"]))


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=done",
        "created_on=yesterday",
        "before_id=none",
        "after_id=none",
    ],
)
def test_bad_queries(us: httpx.Client, query: str):
    response = us.get(f"/v2/transcript?{query}")
    assert 400 == response.status_code
    assert ["error"] == list(response.json())


def test_empty(us: httpx.Client):
    body = us.get("/v2/transcript").json()
    assert [] == body["transcripts"]
    assert (10, 0, None, None) == tuple(
        body["page_details"][name] for name in ("limit", "result_count", "prev_url", "next_url")
    )


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Five thousand transcripts over five days; each seventh is completed, the others are queued."""
    world = World("us", "key", tmp_path)
    first = datetime(2026, 11, 1, tzinfo=timezone.utc)
    for number in range(5000):
        created = first + timedelta(days=5) * number / 5000
        job = world.add_job({"audio_url": "https://example.org/audio.wav"}, "nano", PUBLISHED, created)
        job.status = "completed" if number % 7 == 0 else "queued"
    return world


def walked(world: World, start: dict[str, str], onward: str) -> list[str]:
    """The ids of all pages from `start`, newest first, following one of the page's URLs."""
    pages: list[list[str]] = []
    query = start
    while True:
        listed = page(world, ListQuery.parse(query), "http://emulator")
        pages.append([item["id"] for item in listed["transcripts"]])
        url = listed["page_details"][onward]
        if url is None:
            break
        query = dict(parse_qsl(urlsplit(url).query))
    return [id_ for page in (pages if onward == "prev_url" else pages[::-1]) for id_ in page]


@pytest.mark.parametrize(
    "kind", [{}, {"status": "completed"}, {"status": "error"}, {"created_on": "2026-11-03"}]
)
def test_a_long_list_can_be_walked_both_ways(world: World, kind: dict[str, str]):
    expected = [
        job.id
        for job in reversed(world.order)
        if kind.get("status", job.status) == job.status
        and kind.get("created_on", str(job.created.date())) == str(job.created.date())
    ]
    assert expected == walked(world, kind | {"limit": "200"}, "prev_url")
    if expected:
        oldest = kind | {"limit": "200", "after_id": world.order[0].id}
        assert [id_ for id_ in expected if id_ != world.order[0].id] == walked(world, oldest, "next_url")


def test_a_page_looks_at_no_more_than_it_shows_and_two_beside_it(world: World):
    class Seen(list):
        looked_at = 0

        def __getitem__(self, index):
            self.looked_at += 1
            return super().__getitem__(index)

    middle = world.order[2500].id
    world.order = seen = Seen(world.order)
    for place in ("before_id", "after_id"):
        seen.looked_at = 0
        listed = page(world, ListQuery.parse({"limit": "200", place: middle}), "http://emulator")
        assert 200 == len(listed["transcripts"])
        assert 202 == seen.looked_at

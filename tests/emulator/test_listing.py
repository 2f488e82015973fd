from __future__ import annotations

from datetime import datetime, timedelta, timezone

import httpx
import pytest


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

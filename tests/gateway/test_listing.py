from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import MASTER, Caller, Team
from aai_gateway.errors import InvalidRequest, NotFound
from aai_gateway.gateway.listing import list_page
from aai_gateway.store import Store, transcripts
from aai_gateway.store.transcripts import Transcript

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
MINE = Caller(key=None, team=Team(id="mine", alias="mine"))
PREFIX = "https://gateway.example.com/root/eu.assemblyai"
BASE = f"{PREFIX}/v2/transcript"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Jobs m0 to m6 of one team, an hour apart, with one of another team and one elsewhere between."""
    store = await Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    states = ("completed", "completed", "error", "queued", "completed", "processing", "completed")
    async with store.write() as connection:
        for number, status in enumerate(states):
            await transcripts.record(
                connection, job(f"m{number}", NOON + timedelta(hours=4 * number), status)
            )
        await transcripts.record(connection, job("theirs", NOON + timedelta(hours=9), owner="team:other"))
        await transcripts.record(connection, job("us", NOON + timedelta(hours=9), region=Region.US))
    yield store
    await store.close()


def job(
    id: str,
    at: datetime,
    status: str = "completed",
    owner: str = "team:mine",
    region: Region = Region.EU,
) -> Transcript:
    return Transcript(
        id=id,
        region=region,
        owner=owner,
        audio_url=f"https://example.org/{id}.wav",
        status=status,
        created_at=at,
        completed_at=at + timedelta(seconds=1) if status == "completed" else None,
        error="Download error" if status == "error" else None,
        throttled=id == "m5",
    )


async def page(store: Store, query: str = "", caller: Caller = MINE) -> Any:
    return await list_page(store, caller, Region.EU, query, PREFIX)


async def ids(store: Store, query: str = "", caller: Caller = MINE) -> list[str]:
    return [item["id"] for item in (await page(store, query, caller))["transcripts"]]


async def test_a_page_has_assemblyais_shape(store: Store):
    shown = await page(store, "limit=2&before_id=m4")
    assert {
        "page_details": {
            "limit": 2,
            "result_count": 2,
            "current_url": f"{BASE}?limit=2&before_id=m4",
            "prev_url": f"{BASE}?limit=2&before_id=m2",
            "next_url": f"{BASE}?limit=2&after_id=m3",
        },
        "transcripts": [
            {
                "id": "m3",
                "resource_url": f"{BASE}/m3",
                "status": "queued",
                "created": "2026-11-21T00:00:00.000000Z",
                "completed": None,
                "audio_url": "https://example.org/m3.wav",
                "error": "",
            },
            {
                "id": "m2",
                "resource_url": f"{BASE}/m2",
                "status": "error",
                "created": "2026-11-20T20:00:00.000000Z",
                "completed": None,
                "audio_url": "https://example.org/m2.wav",
                "error": "Download error",
            },
        ],
    } == shown


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "m6 m5 m4 m3 m2 m1 m0"),
        ("limit=3", "m6 m5 m4"),
        ("limit=3&limit=1", "m6"),
        ("status=completed", "m6 m4 m1 m0"),
        ("status=processing", "m5"),
        ("created_on=2026-11-20", "m2 m1 m0"),
        ("created_on=2026-11-20&status=completed&limit=1", "m1"),
        ("before_id=m2", "m1 m0"),
        ("after_id=m4", "m6 m5"),
        ("after_id=m1&limit=2", "m3 m2"),
        ("after_id=m1&before_id=m4", "m3 m2"),
        ("throttled_only=true", "m5"),
        ("throttled_only=false&status=&limit=", "m6 m5 m4 m3 m2 m1 m0"),
        ("unknown=1", "m6 m5 m4 m3 m2 m1 m0"),
        ("before_id=m0", ""),
    ],
)
async def test_filters(store: Store, query: str, expected: str):
    assert expected.split() == await ids(store, query)


async def test_the_master_sees_every_teams(store: Store):
    assert ["m6", "m5", "m4", "m3", "theirs", "m2", "m1", "m0"] == await ids(store, "", MASTER)


async def test_links_lead_through_the_whole_list_and_back(store: Store):
    query, seen = "status=completed&limit=1", []
    while True:
        shown = await page(store, query)
        seen += [item["id"] for item in shown["transcripts"]]
        if (link := shown["page_details"]["prev_url"]) is None:
            break
        query = urlsplit(link).query
        assert ["completed"] == parse_qs(query)["status"]
    assert ["m6", "m4", "m1", "m0"] == seen
    while (link := shown["page_details"]["next_url"]) is not None:
        shown = await page(store, urlsplit(link).query)
    assert ["m6"] == [item["id"] for item in shown["transcripts"]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.5",
        "limit=x",
        "limit=%D9%A3",
        "limit=99999999999999999999",
        "status=done",
        "status=COMPLETED",
        "created_on=yesterday",
        "created_on=2026-13-01",
        "created_on=9999-12-31",
        "created_on=%00",
    ],
)
async def test_a_parameter_that_assemblyai_would_not_take_is_refused(store: Store, query: str):
    with pytest.raises(InvalidRequest):
        await page(store, query)


@pytest.mark.parametrize("place", ["before_id", "after_id"])
@pytest.mark.parametrize("id", ["nobodys", "theirs", "us", "%00", "%FF"])
async def test_a_place_that_is_not_in_the_teams_list_is_not_found(store: Store, place: str, id: str):
    with pytest.raises(NotFound):
        await page(store, f"{place}={id}")

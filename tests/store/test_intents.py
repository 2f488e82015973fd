from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from aai_gateway.core.regions import Region
from aai_gateway.store import Store, intents

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
INTENT = intents.Intent(
    Region.EU,
    "team:t1",
    "https://example.com/a.mp3",
    {"speaker_labels": True},
    team_id="t1",
    key_hash="k1",
    created_at=NOON,
)


async def test_an_open_intent_is_unresolved_in_its_region_once_it_is_old(store: Store) -> None:
    younger = replace(INTENT, id="b" * 32, created_at=NOON + timedelta(seconds=1))
    async with store.write() as connection:
        await intents.open(connection, younger)
        await intents.open(connection, INTENT)

        assert [] == await intents.unresolved(connection, Region.EU, NOON)
        assert [INTENT] == await intents.unresolved(connection, Region.EU, younger.created_at)
        assert [INTENT, younger] == await intents.unresolved(connection, Region.EU, NOON + timedelta(1))
        assert [] == await intents.unresolved(connection, Region.US, NOON + timedelta(1))


async def test_open_intents_come_in_bounded_parts(store: Store) -> None:
    numbered = [replace(INTENT, id=f"{n}", created_at=NOON + timedelta(seconds=n // 2)) for n in range(5)]
    later = NOON + timedelta(1)
    async with store.write() as connection:
        for one in reversed(numbered):
            await intents.open(connection, one)

        first = await intents.unresolved(connection, Region.EU, later, limit=2)
        assert numbered[:2] == first
        assert numbered[2:] == await intents.unresolved(connection, Region.EU, later, after=first[-1])
        since = numbered[2].created_at
        assert numbered[2:] == sorted(await intents.under_way(connection, Region.EU, since), key=by_id)


async def test_a_job_may_still_be_found_for_what_is_open_or_unknown(store: Store) -> None:
    unknown, accepted, refused = (replace(INTENT, id=name) for name in ("unknown", "accepted", "refused"))
    async with store.write() as connection:
        for one in (INTENT, unknown, accepted, refused):
            await intents.open(connection, one)
        await intents.close(connection, "unknown", "unknown")
        await intents.close(connection, "refused", "refused")
        await intents.accept(connection, "accepted", "j1")

        found = await intents.without_job(connection, Region.EU, NOON, NOON + timedelta(1))
        assert sorted((INTENT.id, "unknown")) == sorted(one.id for one in found)
        assert [] == await intents.without_job(connection, Region.US, NOON, NOON + timedelta(1))
        assert [] == await intents.without_job(connection, Region.EU, NOON - timedelta(1), NOON)
        assert [True, True, False, False] == [
            await intents.lock_without_job(connection, one)
            for one in (INTENT.id, "unknown", "accepted", "refused")
        ]


def by_id(intent: intents.Intent) -> str:
    return intent.id


async def test_what_became_of_an_intent_is_said_once(store: Store) -> None:
    async with store.write() as connection:
        await intents.open(connection, INTENT)
        assert await intents.accept(connection, INTENT.id, "j1") is True
        assert await intents.accept(connection, INTENT.id, "j2") is False
        assert await intents.close(connection, INTENT.id, "refused") is False
        assert [] == await intents.unresolved(connection, Region.EU, NOON + timedelta(1))


async def test_a_late_answer_mends_an_unknown_intent_but_not_a_refused_one(store: Store) -> None:
    other = replace(INTENT, id="b" * 32)
    async with store.write() as connection:
        await intents.open(connection, INTENT)
        await intents.open(connection, other)
        assert await intents.close(connection, INTENT.id, "unknown") is True
        assert await intents.close(connection, other.id, "refused") is True
        assert await intents.accept(connection, INTENT.id, "j1") is True
        assert await intents.accept(connection, other.id, "j2") is False


def test_every_intent_has_an_id_of_its_own() -> None:
    ids = {intents.Intent(Region.US, "master", "https://example.com/a.mp3").id for _ in range(3)}

    assert [32, 32, 32] == [len(intent_id) for intent_id in ids]

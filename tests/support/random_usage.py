"""Usage rows for tests, made up at random: the same rows for the same seed."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from aai_gateway.core.costs import line_item
from aai_gateway.core.regions import Region
from aai_gateway.core.usage_rows import UsageRow

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def item(name: str, quantity: int, unit: str, price: str, micros: int, **others: Any) -> dict[str, Any]:
    return {"name": name, "quantity": quantity, "unit": unit, "unit_price": price, "micros": micros, **others}


UNKNOWN = item("unknown_outcome", 1, "completion", "0", 0, held_micros=3_000_000_000)


def random_rows(seed: int, count: int) -> list[UsageRow]:
    chance = random.Random(seed)
    return [random_row(chance, f"job-{number}") for number in range(count)]


def random_row(chance: random.Random, source_id: str) -> UsageRow:
    """A row of some team, key and day within 40 days of `NOON`, whose line items add up to it."""
    speech = chance.random() < 0.5
    status = chance.choice(("completed", "completed", "error" if speech else "unknown"))
    items = {
        "completed": _speech_items(chance) if speech else _chat_items(chance),
        "error": (),
        "unknown": (UNKNOWN,),
    }[status]
    return UsageRow(
        service="speech" if speech else "chat",
        source_id=source_id,
        region=chance.choice(list(Region)),
        owner="master",
        micros=sum(one["micros"] for one in items),
        items=items,
        team_id=chance.choice((None, "t1", "t2", "t3")),
        key_hash=chance.choice((None, "k1", "k2")),
        model=chance.choice(("universal-2", "universal-3-pro") if speech else ("claude", "gpt-5", None)),
        priced_as="fallback" if any(one.get("fallback") for one in items) else None,
        status=status,
        audio_seconds=chance.randrange(9_999) if speech else 0,
        prompt_tokens=0 if speech else chance.randrange(9_999),
        completion_tokens=0 if speech else chance.randrange(9_999),
        tags=tuple(chance.sample(("red", "green", "|blue", "Köln"), chance.randrange(4))),
        end_user=chance.choice((None, "ada", "bob")),
        created_at=NOON + timedelta(seconds=chance.randrange(-86_400 * 40, 86_400 * 40)),
        global_region=None if speech else chance.choice((True, False, None)),
    )


def _speech_items(chance: random.Random) -> tuple[dict[str, Any], ...]:
    seconds = chance.randrange(36_000)
    lines = [("universal-2", chance.choice(("0.15", "0.150", "0.21")), False)]
    lines += [("speaker_labels", "0.02", False)] * chance.randrange(2)
    lines += [("clairvoyance", "0.99", True)] * (chance.random() < 0.4)
    return tuple(_priced(name, seconds, "second", price, fallback) for name, price, fallback in lines)


def _chat_items(chance: random.Random) -> tuple[dict[str, Any], ...]:
    kinds = chance.sample(("input", "cache_read", "cache_write_5m", "output"), chance.randrange(1, 5))
    prices = ("3.00", "3.3000", "1E-7", "15.125")
    return tuple(
        _priced(kind, chance.randrange(99_999), "token", chance.choice(prices), False) for kind in kinds
    )


def _priced(name: str, quantity: int, unit: Any, price: str, fallback: bool) -> dict[str, Any]:
    line = line_item(name, quantity, unit, Decimal(price))
    marks = {"fallback": True} if fallback else {}
    return item(name, quantity, unit, price, line.micros, **marks)

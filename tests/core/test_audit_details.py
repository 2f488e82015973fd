"""What an entry tells of a team or key: the fields that differ, nothing secret."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from aai_gateway.core.audit_details import changes, facts
from aai_gateway.core.budgets import Budget
from aai_gateway.core.limits import Limits
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import Team, VirtualKey

TEAM = Team("t1", "newsroom", budget=Budget(50_000_000, "30d", spent_micros=7))
KEY = VirtualKey(
    hash="ab" * 32,
    masked="sk-...Ab3d",
    alias="desk",
    team_id="t1",
    expires_at=datetime(2027, 1, 1, tzinfo=timezone.utc),
    metadata={"note": "hunter2"},
)


def test_only_what_differs_is_told_before_and_after():
    later = replace(
        TEAM,
        regions=(Region.EU,),
        blocked=True,
        budget=replace(TEAM.budget, max_micros=None, held_micros=9, warned=True),
        limits=Limits(requests_per_minute=60),
    )
    assert {
        "before": {
            "regions": ["us", "eu"],
            "blocked": False,
            "max_micros": 50_000_000,
            "requests_per_minute": None,
        },
        "after": {"regions": ["eu"], "blocked": True, "max_micros": None, "requests_per_minute": 60},
    } == changes(TEAM, later)
    assert {} == changes(TEAM, TEAM)


def test_a_new_key_is_told_by_what_it_may_and_its_last_characters():
    told = changes(None, KEY)
    assert {"after", "metadata"} == told.keys()
    assert ("Ab3d", "desk", "t1", "2027-01-01T00:00:00.000000Z", False) == tuple(
        told["after"][name] for name in ("ends_in", "alias", "team_id", "expires_at", "read_only")
    )
    assert {"before": told["after"], "metadata": ["note"]} == changes(KEY, None)


def test_of_metadata_only_names_are_told():
    later = replace(KEY, metadata={"note": "hunter3", "new": 1})
    assert {"metadata": ["new", "note"]} == changes(KEY, later)
    assert "hunter" not in str(changes(None, KEY))


def test_every_field_of_a_key_and_a_team_is_told_or_left_out_on_purpose():
    assert {"alias", "team_id", "user_id", "regions", "models", "expires_at", "blocked"} | {
        *("own_only", "read_only", "ends_in", "max_micros", "soft_micros", "budget_duration"),
        *("spent_micros", *Limits.__dataclass_fields__),
    } == facts(KEY).keys()
    assert {"alias", "regions", "models", "blocked", "max_micros", "soft_micros", "budget_duration"} | {
        *("spent_micros", *Limits.__dataclass_fields__)
    } == facts(TEAM).keys()

"""What an audit entry tells of a team, key or budget: the fields that differ, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from aai_gateway.core.auditing import plain
from aai_gateway.core.budgets import Budget
from aai_gateway.core.tenancy import Team, VirtualKey

_TOLD_OTHERWISE = {"id", "hash", "masked", "created_at", "last_used_at", "metadata", "budget", "limits"}


def facts(thing: Team | VirtualKey) -> dict[str, Any]:
    """Every field that somebody decides on, by its name. Of a key's text, its last four characters."""
    told = [field.name for field in fields(thing) if field.name not in _TOLD_OTHERWISE]
    ending = {"ends_in": thing.masked[-4:]} if isinstance(thing, VirtualKey) else {}
    return {
        **{name: plain(getattr(thing, name)) for name in told},
        **ending,
        **budget_facts(thing.budget),
        "spent_micros": thing.budget.spent_micros,
        **asdict(thing.limits),
    }


def budget_facts(budget: Budget) -> dict[str, Any]:
    """A budget's limits; micro-dollars."""
    return {
        "max_micros": budget.max_micros,
        "soft_micros": budget.soft_micros,
        "budget_duration": budget.duration,
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """`{"before": …, "after": …}` of the facts that differ, each side where it has any; {} when none do."""
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    sides = {
        side: {name: known[name] for name in changed if name in known}
        for side, known in (("before", before), ("after", after))
    }
    return {side: known for side, known in sides.items() if known}


def changes(before: Team | VirtualKey | None, after: Team | VirtualKey | None) -> dict[str, Any]:
    """What differs between a team or key and itself later; None where it is not there yet, or no more.

    Of metadata, which may hold anything, only the names of the members that differ.
    """
    old, new = (thing.metadata if thing is not None else {} for thing in (before, after))
    names = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
    found = differences(facts(before) if before else {}, facts(after) if after else {})
    return {**found, **({"metadata": names} if names else {})}

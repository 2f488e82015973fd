"""What the forms of teams and keys hold: texts as people type them, for the fields that LiteLLM has."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from aai_gateway.core.budgets import Budget, usd
from aai_gateway.core.limits import Limits
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team, VirtualKey
from aai_gateway.gateway.management_shapes import BadField

LABELS = {
    "team_alias": "Name",
    "key_alias": "Name",
    "regions": "Regions",
    "models": "Chat models",
    "max_budget": "Budget",
    "soft_budget": "Soft budget",
    "budget_duration": "Period",
    "rpm_limit": "Requests a minute",
    "concurrent_jobs": "Jobs at once",
    "concurrent_uploads": "Uploads at once",
    "upload_bytes_per_day": "Bytes uploaded in a day",
    "duration": "Expires",
    "own_only": "Only what it made itself",
    "read_only": "Look, and change nothing",
    "team_id": "Team",
    "grace_period": "The old secret works for",
    "transcripts": "Its transcripts",
    "confirm": "Its name",
}
"""What each field is called on its page; the names are LiteLLM's where it has the field."""

_NUMBERS = ("rpm_limit", "concurrent_jobs", "concurrent_uploads", "upload_bytes_per_day")
_AMOUNTS = ("max_budget", "soft_budget")
_WHERE = re.compile(r"^[a-z_]+(?:\.\w+)*: ")
FOR_EVER = ("never", "-1")

Fields = Mapping[str, str]


def team_values(team: Team) -> dict[str, str]:
    """A team as its form shows it."""
    return {"team_alias": team.alias, **_shared_values(team, team.regions)}


def key_values(key: VirtualKey) -> dict[str, str]:
    """A key as its form shows it. `duration` is a new one, so there is none."""
    return {
        "key_alias": key.alias or "",
        **_shared_values(key, key.regions or ()),
        "duration": "",
        "own_only": _tick(key.own_only),
        "read_only": _tick(key.read_only),
    }


def key_seen(key: VirtualKey) -> dict[str, str]:
    """What of a key must be as it was when its form was loaded: its values, and when it expires."""
    until = f"{key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "never"
    return {**key_values(key), "duration": until}


def _shared_values(holder: Team | VirtualKey, regions: tuple[Region, ...]) -> dict[str, str]:
    return {
        "regions": ",".join(region.value for region in ALL_REGIONS if region in regions),
        "models": "\n".join(holder.models),
        **_budget_values(holder.budget),
        **_limit_values(holder.limits),
    }


def _budget_values(budget: Budget) -> dict[str, str]:
    return {
        "max_budget": _amount(budget.max_micros),
        "soft_budget": _amount(budget.soft_micros),
        "budget_duration": budget.duration or "",
    }


def _limit_values(limits: Limits) -> dict[str, str]:
    found = (
        limits.requests_per_minute,
        limits.concurrent_jobs,
        limits.concurrent_uploads,
        limits.upload_bytes_per_day,
    )
    return {name: "" if limit is None else str(limit) for name, limit in zip(_NUMBERS, found, strict=True)}


def _amount(micros: int | None) -> str:
    return "" if micros is None else usd(micros).rstrip("0").rstrip(".")


def _tick(is_set: bool) -> str:
    return "on" if is_set else ""


def team_data(fields: Fields) -> dict[str, Any]:
    """The body of `/team/new` and `/team/update` that a form stands for. Raises BadField."""
    if not fields.get("team_alias"):
        raise BadField("team_alias", "A team needs a name.")
    return {"team_alias": fields["team_alias"], **_shared_data(fields, ALL_REGIONS)}


def key_data(fields: Fields) -> dict[str, Any]:
    """The body of `/key/generate` and `/key/update` that a form stands for.

    Without a duration an expiry stays as it is.
    """
    duration = fields.get("duration", "").lower()
    return {
        "key_alias": fields.get("key_alias") or None,
        **_shared_data(fields, None),
        "own_only": bool(fields.get("own_only")),
        "read_only": bool(fields.get("read_only")),
        **({"duration": "-1" if duration in FOR_EVER else duration} if duration else {}),
    }


def _shared_data(fields: Fields, all_regions: tuple[Region, ...] | None) -> dict[str, Any]:
    regions = [name for name in fields.get("regions", "").split(",") if name]
    return {
        "regions": regions or (None if all_regions is None else [region.value for region in all_regions]),
        "models": list(dict.fromkeys(line.strip() for line in _lines(fields.get("models", "")))),
        "budget_duration": fields.get("budget_duration") or None,
        **{name: fields.get(name, "").lstrip("$").strip() or None for name in _AMOUNTS},
        **{name: _number(fields.get(name, "")) for name in _NUMBERS},
    }


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _number(text: str) -> int | str | None:
    """A whole number; anything else as it is, for the endpoint to refuse."""
    return int(text) if text.isdecimal() and len(text) < 20 else text or None


def seen_text(values: Fields) -> str:
    """The values that a form was loaded with, as the form brings them back."""
    return json.dumps(dict(values), separators=(",", ":"))


def changed_since(seen: str, current: Fields) -> list[tuple[str, str, str]]:
    """What has changed since a form was loaded: label, then and now. What cannot be read has all changed."""
    try:
        before = json.loads(seen)
    except ValueError:
        before = None
    if not isinstance(before, dict):
        before = {}
    return [
        (LABELS[name], str(before.get(name, "?")), value)
        for name, value in current.items()
        if before.get(name) != value
    ]


def complaint(error: BadField) -> tuple[str, str]:
    """The field that an error is about, and what it says in the words of the page."""
    field, text = error.param.partition(".")[0], _WHERE.sub("", error.text)
    for name, label in LABELS.items():
        if "_" in name:
            text = re.sub(rf"\b{name}\b", label.lower(), text)
    return field, text[:1].upper() + text[1:]

"""What LiteLLM's `/key/*` and `/team/*` take (1.106.2), and what of it the gateway keeps.

LiteLLM writes amounts in USD as JSON numbers; here they become integer micro-dollars. A field that the
gateway would not act on is refused when it carries a value: a rate limit or guardrail that is accepted and
not enforced would be a broken promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from aai_gateway.core.budgets import MICROS_PER_DOLLAR, Budget, parse_duration, require_sound_limits
from aai_gateway.core.durations import after, grace_end
from aai_gateway.core.limits import LARGEST_LIMIT
from aai_gateway.core.regions import ALL_REGIONS, Region
from aai_gateway.core.tenancy import Team, VirtualKey, hash_key
from aai_gateway.errors import ConfigurationError, InvalidRequest

MOST_DOLLARS = 1_000_000_000
"""Amounts above are mistakes."""

_KEY = re.compile(r"sk-[A-Za-z0-9_-]{1,97}")
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_NEVER = "-1"
_LIMITS = {
    "rpm_limit": "requests_per_minute",
    **{name: name for name in ("concurrent_jobs", "concurrent_uploads", "upload_bytes_per_day")},
}
"""Fields of a body by what they are in `core.limits.Limits`; the first is LiteLLM's."""
_Model = TypeVar("_Model", bound="_Body")


class BadField(InvalidRequest):
    """A request whose field `param` cannot be used; `status` 400, or 422 where a type is wrong."""

    def __init__(self, param: str, text: str, *, status: int = 400) -> None:
        super().__init__(text, status=status)
        self.param = param


def to_micros(amount: object, field: str) -> int | None:
    """USD as JSON has it, in micro-dollars, rounded half to even; None and "" are no amount.

    Raises BadField for what is negative, not a finite number, or above MOST_DOLLARS.
    """
    if amount is None or amount == "":
        return None
    try:
        # Through text, so that 0.1 is a tenth and not the nearest binary fraction.
        value = Decimal(str(amount)) if not isinstance(amount, bool) else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= MOST_DOLLARS:
        raise BadField(field, f"{field} must be an amount in USD from 0 to {MOST_DOLLARS:,}.")
    return round(value * MICROS_PER_DOLLAR)


def _money(field: str) -> Any:
    return BeforeValidator(lambda amount: to_micros(amount, field))


Name = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[list[Name], Field(max_length=1000)]
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class _Shared(_Body):
    """What keys and teams have in common. A field that was not sent stays out of `model_fields_set`."""

    models: Names | None = None
    max_budget: Annotated[int | None, _money("max_budget")] = None
    soft_budget: Annotated[int | None, _money("soft_budget")] = None
    budget_duration: str | None = None
    spend: Annotated[int | None, _money("spend")] = None
    metadata: dict[str, Any] | None = None
    tags: list[str] | None = None
    blocked: bool | None = None
    regions: list[Region] | None = None
    allowed_model_region: Region | None = None
    rpm_limit: Limit | None = None
    concurrent_jobs: Limit | None = None
    concurrent_uploads: Limit | None = None
    upload_bytes_per_day: Limit | None = None


class _KeyFields(_Shared):
    key: str | None = None
    key_alias: Name | None = None
    duration: str | None = None
    team_id: str | None = None
    user_id: Name | None = None
    key_type: Literal["default", "llm_api"] | None = None
    own_only: bool | None = None
    read_only: bool | None = None


class GenerateKey(_KeyFields):
    """Body of `/key/generate`."""


class UpdateKey(_KeyFields):
    """Body of `/key/update`: a merge patch of the key that `key`, or else `key_alias`, names."""


class RegenerateKey(_KeyFields):
    """Body of `/key/regenerate`: a merge patch of the key, and what becomes of its secrets.

    `grace_period` is how long those that it had still work: not at all without one, as in LiteLLM.
    """

    new_key: str | None = None
    grace_period: str | None = None


class NewTeam(_Shared):
    """Body of `/team/new`."""

    team_id: Name | None = None
    team_alias: Name | None = None


class UpdateTeam(_Shared):
    """Body of `/team/update`: a merge patch."""

    team_id: str
    team_alias: Name | None = None


class OneKey(_Body):
    """Body of `/key/block` and `/key/unblock`, query of `/key/info`: a key or its hash."""

    key: str


class MoveTo(_Body):
    """A team, by its id, that inherits transcripts."""

    model_config = ConfigDict(extra="forbid")

    move_to: str


Transcripts = Literal["delete", "keep"] | MoveTo
"""What becomes of the transcripts of a team or key that is deleted: not LiteLLM's field. They are deleted at
AssemblyAI too, kept for the master key alone, or another team's."""


class DeleteKeys(_Body):
    """Body of `/key/delete`. `transcripts` is for keys without a team: those own what they made."""

    keys: list[str] | None = None
    key_aliases: list[str] | None = None
    transcripts: Transcripts | None = None


class OneTeam(_Body):
    """Body of `/team/block` and `/team/unblock`, query of `/team/info`."""

    team_id: str


class DeleteTeams(_Body):
    """Body of `/team/delete`."""

    team_ids: Annotated[list[str], Field(min_length=1)]
    transcripts: Transcripts | None = None


class ListKeys(_Body):
    """Query of `/key/list`."""

    page: Annotated[int, Field(ge=1)] = 1
    size: Annotated[int, Field(ge=1, le=100)] = 10
    user_id: str | None = None
    team_id: str | None = None
    key_hash: str | None = None
    key_alias: str | None = None
    search: str | None = None
    substring_matching: bool = False
    return_full_object: bool = False
    expand: str | None = None
    sort_by: Literal["spend", "max_budget", "created_at", "token", "key_alias"] | None = None
    sort_order: Literal["asc", "desc"] = "desc"
    status: Literal["active", "expired", "revoked", "deleted"] | None = None
    expires: Literal["active", "expired"] | None = None


class ListTeams(_Body):
    """Query of `/team/list`."""

    user_id: str | None = None
    organization_id: str | None = None


class ListAudit(_Body):
    """Query of `/audit`; moments without a time zone are UTC."""

    team_id: str | None = None
    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    after: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


def read(model: type[_Model], data: Mapping[str, Any], *, strict_fields: bool = True) -> _Model:
    """The body or query as `model`.

    Raises BadField: 422 for a wrong type or a missing field, 400 for a field that would not be honoured.
    """
    if strict_fields:
        for name, value in data.items():
            if name not in model.model_fields and not _is_empty(value):
                raise BadField(name, _not_honoured(name))
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadField(where, f"{where}: {first['msg']}", status=422) from None


def _is_empty(value: object) -> bool:
    # 0 is a value: tpm_limit 0 would promise that nothing gets through.
    return value is None or value is False or value in ("", [], {})


def _not_honoured(name: str) -> str:
    return f"{name} is not honoured by this gateway, so it is refused rather than ignored. Leave it out."


def key_hash_of(text: str) -> str:
    """The hash of a key that is named by itself (`sk-…`) or by its hash. Raises BadField."""
    if _KEY.fullmatch(text):
        return hash_key(text)
    if _HASH.fullmatch(text):
        return text.lower()
    raise BadField("key", "Invalid key format.")


def custom_key(key: str, field: str = "key") -> str:
    """A key that the administrator chose. Raises BadField for one that could be guessed."""
    if not _KEY.fullmatch(key) or len(key) < 16:
        raise BadField(field, "A key of your own starts with sk- and has 16 to 100 letters, digits, - or _.")
    return key


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Turn what is wrong with a field into BadField."""
    try:
        yield
    except ConfigurationError as error:
        raise BadField(field, f"{field}: {error}") from None


def key_changes(body: _KeyFields, key: VirtualKey, now: datetime) -> dict[str, Any]:
    """What a body changes of a key, as `store.keys.update` takes it. Raises BadField."""
    sent = body.model_fields_set
    changes = _shared_changes(body, key)
    if "key_alias" in sent:
        changes["alias"] = body.key_alias
    if "user_id" in sent:
        changes["user_id"] = body.user_id
    for right in ("own_only", "read_only"):
        if right in sent:
            changes[right] = bool(getattr(body, right))
    if "team_id" in sent and body.team_id != "":
        changes["team_id"] = body.team_id
    if "duration" in sent:
        forever = body.duration is None or body.duration == _NEVER
        with _naming("duration"):
            changes["expires_at"] = None if forever else after(now, str(body.duration))
    return changes


def old_secrets_end(body: RegenerateKey, now: datetime) -> datetime:
    """When the secrets that a key had end. Raises BadField."""
    with _naming("grace_period"):
        return grace_end(now, body.grace_period or "0")


def team_changes(body: NewTeam | UpdateTeam, team: Team) -> dict[str, Any]:
    """What a body changes of a team, as `store.teams.update` takes it. Raises BadField."""
    changes = _shared_changes(body, team)
    if changes.get("regions", ()) is None:
        changes["regions"] = ALL_REGIONS
    if body.team_alias is not None:
        changes["alias"] = body.team_alias
    return changes


def _shared_changes(body: _Shared, holder: VirtualKey | Team) -> dict[str, Any]:
    sent = body.model_fields_set
    changes: dict[str, Any] = {}
    if "models" in sent:
        changes["models"] = tuple(body.models or ())
    if "blocked" in sent:
        changes["blocked"] = bool(body.blocked)
    if sent & {"regions", "allowed_model_region"}:
        changes["regions"] = _regions(body)
    if sent & {"max_budget", "soft_budget", "budget_duration"}:
        changes["budget"] = _limits(body, holder.budget)
    if limits := {_LIMITS[name]: getattr(body, name) for name in sent & _LIMITS.keys()}:
        changes["limits"] = replace(holder.limits, **limits)
    if body.spend is not None:
        changes["spent_micros"] = body.spend
    if sent & {"metadata", "tags"}:
        metadata = dict(body.metadata or {}) if "metadata" in sent else dict(holder.metadata)
        changes["metadata"] = metadata | ({"tags": body.tags} if body.tags is not None else {})
    return changes


def _regions(body: _Shared) -> tuple[Region, ...] | None:
    if body.regions == []:
        raise BadField("regions", 'regions must name "us", "eu" or both; an empty list would allow nothing.')
    single = body.allowed_model_region
    wanted = set(body.regions) if body.regions is not None else ({single} if single is not None else None)
    if single is not None and wanted != {single}:
        raise BadField("allowed_model_region", "regions and allowed_model_region contradict each other.")
    return None if wanted is None else tuple(region for region in ALL_REGIONS if region in wanted)


def _limits(body: _Shared, budget: Budget) -> Budget:
    """The budget's limits with what was sent. Raises BadField for limits that contradict each other."""
    sent = body.model_fields_set
    if "max_budget" in sent:
        budget = replace(budget, max_micros=body.max_budget)
    if "soft_budget" in sent:
        budget = replace(budget, soft_micros=body.soft_budget)
    if "budget_duration" in sent:
        duration = body.budget_duration or None
        with _naming("budget_duration"):
            budget = replace(budget, duration=parse_duration(duration) if duration else None, resets_at=None)
    with _naming("soft_budget" if "soft_budget" in sent else "max_budget"):
        require_sound_limits(budget)
    return budget

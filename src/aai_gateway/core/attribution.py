"""Tags and end users: by what a team splits its own bill, from LiteLLM's headers and metadata.

LiteLLM's names: the header `x-litellm-tags` (separated by commas), `tags` in a request's, key's or team's
metadata, the headers `x-litellm-customer-id` and `x-litellm-end-user-id`, and a chat's `user`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aai_gateway.core.tenancy import Caller
from aai_gateway.errors import InvalidRequest

TAGS_HEADER = "x-litellm-tags"
END_USER_HEADERS = ("x-litellm-customer-id", "x-litellm-end-user-id")
MOST_TAGS = 50
LONGEST = 256
"""Tags of one job, and characters of a tag or an end user's id."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a job is for, in the team's own words: tags without repetition, and an end user."""

    tags: tuple[str, ...] = ()
    end_user: str | None = None


def attribution(
    caller: Caller,
    *,
    headers: Mapping[str, str],
    tags: Iterable[Any] = (),
    end_user: str | None = None,
) -> Attribution:
    """The attribution of a request: its own tags first, then those of its key and its team.

    `headers` have lower-case names; `tags` and `end_user` are those of a body, and win over a header's end
    user. Raises InvalidRequest for more than 50 tags, or text that is longer than 256 characters or holds
    control characters.
    """
    given = [*tags, *headers.get(TAGS_HEADER, "").split(",")]
    for holder in (caller.key, caller.team):
        found = holder.metadata.get("tags") if holder is not None else None
        given += found if isinstance(found, list) else []
    named = [_text(tag, "A tag") for tag in given if isinstance(tag, str) and tag.strip()]
    unique = tuple(dict.fromkeys(named))
    if len(unique) > MOST_TAGS:
        raise InvalidRequest(f"A job may have {MOST_TAGS} tags, not {len(unique)}.")
    users = (end_user, *(headers.get(name) for name in END_USER_HEADERS))
    user = next((user for user in users if user and user.strip()), None)
    return Attribution(unique, None if user is None else _text(user, "An end user's id"))


def _text(value: str, what: str) -> str:
    text = value.strip()
    if len(text) > LONGEST or not text.isprintable():
        raise InvalidRequest(f"{what} is at most {LONGEST} characters long, without control characters.")
    return text

"""What the pages share on which the master key makes and changes teams and keys.

They ask the management endpoints' own functions, so that rules and refusals are the same and logged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from aai_gateway.core.budgets import utc_now
from aai_gateway.errors import InvalidRequest, Refused
from aai_gateway.gateway.dashboard.fields import complaint
from aai_gateway.gateway.dashboard.pages import page
from aai_gateway.gateway.dashboard.session_secrets import hash_id, new_id
from aai_gateway.gateway.dashboard.sessions import Viewer, dashboard_actor, gateway_of
from aai_gateway.gateway.management import transaction
from aai_gateway.gateway.management_shapes import BadField
from aai_gateway.store import dashboard_sessions
from aai_gateway.store.audit_log import acting

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

DONE = {
    "made": "It is made.",
    "saved": "Saved. It holds from the next request on.",
    "blocked": "Blocked: its next request is refused.",
    "unblocked": "It may be used again.",
}
"""What a page says at its top after a form: its address names one of these."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was filled in: its texts, and what is wrong with them, by field and as a whole."""

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    changes: tuple[tuple[str, str, str], ...] = ()
    status: int = 200

    def error(self, name: str) -> str:
        """What is wrong with a field; empty when nothing is."""
        return self.errors.get(name, "")


class Changed(Exception):
    """Somebody else has changed what a form is about. `changes` are label, then and now."""

    def __init__(self, changes: list[tuple[str, str, str]]) -> None:
        super().__init__()
        self.changes = tuple(changes)


class UsedForm(Exception):
    """A form that makes a secret was sent again."""


@asynccontextmanager
async def changing(request: Request, viewer: Viewer) -> AsyncIterator[AsyncConnection]:
    """One transaction in the viewer's name. What contradicts the store's contents becomes InvalidRequest."""
    store = (await gateway_of(request)).store
    with acting(dashboard_actor(request, viewer.caller)):
        async with transaction(store, "POST") as connection:
            yield connection


@asynccontextmanager
async def reading(request: Request) -> AsyncIterator[AsyncConnection]:
    """A connection to read with."""
    async with (await gateway_of(request)).store.read() as connection:
        yield connection


def refused(values: Mapping[str, str], error: Exception) -> Filled:
    """The form again, and beside its fields what is wrong. Raises the error when it is about none of them."""
    match error:
        case Changed():
            return Filled(values, changes=error.changes, status=409)
        case BadField() if error.status != 404:
            name, text = complaint(error)
            if name in values:
                return Filled(values, errors={name: text}, status=error.status)
            return Filled(values, trouble=text, status=error.status)
        case InvalidRequest() if error.status != 404:
            return Filled(values, trouble=error.text, status=error.status)
        case _:
            raise error


def nonce() -> str:
    """What makes a form one that does its work once."""
    return new_id()


async def use_once(connection: AsyncConnection, fields: Mapping[str, str]) -> None:
    """Raise UsedForm unless this form does its work for the first time, in this transaction."""
    sent = fields.get("once", "")
    if len(sent) != len(new_id()):
        raise InvalidRequest("The form cannot be read.")
    if not await dashboard_sessions.use_form(connection, hash_id(sent), utc_now()):
        raise UsedForm


def used_page(request: Request, viewer: Viewer, back: str) -> Response:
    """What a reload of the page with a new key shows. `back` is where to go on, below the dashboard."""
    return page(request, "key_used.html", viewer, status=409, back=back)


def done_text(request: Request) -> str:
    """What the page's address says was done."""
    return DONE.get(request.query_params.get("done", ""), "")


def no_page() -> Refused:
    """For an id that is nobody's."""
    return Refused("", status=404)

"""Sessions: a signed cookie, what the store knows of it, and the key behind it, looked at on every request.

A session ends 30 minutes after its last page and 12 hours after its first, with its key (revoked, expired,
rotated out, deleted, or its team blocked), with another master key, and when its viewer signs out. It is in
the store, so it holds and ends in every process.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from aai_gateway.core.auditing import Actor, actor_of
from aai_gateway.core.budgets import utc_now
from aai_gateway.core.tenancy import MASTER, Caller, hash_key
from aai_gateway.errors import Forbidden, Refused, StoreError
from aai_gateway.gateway.context import Gateway
from aai_gateway.gateway.dashboard.paths import PREFIX
from aai_gateway.gateway.dashboard.session_secrets import SessionSecrets, hash_id, new_id
from aai_gateway.gateway.derived_keys import gateway_secret
from aai_gateway.gateway.observing import current
from aai_gateway.gateway.wire import client_host
from aai_gateway.store import dashboard_sessions
from aai_gateway.store.audit_log import acting
from aai_gateway.store.dashboard_sessions import Session

log = logging.getLogger("aai_gateway")

COOKIE = "aai_gateway_session"
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
RENEWED_EVERY = timedelta(minutes=5)
"""A session's end is written anew at most this often."""


class SignInNeeded(Exception):
    """Nobody is signed in. `had_ended` says that somebody was."""

    def __init__(self, *, had_ended: bool = False) -> None:
        super().__init__()
        self.had_ended = had_ended


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at a page, and the token that the page's forms bring back."""

    caller: Caller
    csrf: str
    session: Session

    @property
    def is_admin(self) -> bool:
        """Whether it is the master key's holder, who sees and changes everything."""
        return self.caller.is_admin

    @property
    def name(self) -> str:
        """Who they are, for people: the key, and its team."""
        key, team = self.caller.key, self.caller.team
        if key is None:
            return "Master key"
        return f"{team.alias}, {key.alias or key.masked}" if team else key.alias or key.masked


class Sessions:
    """Begins, finds and ends sessions. `ready` gives the opened gateway, `master_key` the one in force."""

    def __init__(self, ready: Callable[[], Awaitable[Gateway]], master_key: Callable[[], str | None]) -> None:
        self._ready = ready
        self._master_key = master_key
        self._secrets: SessionSecrets | None = None

    async def secrets(self) -> SessionSecrets:
        """What signs; from the gateway's secret, at first use. Raises ConfigurationError."""
        if self._secrets is None:
            self._secrets = SessionSecrets(gateway_secret((await self._ready()).settings))
        return self._secrets

    async def begin(self, request: Request, key: str | None) -> tuple[Viewer, str]:
        """Sign in who presents `key`: the viewer, and the cookie's value.

        Raises what the API raises for the key: Unauthenticated, Forbidden, TooManyUnknownKeys; and
        TooManyRequests.
        """
        gateway, secrets = await self._ready(), await self.secrets()
        host = client_host(request.scope)
        caller = await gateway.identity.caller_of_key(key, host)
        assert key is not None
        id_, now = new_id(), utc_now()
        session = Session(
            hash_id(id_),
            None if caller.is_admin else hash_key(key),
            secrets.master_hash(key) if caller.is_admin else None,
            now,
            now + IDLE,
        )
        with acting(dashboard_actor(request, caller)):
            async with gateway.store.write() as connection:
                await dashboard_sessions.begin(connection, session, caller.team_id)
        return Viewer(caller, secrets.csrf(id_), session), secrets.cookie(id_)

    async def find(self, request: Request) -> Viewer:
        """Who is signed in. Raises SignInNeeded."""
        cookie = cookie_of(request, COOKIE)
        if cookie is None:
            raise SignInNeeded
        gateway, secrets, now = await self._ready(), await self.secrets(), utc_now()
        id_ = secrets.id_of(cookie)
        if id_ is None:
            raise SignInNeeded
        async with gateway.store.read() as connection:
            session = await dashboard_sessions.get(connection, hash_id(id_), now)
        if session is None or now >= session.created_at + LONGEST:
            raise SignInNeeded(had_ended=True)
        caller = await self._caller(gateway, secrets, session)
        if caller is None:
            async with gateway.store.write() as connection:
                await dashboard_sessions.end(connection, session, now, None)
            raise SignInNeeded(had_ended=True)
        await self._renew(gateway, session, now)
        return Viewer(caller, secrets.csrf(id_), session)

    async def end(self, request: Request, viewer: Viewer) -> None:
        """Sign out."""
        with acting(dashboard_actor(request, viewer.caller)):
            async with (await self._ready()).store.write() as connection:
                await dashboard_sessions.end(connection, viewer.session, utc_now(), viewer.caller.team_id)

    async def _caller(self, gateway: Gateway, secrets: SessionSecrets, session: Session) -> Caller | None:
        """Who the session's key is by now; None when it may no more."""
        if session.secret_hash is None:
            master = self._master_key()
            is_same = master is not None and session.master_hash == secrets.master_hash(master)
            return MASTER if is_same else None
        try:
            return await gateway.identity.caller_of_secret(session.secret_hash)
        except Refused:
            return None

    async def _renew(self, gateway: Gateway, session: Session, now: datetime) -> None:
        until = min(now + IDLE, session.created_at + LONGEST)
        if until - session.expires_at < RENEWED_EVERY:
            return
        try:
            async with gateway.store.write() as connection:
                await dashboard_sessions.renew(connection, session.hash, now, until)
        except StoreError as error:
            # A page can still be read from a store that cannot be written.
            log.warning("a dashboard session was not renewed: %s", error)


async def gateway_of(request: Request) -> Gateway:
    """The opened gateway. Raises GatewayError."""
    gateway: Gateway = await request.app.state.ready()
    return gateway


async def viewer(request: Request) -> Viewer:
    """Who looks at this page. Raises SignInNeeded, which the application answers with the way to sign in."""
    sessions: Sessions = request.app.state.sessions
    request.state.viewer = found = await sessions.find(request)
    current().caller = found.caller
    return found


async def admin(request: Request) -> Viewer:
    """The master key's holder. Raises SignInNeeded, and Forbidden for anybody else."""
    found = await viewer(request)
    if not found.is_admin:
        raise Forbidden("This page is for the master key.")
    return found


def dashboard_actor(request: Request, caller: Caller) -> Actor:
    """Who acts, for the audit log, and that it was on the dashboard."""
    return actor_of(caller, f"{client_host(request.scope) or 'unknown'} (dashboard)")


def root_of(request: Request) -> str:
    """The path below which the gateway's own paths are; empty unless it is served below one."""
    return str(request.scope["root_path"]).removesuffix(PREFIX)


def cookie_of(request: Request, name: str) -> str | None:
    """A cookie's value; None when there is none, or several that differ."""
    found = set()
    for header in request.headers.getlist("cookie"):
        for pair in header.split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                found.add(value.strip())
    return found.pop() if len(found) == 1 else None


def set_cookie(request: Request, response: Response, name: str, value: str, below: str = "") -> None:
    """Set a cookie for the dashboard, or a path `below` it, until the browser ends."""
    response.set_cookie(
        name,
        value,
        path=f"{root_of(request)}{PREFIX}{below}",
        secure=_is_https(request),
        httponly=True,
        samesite="strict",
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Have the browser forget a cookie of `set_cookie`."""
    response.delete_cookie(
        name,
        path=f"{root_of(request)}{PREFIX}",
        secure=_is_https(request),
        httponly=True,
        samesite="strict",
    )


def _is_https(request: Request) -> bool:
    # Behind a proxy that the server does not trust, the browser's own Origin still tells.
    return request.scope["scheme"] == "https" or request.headers.get("origin", "").startswith("https://")

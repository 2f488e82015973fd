"""Who is calling: a virtual key in our store, or the master key.

Answers are remembered until anything is committed to the store, by this process or another, so that a
revoked key is refused at its next request and a poll costs no query. Where the store cannot tell
(Postgres), nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Any, TypeVar

from aai_gateway.core.budgets import utc_now
from aai_gateway.core.guesses import Guesses, source_of
from aai_gateway.core.operations import is_transcript_id
from aai_gateway.core.regions import Region
from aai_gateway.core.tenancy import MASTER, Caller, hash_key, require_usable
from aai_gateway.errors import Unauthenticated
from aai_gateway.gateway.last_used import LastUsed
from aai_gateway.gateway.observing import current
from aai_gateway.settings import get_settings
from aai_gateway.store import Store, keys, transcripts, usage
from aai_gateway.store.transcripts import Transcript

T = TypeVar("T")
REMEMBERED = 20_000
"""Answers kept at most; a full memory is emptied."""


class CommitCache:
    """Remembers what was read from the store until something is committed to it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counter: int | None = None
        self._answers: dict[Hashable, Any] = {}

    async def get(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """The remembered answer to `key`, or what `read()` gives."""
        counter = self._store.change_counter()
        if counter is None:
            return await read()
        if counter != self._counter or len(self._answers) > REMEMBERED:
            self._counter = counter
            self._answers.clear()
        if key in self._answers:
            return self._answers[key]  # type: ignore[no-any-return]  # what `read` gave
        answer = await read()
        # A commit during the read makes the answer too old to keep.
        if self._counter == counter == self._store.change_counter():
            self._answers[key] = answer
        return answer


class Identity:
    """Turns what a client presents into a Caller, and says who owns a transcript.

    `guesses` are those of the whole process; without them it counts its own.
    """

    def __init__(
        self, store: Store, is_master_key: Callable[[str], bool], guesses: Guesses | None = None
    ) -> None:
        self._store = store
        self._is_master_key = is_master_key
        self._cache = CommitCache(store)
        self._guesses = guesses or Guesses(get_settings().unknown_keys_per_minute)
        self.last_used = LastUsed(store)

    async def caller_of_key(self, key: str | None, host: str | None = None) -> Caller:
        """The caller that presents `key` from `host`, which is noted of the current request.

        Raises Unauthenticated, Forbidden or TooManyUnknownKeys.
        """
        if not key:
            raise Unauthenticated
        presented, source = hash_key(key), source_of(host)
        self._guesses.require_patience(source, presented, monotonic())
        if self._is_master_key(key):
            self._guesses.accepted(source, presented, monotonic())
            current().caller = MASTER
            return MASTER
        found = await self._cache.get(("secret", presented), lambda: self._read_secret(presented))
        if found is None:
            self._guesses.unknown(source, presented, monotonic())
            raise Unauthenticated
        now = utc_now()
        caller = require_usable(found.key, found.team, now, found.secret)
        self._guesses.accepted(source, presented, monotonic())
        self.last_used.note(found.key, now)
        current().caller = caller
        return caller

    async def caller_of_secret(self, secret_hash: str) -> Caller:
        """The caller for whom a secret stands that was accepted once. Raises Unauthenticated or Forbidden."""
        found = await self._cache.get(("secret", secret_hash), lambda: self._read_secret(secret_hash))
        if found is None:
            raise Unauthenticated
        return require_usable(found.key, found.team, utc_now(), found.secret)

    async def caller_of_hash(self, key_hash: str) -> Caller:
        """The caller whose key has this id. Raises Unauthenticated or Forbidden."""
        found = await self._cache.get(("key", key_hash), lambda: self._read_key(key_hash))
        key, team = found if found is not None else (None, None)
        return require_usable(key, team, utc_now())

    async def transcript(self, caller: Caller, region: Region, transcript_id: str) -> Transcript | None:
        """A transcript's row, or None when the caller has none of this id. The master key has everybody's.

        What is remembered is remembered for who asked: a stranger's look at a transcript that its owner polls
        takes as long as one at an id that does not exist.
        """
        if not is_transcript_id(transcript_id):
            return None
        asked = ("transcript", caller.owner, caller.narrowed_to, region, transcript_id)
        return await self._cache.get(asked, lambda: self._read_transcript(caller, region, transcript_id))

    async def cost(self, region: Region, transcript_id: str) -> int | None:
        """What a settled job cost, in micro-dollars; None when it is not in the ledger."""
        return await self._cache.get(
            ("cost", region, transcript_id), lambda: self._read_cost(region, transcript_id)
        )

    async def _read_cost(self, region: Region, transcript_id: str) -> int | None:
        async with self._store.read() as connection:
            return await usage.micros_of(connection, "speech", region, transcript_id)

    async def _read_secret(self, secret_hash: str) -> keys.Presented | None:
        async with self._store.read() as connection:
            return await keys.presented(connection, secret_hash)

    async def _read_key(self, key_hash: str) -> Any:
        async with self._store.read() as connection:
            return await keys.with_team(connection, key_hash)

    async def _read_transcript(self, caller: Caller, region: Region, transcript_id: str) -> Transcript | None:
        async with self._store.read() as connection:
            if caller.is_admin:
                return await transcripts.get(connection, region, transcript_id)
            mine = (caller.owner, caller.narrowed_to)
            return await transcripts.get_own(connection, *mine, region, transcript_id)

"""How many keys that nobody has one address may present before it has to wait.

A virtual key cannot be guessed, but leaked lists are tried, and an administrator's own keys may be weaker. A
wait stops those keys of an address that were not accepted from it before: an attacker in an office does not
lock the office out. The same unknown key again is no other guess: a forgotten script with a deleted key does
not make its neighbours wait.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache

from aai_gateway.errors import TooManyUnknownKeys

WINDOW = 60.0
"""Seconds in which unknown keys are counted together."""
FIRST_WAIT = 30.0
LONGEST_WAIT = 300.0
FORGIVEN_AFTER = 3600.0
"""Seconds: waits double from the first to the longest, and begin anew this long after the last one's end."""
ACCEPTED_FOR = 86_400.0
"""Seconds for which an accepted key goes on working from its address, whatever else comes from there."""
MOST_SOURCES = 5_000
MOST_ACCEPTED = 20_000
"""Addresses with unknown keys, and accepted keys with their addresses, remembered at most: some 15 MB."""


@dataclass(frozen=True, slots=True)
class Source:
    """One address: the unknown keys of its window, how often it had to wait, and until when it has to.

    Moments are seconds of one clock.
    """

    tried: frozenset[str] = frozenset()
    since: float = 0.0
    waits: int = 0
    until: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds that it still has to wait; 0 when it may try."""
        return max(0.0, self.until - now)

    def guessed(self, key_hash: str, now: float, limit: int) -> Source:
        """After an unknown key. Those that were under way when a wait began change nothing."""
        if self.wait(now):
            return self
        in_window = bool(self.tried) and now - self.since < WINDOW
        tried = (self.tried if in_window else frozenset()) | {key_hash[:16]}
        waits = self.waits if now - self.until < FORGIVEN_AFTER else 0
        if len(tried) < limit:
            return Source(tried, self.since if in_window else now, waits, self.until)
        return Source(waits=waits + 1, until=now + min(FIRST_WAIT * 2 ** min(waits, 30), LONGEST_WAIT))


class Guesses:
    """What is remembered of every address. `limit` is how many unknown keys one may present in a window."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sources: OrderedDict[str, Source] = OrderedDict()
        self._accepted: OrderedDict[tuple[str, str], float] = OrderedDict()

    def require_patience(self, source: str, key_hash: str, now: float) -> None:
        """Raise TooManyUnknownKeys when this key is not to be looked up now."""
        found = self._sources.get(source)
        if found is None or not (wait := found.wait(now)):
            return
        accepted = self._accepted.get((source, key_hash))
        if accepted is None or now - accepted > ACCEPTED_FOR:
            raise TooManyUnknownKeys(wait)

    def unknown(self, source: str, key_hash: str, now: float) -> None:
        """Nobody has this key. Raises TooManyUnknownKeys when a wait has begun while it was looked up."""
        self.require_patience(source, key_hash, now)
        self._sources[source] = self._sources.get(source, Source()).guessed(key_hash, now, self._limit)
        self._sources.move_to_end(source)
        if len(self._sources) > MOST_SOURCES:
            self._sources.popitem(last=False)

    def accepted(self, source: str, key_hash: str, now: float) -> None:
        """This key is good, and came from here."""
        pair = (source, key_hash)
        self._accepted[pair] = now
        self._accepted.move_to_end(pair)
        if len(self._accepted) > MOST_ACCEPTED:
            self._accepted.popitem(last=False)


@lru_cache(maxsize=4096)
def source_of(host: str | None) -> str:
    """What counts as one address: of IPv6 the /64, which is one customer's, and of IPv4 the address.

    An unknown host, such as a Unix socket's, is one for all.
    """
    try:
        address = ipaddress.ip_address(host or "")
    except ValueError:
        return (host or "")[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), 64), strict=False))

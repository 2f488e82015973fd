"""Teams, keys, transcripts and uploads at random, and after every step everybody asks for everything.

The decision is the one that the gateway makes of each request; the second opinion is a few lines of sets.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from aai_gateway.core import routing
from aai_gateway.core.operations import KNOWN, READING, Known, Who
from aai_gateway.core.regions import ALL_REGIONS, Region, Route
from aai_gateway.core.tenancy import (
    Caller,
    Secret,
    Team,
    VirtualKey,
    hash_key,
    mask_key,
    owns,
    require_may_write,
    require_owner,
    require_usable,
)
from aai_gateway.errors import Forbidden, NotFound, Refused, Unauthenticated

MACHINES = int(os.environ.get("AAI_GATEWAY_TEST_MACHINES", "40"))
STEPS = 40
START = datetime(2026, 11, 1, tzinfo=timezone.utc)

COUNTED = {"steps": 0, "decisions": 0, "served": 0, "refused": 0}
"""Of all machines together, for `-s`."""

NAMED = [known for known in KNOWN if known.who in (Who.OWNER, Who.OWNER_IF_NAMED)]
READ = next(known for known in NAMED if known.operation in READING)
numbers = st.integers(0, 99)
regions = st.sampled_from([(Region.US,), (Region.EU,), ALL_REGIONS])


@dataclass
class Key:
    """A key of the world: as the store has it, its secrets, and by whom it is owned."""

    stored: VirtualKey
    secrets: list[Secret]
    team: int | None


@dataclass(frozen=True)
class Thing:
    """A transcript (or upload): its id, region, and whose it is."""

    id: str
    region: Region
    owner: str
    key_hash: str


@dataclass
class World:
    """All there is."""

    now: datetime = START
    teams: dict[int, Team] = field(default_factory=dict)
    keys: dict[int, Key] = field(default_factory=dict)
    things: list[Thing] = field(default_factory=list)


class Isolation(RuleBasedStateMachine):
    """Whatever happened before: a key sees what is its own and nothing else."""

    @initialize()
    def begin(self) -> None:
        """Two teams with a key of each kind, and a key without a team; each has made something everywhere."""
        self.world = World()
        self.count = 0
        for allowed in (ALL_REGIONS, (Region.EU,)):
            self.add_team(allowed)
            for own, read in ((False, False), (True, False), (False, True)):
                self.add_key(self.count, own=own, read=read, narrowed=None)
        self.add_key(None, own=False, read=False, narrowed=None)
        for key in list(self.world.keys):
            for region in ALL_REGIONS:
                self.make_thing(key, region)
        # At once, so that how much is served is not left to chance: later keys may be blocked or gone.
        for region in ALL_REGIONS:
            self.everybody_asks_for_everything(READ, region)

    # -- what happens ------------------------------------------------------------------------------------

    @rule(allowed=regions)
    def add_team(self, allowed: tuple[Region, ...]) -> None:
        number = self._next()
        self.world.teams[number] = Team(id=f"team-{number}", alias=f"Team {number}", regions=allowed)

    @rule(team=numbers | st.none(), own=st.booleans(), read=st.booleans(), narrowed=regions | st.none())
    def add_key(
        self, team: int | None, *, own: bool, read: bool, narrowed: tuple[Region, ...] | None
    ) -> None:
        number = self._next()
        chosen = None if team is None else one_of(self.world.teams, team)
        secret = f"sk-first-secret-{number}"
        stored = VirtualKey(
            hash=hash_key(secret),
            masked=mask_key(secret),
            team_id=None if chosen is None else self.world.teams[chosen].id,
            regions=narrowed,
            own_only=own,
            read_only=read,
        )
        first = Secret(stored.hash, stored.masked, self.world.now)
        self.world.keys[number] = Key(stored, [first], chosen)

    @rule(key=numbers, region=st.sampled_from(ALL_REGIONS))
    def make_thing(self, key: int, region: Region) -> None:
        if (chosen := one_of(self.world.keys, key)) is not None:
            found = self.world.keys[chosen]
            owner = f"key:{found.stored.hash}" if found.team is None else f"team:{found.stored.team_id}"
            self.world.things.append(Thing(f"thing-{self._next()}", region, owner, found.stored.hash))

    @rule(key=numbers, minutes=st.integers(0, 90))
    def rotate(self, key: int, minutes: int) -> None:
        if (chosen := one_of(self.world.keys, key)) is not None:
            found, end = self.world.keys[chosen], self.world.now + timedelta(minutes=minutes)
            ended = [replace(s, expires_at=min(s.expires_at or end, end)) for s in found.secrets]
            new = f"sk-rotated-{self._next()}"
            found.secrets = [*ended[-2:], Secret(hash_key(new), mask_key(new), self.world.now)]

    @rule(key=numbers, blocked=st.booleans(), minutes=st.none() | st.integers(1, 90))
    def change_key(self, key: int, *, blocked: bool, minutes: int | None) -> None:
        if (chosen := one_of(self.world.keys, key)) is not None:
            found = self.world.keys[chosen]
            expires = None if minutes is None else self.world.now + timedelta(minutes=minutes)
            found.stored = replace(found.stored, blocked=blocked, expires_at=expires)

    @rule(team=numbers, allowed=regions, blocked=st.booleans())
    def change_team(self, team: int, allowed: tuple[Region, ...], *, blocked: bool) -> None:
        if (chosen := one_of(self.world.teams, team)) is not None:
            self.world.teams[chosen] = replace(self.world.teams[chosen], regions=allowed, blocked=blocked)

    @rule(key=numbers)
    def delete_key(self, key: int) -> None:
        if (chosen := one_of(self.world.keys, key)) is not None:
            del self.world.keys[chosen]

    @rule(team=numbers)
    def delete_team(self, team: int) -> None:
        """Its keys go with it; its things stay, and are nobody's but the master's."""
        if (chosen := one_of(self.world.teams, team)) is not None:
            del self.world.teams[chosen]
            self.world.keys = {n: key for n, key in self.world.keys.items() if key.team != chosen}

    @rule(from_team=numbers, to_team=numbers)
    def move_things(self, from_team: int, to_team: int) -> None:
        """All of a team's become another's, and no key of that made them."""
        old, new = one_of(self.world.teams, from_team), one_of(self.world.teams, to_team)
        if old is not None and new is not None:
            before, after = (f"team:{self.world.teams[team].id}" for team in (old, new))
            self.world.things = [
                replace(thing, owner=after, key_hash="") if thing.owner == before else thing
                for thing in self.world.things
            ]

    @rule(minutes=st.integers(1, 60))
    def time_passes(self, minutes: int) -> None:
        self.world.now += timedelta(minutes=minutes)

    # -- what is asked -----------------------------------------------------------------------------------

    @rule(known=st.sampled_from(NAMED), region=st.sampled_from(ALL_REGIONS))
    def everybody_asks_for_everything(self, known: Known, region: Region) -> None:
        COUNTED["steps"] += 1
        for key in self.world.keys.values():
            for secret in key.secrets:
                for thing in [*self.world.things[-12:], None]:
                    self._ask(key, secret, known, region, thing)

    @rule(region=st.sampled_from(ALL_REGIONS))
    def everybody_lists(self, region: Region) -> None:
        COUNTED["steps"] += 1
        for key in self.world.keys.values():
            team = self._team(key)
            caller = require_usable_or_none(key, team, self.world.now)
            if caller is None:
                continue
            there = {thing for thing in self.world.things if thing.region is region}
            listed = {thing for thing in there if owns(caller, thing.owner, thing.key_hash)}
            assert self._own(key, region) == listed
            COUNTED["decisions"] += len(self.world.things)

    def _ask(self, key: Key, secret: Secret, known: Known, region: Region, thing: Thing | None) -> None:
        wanted = self._wanted(key, secret, known, region, thing)
        got = decide(key, self._team(key), secret, self.world.now, known, region, thing)
        assert wanted == got, (wanted, got, key, known, region, thing)
        COUNTED["decisions"] += 1
        COUNTED["served" if got == "served" else "refused"] += 1

    def _wanted(self, key: Key, secret: Secret, known: Known, region: Region, thing: Thing | None) -> str:
        team, stored, now = self._team(key), key.stored, self.world.now
        ended = secret.expires_at is not None and secret.expires_at <= now
        expired = stored.expires_at is not None and stored.expires_at <= now
        if ended or expired or stored.blocked:
            return "unauthenticated"
        allowed = set(ALL_REGIONS if team is None else team.regions) & set(stored.regions or ALL_REGIONS)
        if (team is not None and team.blocked) or region not in allowed:
            return "forbidden"
        if stored.read_only and known.operation not in READING:
            return "forbidden"
        if thing is None or thing.region is not region:
            return "not found"
        return "served" if thing in self._own(key, region) else "not found"

    def _own(self, key: Key, region: Region) -> set[Thing]:
        """What a key may see in a region, by its team and its narrowing."""
        mine = f"key:{key.stored.hash}" if key.team is None else f"team:{key.stored.team_id}"
        there = {thing for thing in self.world.things if thing.region is region and thing.owner == mine}
        return {t for t in there if t.key_hash == key.stored.hash} if key.stored.own_only else there

    def _team(self, key: Key) -> Team | None:
        return None if key.team is None else self.world.teams[key.team]

    def _next(self) -> int:
        self.count += 1
        COUNTED["steps"] += 1
        return self.count


def one_of(things: dict[int, object], number: int) -> int | None:
    """Some key of a dictionary; the number itself where it is one."""
    known = list(things)
    return number if number in things else (known[number % len(known)] if known else None)


def require_usable_or_none(key: Key, team: Team | None, now: datetime) -> Caller | None:
    try:
        return require_usable(key.stored, team, now, key.secrets[-1])
    except Refused:
        return None


def decide(
    key: Key,
    team: Team | None,
    secret: Secret,
    now: datetime,
    known: Known,
    region: Region,
    thing: Thing | None,
) -> str:
    """What the gateway decides, in its order: who, where to, may they, whose is it."""
    rest = known.path.replace("{id}", "nobody-s" if thing is None else thing.id)
    try:
        caller = require_usable(key.stored, team, now, secret)
        target = routing.forward(caller, known.method, f"/{Route(known.host, region).prefix}{rest}")
        assert (target.region, target.host, target.operation) == (region, known.host, known.operation)
        if target.operation not in READING:
            require_may_write(caller)
        found = thing if thing is not None and thing.region is target.region else None
        require_owner(caller, found.owner if found else None, found.key_hash if found else None)
    except Unauthenticated:
        return "unauthenticated"
    except NotFound:
        return "not found"
    except Forbidden:
        return "forbidden"
    return "served"


TestIsolation = Isolation.TestCase
TestIsolation.settings = settings(
    max_examples=MACHINES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_zz_both_kinds_of_decisions_were_made() -> None:
    print(", ".join(f"{count:,} {what}" for what, count in COUNTED.items()))
    assert COUNTED["served"] > 100
    assert COUNTED["refused"] > 100

"""AssemblyAI's account held against the gateway's ledger: what is lost, doubled, misplaced or wrong in price.

The emulator tells what it accepted and charged, the test's own record tells whose each job was, and the
ledger is read with plain SQL: the gateway has no part in its own examination.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Counts, and a sentence for each thing that is wrong, by the kind of wrong."""

    counts: Mapping[str, int]
    wrongs: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.wrongs.values())

    def joined(self, other: Verdict) -> Verdict:
        """Both verdicts in one."""
        return Verdict({**self.counts, **other.counts}, {**self.wrongs, **other.wrongs})


@dataclass(frozen=True)
class SentChat:
    """A completion that a client asked for: its end user, and AssemblyAI's id of it once it was answered."""

    marker: str
    team_id: str
    request_id: str | None = None


def read(store: Path, query: str) -> list[dict[str, Any]]:
    """Rows of a store, by its file."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query)]


def unfinished(store: Path) -> dict[str, int]:
    """What the gateway still has to do: nothing of it is left once all is settled."""
    counts = {
        "unsettled": "SELECT count(*) AS n FROM transcripts WHERE settled_at IS NULL",
        "open intents": "SELECT count(*) AS n FROM intents WHERE outcome = 'open'",
        "holds": "SELECT count(*) AS n FROM holds",
    }
    return {name: n for name, query in counts.items() if (n := read(store, query)[0]["n"])}


def examine_jobs(jobs: Iterable[Row], store: Path, team_of: Callable[[Row], str | None]) -> Verdict:
    """Every job that AssemblyAI accepted, beside transcripts and usage rows.

    `jobs` are the emulator's reports; `team_of` gives the team that truly made a job.
    """
    wrongs: dict[str, list[str]] = {
        kind: [] for kind in ("lost", "doubled", "invented", "wrong team", "wrong price")
    }
    accepted = {(job["region"], job["id"]): job for job in jobs}
    rows = read(store, "SELECT * FROM usage WHERE service = 'speech'")
    owned = read(store, "SELECT region, id, team_id FROM transcripts")
    booked: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        booked[row["region"], row["source_id"]].append(row)
    for key, count in Counter((row["region"], row["id"]) for row in owned).items():
        if count > 1:
            wrongs["doubled"].append(f"transcript {key} has {count} rows")
    owners = {(row["region"], row["id"]): row["team_id"] for row in owned}
    for key in {*owners, *booked} - set(accepted):
        wrongs["invented"].append(f"AssemblyAI has no job {key}")
    fallbacks: list[int] = []
    for key, job in accepted.items():
        found, team = booked.get(key, []), team_of(job)
        if not found or key not in owners:
            wrongs["lost"].append(f"{key} of {team}: {dict(job)}")
            continue
        if len(found) > 1:
            wrongs["doubled"].append(f"{key} has {len(found)} usage rows")
        if {team} != {owners[key], *(row["team_id"] for row in found)}:
            wrongs["wrong team"].append(f"{key} is {team}'s, and went to {found[0]['team_id']}")
        difference = sum(row["micros"] for row in found) - job["micros"]
        if job["deleted"] and found[0]["priced_as"] is not None:
            # Deletion takes the name of the model away, and of a job that had not ended its length too.
            fallbacks.append(difference)
        elif difference or "unknown" in {row["status"] for row in found}:
            wrongs["wrong price"].append(f"{key} costs {job['micros']}, and is booked as {found}")
    counts = {
        "jobs accepted by AssemblyAI": len(accepted),
        "usage rows for them": len(rows),
        "micro-dollars charged": sum(job["micros"] for job in accepted.values()),
        "micro-dollars booked": sum(row["micros"] for row in rows),
        "deleted before they were settled, flagged": len(fallbacks),
        "micro-dollars booked too much for these": sum(fallbacks),
    }
    return Verdict(counts, wrongs)


def examine_budgets(store: Path) -> Verdict:
    """Every budget beside the rows that were charged to it. Nothing is held any more, none is overspent.

    For budgets without a period.
    """
    wrongs: dict[str, list[str]] = {"unbalanced": [], "held": [], "overspent": []}
    accounts = {
        "teams": ("id", "WHERE team_id IS NOT NULL GROUP BY team_id", "team_id"),
        "virtual_keys": ("hash", "WHERE key_hash IS NOT NULL GROUP BY key_hash", "key_hash"),
        "gateway_budget": ("id", "", "'gateway'"),
    }
    for table, (name, grouping, value) in accounts.items():
        sums = read(store, f"SELECT {value} AS name, sum(micros) AS micros FROM usage {grouping}")
        spent = {row["name"]: row["micros"] or 0 for row in sums}
        for row in read(store, f"SELECT * FROM {table}"):
            what = f"{table} {row[name]}"
            if {row["spent_micros"], row["lifetime_micros"]} != {spent.get(row[name], 0)}:
                wrongs["unbalanced"].append(
                    f"{what} says {row['spent_micros']}, rows say {spent.get(row[name])}"
                )
            if row["held_micros"] != 0:
                wrongs["held"].append(f"{what} has {row['held_micros']} held")
            if row["max_micros"] is not None and row["spent_micros"] > row["max_micros"]:
                wrongs["overspent"].append(f"{what} spent {row['spent_micros']} of {row['max_micros']}")
    wrongs["held"] += [f"hold {row['id']}" for row in read(store, "SELECT id FROM holds")]
    return Verdict({}, wrongs)


def examine_chats(sent: Iterable[SentChat], invoice: Iterable[Row], store: Path) -> Verdict:
    """Every completion that was answered is booked once at its price; of the others nothing is booked twice.

    One that AssemblyAI charged while the gateway died is on record as unknown; those are counted.
    """
    kinds = ("chat lost", "chat doubled", "chat invented", "chat wrong team", "chat wrong price")
    wrongs: dict[str, list[str]] = {kind: [] for kind in kinds}
    asked = {chat.marker: chat for chat in sent}
    charged = {row["id"]: row["micros"] for row in invoice if row["service"] == "chat"}
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in read(store, "SELECT * FROM usage WHERE service = 'chat'"):
        rows[row["end_user"]].append(row)
    wrongs["chat invented"] += [f"nobody asked for {name}" for name in set(rows) - set(asked)]
    wrongs["chat doubled"] += [f"{name}: {len(found)} rows" for name, found in rows.items() if len(found) > 1]
    unanswered = Counter(charged.values())
    for chat in asked.values():
        found = rows.get(chat.marker, [])
        wrongs["chat wrong team"] += [
            f"{chat.marker} went to {row['team_id']}" for row in found if row["team_id"] != chat.team_id
        ]
        if chat.request_id is None:
            continue
        price = charged[chat.request_id]
        unanswered[price] -= 1
        if not found or found[0]["status"] == "unknown":
            wrongs["chat lost"].append(f"{chat.marker} was answered for {price}")
        elif found[0]["micros"] != price:
            wrongs["chat wrong price"].append(f"{chat.marker}: {found[0]['micros']}, not {price}")
    late = [
        row["micros"]
        for marker, found in rows.items()
        for row in found
        if row["status"] != "unknown" and marker in asked and asked[marker].request_id is None
    ]
    # Whatever is booked beyond the answers was charged as well, each charge once.
    wrongs["chat wrong price"] += [
        f"{price} is booked, not charged" for price in (Counter(late) - unanswered)
    ]
    unknown = [row for found in rows.values() for row in found if row["status"] == "unknown"]
    left = sum((unanswered - Counter(late)).values())
    if left > len(unknown):
        wrongs["chat lost"].append(
            f"{left} completions were charged without an answer, {len(unknown)} unknown"
        )
    counts = {
        "chats asked for": len(asked),
        "chats charged by AssemblyAI": len(charged),
        "chats answered": sum(1 for chat in asked.values() if chat.request_id is not None),
        "chats booked without their client": len(late),
        "chats on record as unknown": len(unknown),
        "of these charged by AssemblyAI": left,
        "micro-dollars of these": sum(price * n for price, n in (unanswered - Counter(late)).items()),
    }
    return Verdict(counts, wrongs)

"""The tables of the store, as SQLAlchemy sees them. `migrations/` makes them; a test holds the two together.

Money is integer micro-dollars, moments are UTC, keys and upload URLs are kept as hashes only. Usage,
transcripts and intents outlive the team and key that made them, so only keys refer to teams.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from aai_gateway.core.traffic import BUCKETS

REVISION = "0004"
"""The newest migration: what a store must be at before it is used."""

POSTGRES_SCHEMA = "aai_gateway"
"""Our tables' own schema on Postgres: LiteLLM's Prisma migrations take all of `public` for theirs."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware moment, stored in UTC and read back in UTC on every database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC. Raises ValueError for one without a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone.")
        return value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC, which SQLite returns without saying so."""
        if value is None:
            return None
        return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only in a column of exactly INTEGER.
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON(none_as_null=True)


def _budget_columns() -> list[sa.Column[Any]]:
    """What `core.budgets.Budget` holds, and what was ever spent. `warned` is about the running period."""
    return [
        sa.Column("max_micros", sa.BigInteger),
        sa.Column("budget_duration", sa.Text),
        sa.Column("spent_micros", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("budget_resets_at", UtcDateTime),
        sa.Column("lifetime_micros", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("soft_micros", sa.BigInteger),
        sa.Column("held_micros", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("warned", sa.Boolean, nullable=False, server_default=sa.false()),
    ]


def _limit_columns() -> list[sa.Column[Any]]:
    """What `core.limits.Limits` holds."""
    return [
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("concurrent_jobs", sa.BigInteger),
        sa.Column("concurrent_uploads", sa.BigInteger),
        sa.Column("upload_bytes_per_day", sa.BigInteger),
    ]


def _attribution_columns() -> list[sa.Column[Any]]:
    """By what a team splits its own bill: tags, and the end user that the job was for."""
    return [
        sa.Column("tags", _JSON, nullable=False, server_default="[]"),
        sa.Column("end_user", sa.Text),
    ]


teams = sa.Table(
    "teams",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("regions", _JSON, nullable=False),
    sa.Column("models", _JSON, nullable=False),
    *_budget_columns(),
    sa.Column("blocked", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("metadata", _JSON, nullable=False),
    *_limit_columns(),
    sa.UniqueConstraint("alias"),
)

virtual_keys = sa.Table(
    "virtual_keys",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("masked", sa.Text, nullable=False),
    sa.Column("alias", sa.Text),
    sa.Column("team_id", sa.Text, sa.ForeignKey("teams.id", ondelete="CASCADE"), index=True),
    sa.Column("user_id", sa.Text),
    sa.Column("regions", _JSON),
    sa.Column("models", _JSON, nullable=False),
    *_budget_columns(),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("blocked", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("metadata", _JSON, nullable=False),
    *_limit_columns(),
    sa.Column("own_only", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("read_only", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("last_used_at", UtcDateTime),
    sa.UniqueConstraint("alias"),
)

# By what a key may be presented: its first secret, and each that a rotation gave it.
key_secrets = sa.Table(
    "key_secrets",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column(
        "key_hash",
        sa.Text,
        sa.ForeignKey("virtual_keys.hash", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("masked", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
)

# One row, made by the migration: what all teams together may spend.
gateway_budget = sa.Table(
    "gateway_budget", metadata, sa.Column("id", sa.Text, primary_key=True), *_budget_columns()
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("url_hash", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("team_id", sa.Text),
    sa.Column("key_hash", sa.Text),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # Of the audio, where the upload's bytes told it.
    sa.Column("duration_ms", sa.BigInteger),
    sa.Column("channels", sa.Integer),
    # Hold all that is summed up of a team's or a key's day.
    sa.Index(None, "team_id", "created_at", "size_bytes"),
    sa.Index(None, "key_hash", "created_at", "size_bytes"),
)

# Uploads under way of those who have a limit; a dead process's rows expire.
upload_leases = sa.Table(
    "upload_leases",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("team_id", sa.Text, index=True),
    sa.Column("key_hash", sa.Text, index=True),
    sa.Column("reserved_bytes", sa.BigInteger, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)

intents = sa.Table(
    "intents",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("team_id", sa.Text),
    sa.Column("key_hash", sa.Text),
    sa.Column("audio_url", sa.Text, nullable=False),
    sa.Column("requested", _JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("transcript_id", sa.Text),
    *_attribution_columns(),
)
_open = intents.c.outcome == sa.literal_column("'open'")
sa.Index(
    "ix_intents_open",
    intents.c.region,
    intents.c.created_at,
    sqlite_where=_open,
    postgresql_where=_open,
)

transcripts = sa.Table(
    "transcripts",
    metadata,
    sa.Column("seq", _SEQUENCE, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("team_id", sa.Text),
    sa.Column("key_hash", sa.Text),
    sa.Column("intent_id", sa.Text),
    sa.Column("audio_url", sa.Text, nullable=False),
    sa.Column("requested", _JSON, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("throttled", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("completed_at", UtcDateTime),
    sa.Column("settled_at", UtcDateTime),
    sa.Column("deleted_at", UtcDateTime),
    sa.Column("next_check_at", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False),
    *_attribution_columns(),
    # Set while a deletion that was ordered with its team's is still to be done at AssemblyAI.
    sa.Column("deleting_since", UtcDateTime),
    # When it was handed to a team that did not make it through the gateway: it is never charged.
    sa.Column("adopted_at", UtcDateTime),
    sa.UniqueConstraint("region", "id"),
    # One index for each way to list: an owner's or a key's, each of one status too, everybody's.
    sa.Index(None, "region", "owner", "created_at", "seq"),
    sa.Index(None, "region", "owner", "status", "created_at", "seq"),
    sa.Index(None, "region", "key_hash", "created_at", "seq"),
    sa.Index(None, "region", "key_hash", "status", "created_at", "seq"),
    sa.Index(None, "region", "created_at", "seq"),
)
IS_UNSETTLED = transcripts.c.settled_at.is_(None)
sa.Index(
    "ix_transcripts_unsettled",
    transcripts.c.region,
    transcripts.c.next_check_at,
    sqlite_where=IS_UNSETTLED,
    postgresql_where=IS_UNSETTLED,
)
# Holds all that is counted of the jobs under way, and lists them, whosever they are: they are few. It has the
# column of its condition too, for which SQLite would look at each row.
sa.Index(
    "ix_transcripts_unsettled_latest",
    *(
        transcripts.c[name]
        for name in ("region", "created_at", "seq", "owner", "key_hash", "status", "settled_at")
    ),
    sqlite_where=IS_UNSETTLED,
    postgresql_where=IS_UNSETTLED,
)
# Everybody's failed jobs.
_failed = transcripts.c.status == sa.literal_column("'error'")
sa.Index(
    "ix_transcripts_failed",
    *(transcripts.c[name] for name in ("region", "created_at", "seq")),
    sqlite_where=_failed,
    postgresql_where=_failed,
)
IS_DELETED = transcripts.c.deleted_at.is_not(None)
for _name, _columns in (
    ("ix_transcripts_deleted", ("region", "created_at", "seq")),
    ("ix_transcripts_deleted_of_owner", ("region", "owner", "created_at", "seq", "key_hash")),
):
    sa.Index(
        _name,
        *(transcripts.c[name] for name in _columns),
        sqlite_where=IS_DELETED,
        postgresql_where=IS_DELETED,
    )
# As SQL has it: SQLite takes a partial index only for the expression that made it.
IS_THROTTLED = transcripts.c.throttled.is_(sa.literal_column("TRUE"))
sa.Index(
    "ix_transcripts_throttled",
    transcripts.c.region,
    transcripts.c.owner,
    transcripts.c.created_at,
    transcripts.c.seq,
    sqlite_where=IS_THROTTLED,
    postgresql_where=IS_THROTTLED,
)
sa.Index(
    "ix_transcripts_throttled_of_key",
    transcripts.c.region,
    transcripts.c.key_hash,
    transcripts.c.created_at,
    transcripts.c.seq,
    sqlite_where=IS_THROTTLED,
    postgresql_where=IS_THROTTLED,
)
_deleting = transcripts.c.deleting_since.is_not(None)
sa.Index(
    "ix_transcripts_deleting",
    transcripts.c.region,
    transcripts.c.next_check_at,
    sqlite_where=_deleting,
    postgresql_where=_deleting,
)

# Teams and keys that are gone, and whose their transcripts are now. Those are handed over little by little:
# a million at once would hold up every other writer.
former_owners = sa.Table(
    "former_owners",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    # `team:<id>`, `master`, or `deleted`.
    sa.Column("heir", sa.Text, nullable=False),
    sa.Column("ended_at", UtcDateTime, nullable=False),
)

usage = sa.Table(
    "usage",
    metadata,
    sa.Column("id", _SEQUENCE, primary_key=True),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("source_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("team_id", sa.Text),
    sa.Column("key_hash", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("priced_as", sa.Text),
    sa.Column("micros", sa.BigInteger, nullable=False),
    sa.Column("items", _JSON, nullable=False),
    sa.Column("audio_seconds", sa.BigInteger, nullable=False),
    sa.Column("channels", sa.Integer, nullable=False),
    sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("tags", _JSON, nullable=False),
    sa.Column("end_user", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # The UTC day, YYYY-MM-DD: databases disagree on how to take it from a moment.
    sa.Column("day", sa.Text, nullable=False),
    # Whether a completion ran at list price; unknown for rows of the first release.
    sa.Column("global_region", sa.Boolean),
    # The moment whose prices the row has: a job's submission, a completion's request.
    sa.Column("priced_at", UtcDateTime),
    sa.UniqueConstraint("service", "region", "source_id"),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "team_id", "created_at", "id"),
    sa.Index(None, "key_hash", "created_at", "id"),
    # The latest of one service: a team's chats among its many jobs, or the other way round.
    sa.Index(None, "team_id", "service", "created_at", "id"),
    sa.Index(None, "key_hash", "service", "created_at", "id"),
)
_flagged = usage.c.priced_as.is_not(None)
sa.Index(
    "ix_usage_flagged",
    usage.c.service,
    usage.c.model,
    usage.c.micros,
    sqlite_where=_flagged,
    postgresql_where=_flagged,
)
_unknown = usage.c.status == sa.literal_column("'unknown'")
sa.Index("ix_usage_unknown", usage.c.created_at, sqlite_where=_unknown, postgresql_where=_unknown)

# A row for each tag of a usage row: databases disagree on how to look into JSON.
usage_tags = sa.Table(
    "usage_tags",
    metadata,
    sa.Column("usage_id", sa.BigInteger, sa.ForeignKey("usage.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Index(None, "tag"),
)

# What the rows of `usage` add up to, kept in the transaction that writes them: pages and metrics read these.
# `core.rollups` says what the parts are. Texts that do not apply are empty: a primary key takes no NULL.
usage_sums = sa.Table(
    "usage_sums",
    metadata,
    # A team's id, empty for what belongs to none, `*` for all together.
    sa.Column("team_id", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    # A UTC day, YYYY-MM-DD, or a UTC month, YYYY-MM.
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("service", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    # Of a line item, a key (its hash) or a tag.
    sa.Column("name", sa.Text, primary_key=True),
    *(
        sa.Column(sum_, sa.BigInteger, nullable=False)
        for sum_ in (
            *("micros", "jobs", "failed", "flagged", "flagged_micros", "unknown"),
            *("audio_seconds", "prompt_tokens", "completion_tokens", "quantity"),
        )
    ),
    # Every team's sums of a period.
    sa.Index(None, "period", "part"),
    sqlite_with_rowid=False,
)
# All that /metrics adds up of each team: from the index alone, a few thousand entries of each month.
IS_MODELS_MONTH = sa.and_(
    usage_sums.c.part == sa.literal_column("'model'"),
    sa.func.length(usage_sums.c.period) == sa.literal_column("7"),
)
sa.Index(
    "ix_usage_sums_models_months",
    *(usage_sums.c[name] for name in ("team_id", "service", "region")),
    *(usage_sums.c[name] for name in ("micros", "audio_seconds", "prompt_tokens", "completion_tokens")),
    sqlite_where=IS_MODELS_MONTH,
    postgresql_where=IS_MODELS_MONTH,
)

# What each team used in a period, for tables of all teams: from the index alone, an entry for each.
IS_TOTAL = usage_sums.c.part == sa.literal_column("'total'")
sa.Index(
    "ix_usage_sums_totals",
    usage_sums.c.period,
    usage_sums.c.team_id,
    *(column for column in usage_sums.c if not column.primary_key),
    sqlite_where=IS_TOTAL,
    postgresql_where=IS_TOTAL,
)

holds = sa.Table(
    "holds",
    metadata,
    # The id of the job's intent, or of the completion.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("team_id", sa.Text),
    sa.Column("key_hash", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("micros", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
    *_attribution_columns(),
    # A running job is a hold: how many a team or a key has.
    sa.Index(None, "service", "team_id"),
    sa.Index(None, "service", "key_hash"),
)

price_books = sa.Table(
    "price_books",
    metadata,
    sa.Column("id", _SEQUENCE, primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("body", _JSON, nullable=False),
)

# What is to be told by webhook, written with the charge that caused it: told at least once, made once.
notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", _SEQUENCE, primary_key=True),
    sa.Column("event", sa.Text, nullable=False),
    # `gateway`, `team:<id>` or `key:<hash>`.
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("body", _JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("delivered_at", UtcDateTime),
    sa.Column("next_attempt_at", UtcDateTime, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
)

# Where a team wants to hear of its jobs. The id is in the URL that AssemblyAI calls and cannot be guessed;
# the header's value is kept encrypted. Its job is the intent's.
webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("key_hash", sa.Text),
    sa.Column("intent_id", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("header_name", sa.Text),
    sa.Column("header_value", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # When the job's end was first heard of, from AssemblyAI or otherwise.
    sa.Column("told_at", UtcDateTime),
    sa.UniqueConstraint("intent_id"),
)
_untold = webhooks.c.told_at.is_(None)
sa.Index(
    "ix_webhooks_untold",
    webhooks.c.created_at,
    sqlite_where=_untold,
    postgresql_where=_untold,
)

# What is to be delivered: one row for each event of a webhook, however often AssemblyAI tells of it. One with
# a `next_attempt_at` is to be tried then; one without any of the three moments waits for the event before it.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", _SEQUENCE, primary_key=True),
    sa.Column("webhook_id", sa.Text, sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("key_hash", sa.Text),
    sa.Column("transcript_id", sa.Text, nullable=False, index=True),
    # `transcript` or `redacted_audio`.
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("body", _JSON, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("next_attempt_at", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("delivered_at", UtcDateTime),
    sa.Column("gave_up_at", UtcDateTime),
    sa.UniqueConstraint("webhook_id", "event"),
    sa.Index(None, "owner", "id"),
)
_to_try = webhook_deliveries.c.next_attempt_at.is_not(None)
sa.Index(
    "ix_webhook_deliveries_to_try",
    webhook_deliveries.c.owner,
    webhook_deliveries.c.next_attempt_at,
    sqlite_where=_to_try,
    postgresql_where=_to_try,
)
_given_up = webhook_deliveries.c.gave_up_at.is_not(None)
sa.Index(
    "ix_webhook_deliveries_given_up",
    webhook_deliveries.c.gave_up_at,
    sqlite_where=_given_up,
    postgresql_where=_given_up,
)

# The log that a team can read: each try of each delivery, and how it went.
webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column("id", _SEQUENCE, primary_key=True),
    sa.Column(
        "delivery_id",
        sa.BigInteger,
        sa.ForeignKey("webhook_deliveries.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("milliseconds", sa.BigInteger, nullable=False),
)

# Who did what to what, when, from where. Rows are chained by hash; triggers keep them from being changed.
audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("seq", _SEQUENCE, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False, index=True),
    sa.Column("team_id", sa.Text, index=True),
    sa.Column("source", sa.Text),
    sa.Column("details", _JSON, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.UniqueConstraint("hash"),
)

# What each `aai-gateway reconcile` found, for the page that shows the last difference.
reconciliations = sa.Table(
    "reconciliations",
    metadata,
    sa.Column("id", _SEQUENCE, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("region", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("quick", sa.Boolean, nullable=False),
    sa.Column("compared", sa.BigInteger, nullable=False),
    # Jobs that remain to be explained, by how much they cost more than is booked, and how many have no sum.
    sa.Column("findings", sa.BigInteger, nullable=False),
    sa.Column("difference_micros", sa.BigInteger, nullable=False),
    sa.Column("without_a_sum", sa.BigInteger, nullable=False),
    sa.Column("fixed", sa.BigInteger, nullable=False),
    sa.Index(None, "region", "id"),
)

# Who is signed in to the dashboard: the hash of the cookie's id, and that of the secret that was shown, with
# which the session ends; NULL for the master key.
dashboard_sessions = sa.Table(
    "dashboard_sessions",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("secret_hash", sa.Text, sa.ForeignKey("key_secrets.hash", ondelete="CASCADE"), index=True),
    # Of the master key as it was, keyed: another master key ends the session.
    sa.Column("master_hash", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# Forms of the dashboard that made a secret: each does it once, however often it is sent.
dashboard_forms = sa.Table(
    "dashboard_forms",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("used_at", UtcDateTime, nullable=False, index=True),
)

# Requests that were answered, added to by every process every few seconds: `total` since the beginning, and
# by the UTC minute, YYYY-MM-DDTHH:MM, for a day. `core.traffic` has the bounds of the buckets.
traffic = sa.Table(
    "traffic",
    metadata,
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, primary_key=True),
    # Empty where the request had none.
    sa.Column("region", sa.Text, primary_key=True),
    sa.Column("status", sa.Integer, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("bytes_in", sa.BigInteger, nullable=False),
    sa.Column("bytes_out", sa.BigInteger, nullable=False),
    # Time that the gateway itself took, of the requests whose waiting for others is known.
    sa.Column("added_count", sa.BigInteger, nullable=False),
    sa.Column("added_microseconds", sa.BigInteger, nullable=False),
    *(sa.Column(f"bucket_{number}", sa.BigInteger, nullable=False) for number in range(BUCKETS)),
)

# The same for what was asked of other hosts: how each request to one ended.
upstream_traffic = sa.Table(
    "upstream_traffic",
    metadata,
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, primary_key=True),
    # `ok`, a status such as `429` or `500`, `unreachable`, `timeout` or `broken`.
    sa.Column("outcome", sa.Text, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
)

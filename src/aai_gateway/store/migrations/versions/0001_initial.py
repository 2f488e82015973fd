"""The first tables: teams, keys, uploads, intents, transcripts and the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)
_MOMENT = sa.DateTime(timezone=True)
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "intents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("key_hash", sa.Text()),
        sa.Column("audio_url", sa.Text(), nullable=False),
        sa.Column("requested", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("transcript_id", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_intents"),
    )
    op.create_index(
        "ix_intents_open",
        "intents",
        ["region", "created_at"],
        sqlite_where=sa.text("outcome = 'open'"),
        postgresql_where=sa.text("outcome = 'open'"),
    )

    op.create_table(
        "teams",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("regions", _JSON, nullable=False),
        sa.Column("models", _JSON, nullable=False),
        sa.Column("max_micros", sa.BigInteger()),
        sa.Column("budget_duration", sa.Text()),
        sa.Column("spent_micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("budget_resets_at", _MOMENT),
        sa.Column("lifetime_micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("metadata", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
        sa.UniqueConstraint("alias", name="uq_teams_alias"),
    )
    op.create_table(
        "transcripts",
        sa.Column("seq", _SEQUENCE, nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("key_hash", sa.Text()),
        sa.Column("intent_id", sa.Text()),
        sa.Column("audio_url", sa.Text(), nullable=False),
        sa.Column("requested", _JSON, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("throttled", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("completed_at", _MOMENT),
        sa.Column("settled_at", _MOMENT),
        sa.Column("deleted_at", _MOMENT),
        sa.Column("next_check_at", _MOMENT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_transcripts"),
        sa.UniqueConstraint("region", "id", name="uq_transcripts_region_id"),
    )
    op.create_index("ix_transcripts_region_created_at_seq", "transcripts", ["region", "created_at", "seq"])
    op.create_index(
        "ix_transcripts_region_owner_created_at_seq", "transcripts", ["region", "owner", "created_at", "seq"]
    )
    op.create_index(
        "ix_transcripts_region_owner_status_created_at_seq",
        "transcripts",
        ["region", "owner", "status", "created_at", "seq"],
    )
    op.create_index(
        "ix_transcripts_unsettled",
        "transcripts",
        ["next_check_at"],
        sqlite_where=sa.text("settled_at IS NULL"),
        postgresql_where=sa.text("settled_at IS NULL"),
    )

    op.create_table(
        "uploads",
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("url_hash", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("key_hash", sa.Text()),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("region", "url_hash", name="pk_uploads"),
    )
    op.create_table(
        "usage",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("key_hash", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("priced_as", sa.Text()),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("items", _JSON, nullable=False),
        sa.Column("audio_seconds", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("tags", _JSON, nullable=False),
        sa.Column("end_user", sa.Text()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_usage"),
        sa.UniqueConstraint("service", "region", "source_id", name="uq_usage_service_region_source_id"),
    )
    op.create_index("ix_usage_created_at_id", "usage", ["created_at", "id"])
    op.create_index("ix_usage_key_hash_created_at_id", "usage", ["key_hash", "created_at", "id"])
    op.create_index("ix_usage_team_id_created_at_id", "usage", ["team_id", "created_at", "id"])

    op.create_table(
        "virtual_keys",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("masked", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text()),
        sa.Column("team_id", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("regions", _JSON),
        sa.Column("models", _JSON, nullable=False),
        sa.Column("max_micros", sa.BigInteger()),
        sa.Column("budget_duration", sa.Text()),
        sa.Column("spent_micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("budget_resets_at", _MOMENT),
        sa.Column("lifetime_micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("blocked", sa.Boolean(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("metadata", _JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name="fk_virtual_keys_team_id_teams", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name="pk_virtual_keys"),
        sa.UniqueConstraint("alias", name="uq_virtual_keys_alias"),
    )
    op.create_index("ix_virtual_keys_team_id", "virtual_keys", ["team_id"])

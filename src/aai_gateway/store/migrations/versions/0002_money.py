"""Holds, soft and gateway budgets, tags, lengths of uploads, stored price books and notices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)
_MOMENT = sa.DateTime(timezone=True)
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _attribution() -> list[sa.Column[object]]:
    return [
        sa.Column("tags", _JSON, nullable=False, server_default="[]"),
        sa.Column("end_user", sa.Text()),
    ]


def _budget_additions() -> list[sa.Column[object]]:
    return [
        sa.Column("soft_micros", sa.BigInteger()),
        sa.Column("held_micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("warned", sa.Boolean(), server_default=sa.false(), nullable=False),
    ]


def upgrade() -> None:
    """Add to the tables that are there, then make the new ones."""
    for table in ("teams", "virtual_keys"):
        for column in _budget_additions():
            op.add_column(table, column)
    for table in ("intents", "transcripts"):
        for column in _attribution():
            op.add_column(table, column)
    op.add_column("uploads", sa.Column("duration_ms", sa.BigInteger()))
    op.add_column("uploads", sa.Column("channels", sa.Integer()))
    op.add_column("usage", sa.Column("global_region", sa.Boolean()))
    op.add_column("usage", sa.Column("priced_at", _MOMENT))
    op.execute(
        "UPDATE usage SET priced_at = COALESCE((SELECT created_at FROM transcripts WHERE "
        "transcripts.region = usage.region AND transcripts.id = usage.source_id), created_at)"
    )
    op.create_index(
        "ix_usage_team_id_service_region_micros", "usage", ["team_id", "service", "region", "micros"]
    )
    for name, columns, where in (
        ("ix_usage_flagged", ["service", "model", "micros"], sa.text("priced_as IS NOT NULL")),
        ("ix_usage_unknown", ["created_at"], sa.text("status = 'unknown'")),
    ):
        op.create_index(name, "usage", columns, sqlite_where=where, postgresql_where=where)

    # Each region is settled on its own.
    op.drop_index("ix_transcripts_unsettled", "transcripts")
    unsettled = sa.text("settled_at IS NULL")
    op.create_index(
        "ix_transcripts_unsettled",
        "transcripts",
        ["region", "next_check_at"],
        sqlite_where=unsettled,
        postgresql_where=unsettled,
    )

    gateway_budget = op.create_table(
        "gateway_budget",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("max_micros", sa.BigInteger()),
        sa.Column("budget_duration", sa.Text()),
        sa.Column("spent_micros", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("budget_resets_at", _MOMENT),
        sa.Column("lifetime_micros", sa.BigInteger(), server_default="0", nullable=False),
        *_budget_additions(),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_budget"),
    )
    # What was ever spent is known from the ledger; the period begins with the first limit.
    op.bulk_insert(gateway_budget, [{"id": "gateway"}])
    op.execute(
        "UPDATE gateway_budget SET lifetime_micros = (SELECT COALESCE(SUM(micros), 0) FROM usage), "
        "spent_micros = (SELECT COALESCE(SUM(micros), 0) FROM usage)"
    )

    op.create_table(
        "usage_tags",
        sa.Column("usage_id", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["usage_id"], ["usage.id"], name="fk_usage_tags_usage_id_usage", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("usage_id", "tag", name="pk_usage_tags"),
    )
    op.create_index("ix_usage_tags_tag", "usage_tags", ["tag"])

    op.create_table(
        "holds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("key_hash", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("micros", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        *_attribution(),
        sa.PrimaryKeyConstraint("id", name="pk_holds"),
    )
    op.create_index("ix_holds_expires_at", "holds", ["expires_at"])

    op.create_table(
        "price_books",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_price_books"),
    )

    op.create_table(
        "notices",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("delivered_at", _MOMENT),
        sa.Column("next_attempt_at", _MOMENT),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )
    op.create_index("ix_notices_next_attempt_at", "notices", ["next_attempt_at"])

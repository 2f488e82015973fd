"""Sums over the ledger, reconciliations, who is signed in to the dashboard, and traffic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PLACE = ("team_id", "part", "period", "service", "region", "model", "name")
_SUMS = (
    *("micros", "jobs", "failed", "flagged", "flagged_micros", "unknown"),
    *("audio_seconds", "prompt_tokens", "completion_tokens", "quantity"),
)


def upgrade() -> None:
    """Make the tables, and sum up the rows that are there."""
    _sums()
    _latest_transcripts()
    _reconciliations()
    _sessions()
    _traffic()


def _sums() -> None:
    op.create_table(
        "usage_sums",
        *(sa.Column(name, sa.Text(), nullable=False) for name in _PLACE),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint(*_PLACE, name="pk_usage_sums"),
        sqlite_with_rowid=False,
    )
    _fill_sums()
    op.create_index("ix_usage_sums_period_part", "usage_sums", ["period", "part"])
    is_models_month = sa.text("part = 'model' AND length(period) = 7")
    op.create_index(
        "ix_usage_sums_models_months",
        "usage_sums",
        [
            *("team_id", "service", "region"),
            *("micros", "audio_seconds", "prompt_tokens", "completion_tokens"),
        ],
        sqlite_where=is_models_month,
        postgresql_where=is_models_month,
    )
    is_total = sa.text("part = 'total'")
    op.create_index(
        "ix_usage_sums_totals",
        "usage_sums",
        ["period", "team_id", *_SUMS],
        sqlite_where=is_total,
        postgresql_where=is_total,
    )
    op.drop_index("ix_usage_team_id_service_region_micros", "usage")
    for column in ("team_id", "key_hash"):
        columns = [column, "service", "created_at", "id"]
        op.create_index(f"ix_usage_{'_'.join(columns)}", "usage", columns)


def _fill_sums() -> None:
    """The days under their teams, part by part; then all teams together; then the months."""
    whole = (
        "SUM(micros), COUNT(*), SUM(CASE WHEN status = 'error' THEN 1 ELSE 0 END), "
        "SUM(CASE WHEN priced_as IS NOT NULL THEN 1 ELSE 0 END), "
        "SUM(CASE WHEN priced_as IS NOT NULL THEN micros ELSE 0 END), "
        "SUM(CASE WHEN status = 'unknown' THEN 1 ELSE 0 END), "
        "SUM(audio_seconds), SUM(prompt_tokens), SUM(completion_tokens), 0"
    )
    if op.get_bind().dialect.name == "sqlite":
        lines = "usage, json_each(usage.items) AS line"
        name, micros, quantity = (
            f"json_extract(line.value, '$.{member}')" for member in ("name", "micros", "quantity")
        )
    else:
        lines = "usage, json_array_elements(usage.items) AS line"
        name, micros, quantity = (f"(line ->> '{member}')" for member in ("name", "micros", "quantity"))
    micros, quantity = (f"COALESCE(SUM(CAST({one} AS BIGINT)), 0)" for one in (micros, quantity))
    item = f"{micros}, COUNT(*), 0, 0, 0, 0, 0, 0, 0, {quantity}"
    kind = "service, region, COALESCE(model, '')"
    tagged = "usage JOIN usage_tags ON usage_tags.usage_id = usage.id"
    for part, names, sums, table in (
        ("total", "'', '', '', ''", whole, "usage"),
        ("model", f"{kind}, ''", whole, "usage"),
        ("item", f"{kind}, {name}", item, lines),
        ("key", "'', '', '', COALESCE(key_hash, '')", whole, "usage"),
        ("tag", "'', '', '', tag", whole, tagged),
    ):
        op.execute(
            f"INSERT INTO usage_sums SELECT COALESCE(team_id, ''), '{part}', day, {names}, {sums} "  # noqa: S608 - ours
            f"FROM {table} GROUP BY 1, 3, 4, 5, 6, 7"
        )
    sums = ", ".join(f"SUM({name})" for name in _SUMS)
    for team, period in (("'*'", "period"), ("team_id", "SUBSTR(period, 1, 7)")):
        op.execute(
            f"INSERT INTO usage_sums SELECT {team}, part, {period}, service, region, model, name, {sums} "  # noqa: S608 - ours
            "FROM usage_sums GROUP BY 1, 2, 3, 4, 5, 6, 7"
        )


def _latest_transcripts() -> None:
    place = ("created_at", "seq")
    whose = ("owner", "key_hash")
    for name, columns, where in (
        ("unsettled_latest", ("region", *place, *whose, "status", "settled_at"), "settled_at IS NULL"),
        ("failed", ("region", *place), "status = 'error'"),
        ("deleted", ("region", *place), "deleted_at IS NOT NULL"),
        ("deleted_of_owner", ("region", "owner", *place, "key_hash"), "deleted_at IS NOT NULL"),
    ):
        condition = sa.text(where)
        op.create_index(
            f"ix_transcripts_{name}",
            "transcripts",
            [*columns],
            sqlite_where=condition,
            postgresql_where=condition,
        )


def _reconciliations() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("until", _MOMENT, nullable=False),
        sa.Column("quick", sa.Boolean(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("compared", "findings", "difference_micros", "without_a_sum", "fixed")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reconciliations"),
    )
    op.create_index("ix_reconciliations_region_id", "reconciliations", ["region", "id"])


def _sessions() -> None:
    op.create_table(
        "dashboard_sessions",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text()),
        sa.Column("master_hash", sa.Text()),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_dashboard_sessions"),
        sa.ForeignKeyConstraint(
            ["secret_hash"],
            ["key_secrets.hash"],
            name="fk_dashboard_sessions_secret_hash_key_secrets",
            ondelete="CASCADE",
        ),
    )
    for column in ("secret_hash", "expires_at"):
        op.create_index(f"ix_dashboard_sessions_{column}", "dashboard_sessions", [column])
    op.create_table(
        "dashboard_forms",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("used_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_dashboard_forms"),
    )
    op.create_index("ix_dashboard_forms_used_at", "dashboard_forms", ["used_at"])


def _traffic() -> None:
    counts = ("requests", "bytes_in", "bytes_out", "added_count", "added_microseconds")
    op.create_table(
        "traffic",
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in counts),
        *(sa.Column(f"bucket_{number}", sa.BigInteger(), nullable=False) for number in range(16)),
        sa.PrimaryKeyConstraint("period", "operation", "region", "status", name="pk_traffic"),
    )
    op.create_table(
        "upstream_traffic",
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("period", "host", "outcome", name="pk_upstream_traffic"),
    )

"""For lists and sums over many meters: summaries of gateways' states, months kept together; the permission ``mail``."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_COLUMNS = "tenant_id, month, meter_id, days, read_at, first_at, first_total, last_at, last_total"


def upgrade() -> None:
    op.add_column("gateway_live", sa.Column("summary", sa.LargeBinary(), nullable=True))
    op.drop_index("ix_meter_month_month", "meter_month")
    if op.get_bind().dialect.name == "sqlite":  # its key is how the table lies, so it is written anew
        _months_of_sqlite()
    else:
        op.drop_constraint("pk_meter_month", "meter_month", type_="primary")
        op.create_primary_key("pk_meter_month", "meter_month", ["tenant_id", "month", "meter_id"])
    op.create_index("ix_meter_month_meter", "meter_month", ["meter_id", "month"])
    # whoever edited a role decides himself
    op.execute(
        "UPDATE role SET permissions = permissions || ' mail' WHERE builtin AND (key = 'administrator' "
        "OR (key = 'operator' AND permissions = 'read registry command alarms') "
        "OR (key = 'billing' AND permissions = 'read billing'))"
    )


def _months_of_sqlite() -> None:
    op.rename_table("meter_month", "meter_month_before")
    op.create_table(
        "meter_month",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.BigInteger(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=True),
        sa.Column("first_total", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("last_total", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "month", "meter_id", name="pk_meter_month"),
        sqlite_with_rowid=False,
    )
    op.execute(
        f"INSERT INTO meter_month ({_COLUMNS}) SELECT {_COLUMNS} FROM meter_month_before "  # noqa: S608 - our own words
        "ORDER BY tenant_id, month, meter_id"
    )
    op.drop_table("meter_month_before")

"""Days of a profile under one integer, what they have in common in a table of series: two thirds of the octets."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_KIND = "tenant_id, meter_id, channel, step, num, den"


def upgrade() -> None:
    op.create_table(
        "profile_series",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("num", sa.BigInteger(), nullable=False),
        sa.Column("den", sa.BigInteger(), nullable=False),
        sa.Column("shift", sa.Integer(), nullable=False),
        sa.UniqueConstraint(
            "tenant_id", "meter_id", "channel", "step", "num", "den", "shift", name="uq_profile_series"
        ),
    )
    op.create_index("ix_profile_series_meter_id", "profile_series", ["meter_id"], unique=False)
    op.execute(
        f"INSERT INTO profile_series ({_KIND}, shift) "  # noqa: S608
        f"SELECT DISTINCT {_KIND}, start - day * 86400 FROM profile_day ORDER BY {_KIND}"
    )
    op.rename_table("profile_day", "profile_day_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_profile_day RENAME TO pk_profile_day_before")
    op.create_table(
        "profile_day",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_profile_day"),
    )
    op.execute(
        "INSERT INTO profile_day (id, held, flags, total, version, data) "
        "SELECT s.id * 65536 + d.day, d.held, d.flags, d.total, d.version, d.data FROM profile_day_before AS d "
        "JOIN profile_series AS s ON s.tenant_id = d.tenant_id AND s.meter_id = d.meter_id AND s.channel = d.channel "
        "AND s.step = d.step AND s.num = d.num AND s.den = d.den AND s.shift = d.start - d.day * 86400 "
        "ORDER BY s.id, d.day"
    )
    op.drop_table("profile_day_before")

"""Days of a profile under one integer, what they have in common in a table of series: two thirds of the octets."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_KIND = "tenant_id, meter_id, channel, step, num, den"
_SHIFT = "start - CAST(day AS bigint) * 86400"
_OF_METER = "FROM profile_day_before WHERE tenant_id = :tenant_id AND meter_id = :meter_id"

#: Meter by meter, so that no statement takes longer than a server lets one, however many there are.
_NEXT_METER = sa.text(
    "SELECT tenant_id, meter_id FROM profile_day_before "
    "WHERE (tenant_id, meter_id) > (:tenant_id, :meter_id) ORDER BY tenant_id, meter_id LIMIT 1"
)
_ENTER_SERIES = sa.text(
    f"INSERT INTO profile_series ({_KIND}, shift) SELECT DISTINCT {_KIND}, {_SHIFT} "
    f"{_OF_METER} AND day BETWEEN 0 AND 65535 ORDER BY {_KIND}, {_SHIFT}"
)
_MOVE_DAYS = sa.text(
    "INSERT INTO profile_day (id, held, flags, total, version, data) "  # noqa: S608
    "SELECT s.id * 65536 + d.day, d.held, d.flags, d.total, d.version, d.data "
    f"FROM (SELECT *, {_SHIFT} AS shift {_OF_METER} AND day BETWEEN 0 AND 65535) AS d "
    f"JOIN profile_series AS s USING ({_KIND}, shift) ORDER BY s.id, d.day"
)
#: Days of meters whose clock was years off: no key holds them any more, and ingest would refuse them today.
_MOVE_UNKEYED = sa.text(
    "INSERT INTO rejected (at, topic, reason, payload) SELECT :now, 'profile_day', "  # noqa: S608
    "'day ' || day || ' is outside 1970-01-01 to 2149-06-06: tenant ' || tenant_id || ', meter ' || meter_id || "
    "', channel ' || channel || ', ' || step || ' s, from ' || start || ', scale ' || num || '/' || den, data "
    f"{_OF_METER} AND NOT day BETWEEN 0 AND 65535"
)


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
    connection, now = op.get_bind(), int(time.time())
    meter = {"tenant_id": -1, "meter_id": -1}
    while row := connection.execute(_NEXT_METER, meter).mappings().first():
        meter = dict(row)
        connection.execute(_ENTER_SERIES, meter)
        connection.execute(_MOVE_DAYS, meter)
        connection.execute(_MOVE_UNKEYED, meter | {"now": now})
    op.drop_table("profile_day_before")

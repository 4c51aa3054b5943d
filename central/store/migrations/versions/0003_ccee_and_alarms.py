"""What the CCEE did at meters, and alarms: connections, captures, expectations; alarms, subscriptions, messages."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "ccee_connection",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", BIG_ID, nullable=False),
        sa.Column("gateway_id", BIG_ID, nullable=False),
        sa.Column("forward", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=32), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("listen", sa.Text(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("first_byte_ms", sa.BigInteger(), nullable=True),
        sa.Column("longest_silence_ms", sa.BigInteger(), nullable=False),
        sa.Column("close_reason", sa.String(length=32), nullable=False),
        sa.Column("protocol", sa.String(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("codes", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("serial", sa.Text(), nullable=False),
        sa.Column("clock_offset_ms", sa.BigInteger(), nullable=True),
        sa.Column("range_start", sa.BigInteger(), nullable=True),
        sa.Column("range_end", sa.BigInteger(), nullable=True),
        sa.Column("delivered_end", sa.BigInteger(), nullable=True),
        sa.Column("more", sa.BigInteger(), nullable=False),
        sa.Column("exchanges", sa.LargeBinary(), nullable=False),
        sa.Column("constants", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_ccee_connection_gateway_id"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_ccee_connection_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ccee_connection"),
        sa.UniqueConstraint("tenant_id", "meter_id", "forward", "started_ms", name="uq_ccee_connection"),
    )
    op.create_index("ix_ccee_connection_started", "ccee_connection", ["tenant_id", "started_ms"], unique=False)
    op.create_index("ix_ccee_connection_meter", "ccee_connection", ["meter_id", "started_ms"], unique=False)
    op.create_index("ix_ccee_connection_gateway_id", "ccee_connection", ["gateway_id"], unique=False)
    op.create_table(
        "ccee_capture",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "meter_id", "started_ms", "part", name="pk_ccee_capture"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ccee_capture_started_ms", "ccee_capture", ["started_ms"], unique=False)
    op.create_table(
        "ccee_meter",
        sa.Column("meter_id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Boolean(), nullable=True),
        sa.Column("said_by", sa.String(length=200), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=True),
        sa.Column("forward_since", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_ccee_meter_meter_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("meter_id", name="pk_ccee_meter"),
    )
    op.create_index("ix_ccee_meter_tenant_id", "ccee_meter", ["tenant_id"], unique=False)
    op.create_table(
        "alarm",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("meter_id", BIG_ID, nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=True),
        sa.Column("severity", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_alarm_meter_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_alarm_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alarm"),
        sa.UniqueConstraint("tenant_id", "source", "code", "meter_id", "key", name="uq_alarm"),
    )
    op.create_index("ix_alarm_meter_id", "alarm", ["meter_id"], unique=False)
    op.create_index("ix_alarm_opened_at", "alarm", ["tenant_id", "opened_at"], unique=False)
    op.create_index("ix_alarm_state", "alarm", ["tenant_id", "state", "severity"], unique=False)
    op.create_table(
        "alarm_subscription",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("target", sa.String(length=500), nullable=False),
        sa.Column("least", sa.SmallInteger(), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_alarm_subscription_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alarm_subscription"),
        sa.UniqueConstraint("tenant_id", "kind", "target", name="uq_alarm_subscription_tenant_id_kind_target"),
    )
    op.create_table(
        "alarm_notice",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("alarm_id", BIG_ID, nullable=False),
        sa.Column("subscription_id", BIG_ID, nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarm.id"], name="fk_alarm_notice_alarm_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["alarm_subscription.id"],
            name="fk_alarm_notice_subscription_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_alarm_notice"),
        sa.UniqueConstraint(
            "alarm_id", "subscription_id", "what", name="uq_alarm_notice_alarm_id_subscription_id_what"
        ),
    )
    op.create_index("ix_alarm_notice_due", "alarm_notice", ["state", "next_at"], unique=False)
    op.create_index("ix_alarm_notice_subscription_id", "alarm_notice", ["subscription_id"], unique=False)

"""Everything: accounts, registry, metering, fleet, ingest."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "gateway_health",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("gateway_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("spool_rows", sa.BigInteger(), nullable=False),
        sa.Column("rss_bytes", sa.BigInteger(), nullable=False),
        sa.Column("clock_offset_ms", sa.Float(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "gateway_id", "at", name="pk_gateway_health"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_gateway_health_at", "gateway_health", ["at"], unique=False)
    op.create_table(
        "module_health",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("module_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("temperature", sa.Float(), nullable=True),
        sa.Column("signal_dbm", sa.Float(), nullable=True),
        sa.Column("signal_percent", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "module_id", "at", name="pk_module_health"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_module_health_at", "module_health", ["at"], unique=False)
    op.create_table(
        "profile_day",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("num", sa.BigInteger(), nullable=False),
        sa.Column("den", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.Integer(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "meter_id", "channel", "day", "step", name="pk_profile_day"),
        postgresql_with={"fillfactor": 80},
        sqlite_with_rowid=False,
    )
    op.create_table(
        "profile_version",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("num", sa.BigInteger(), nullable=False),
        sa.Column("den", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("replaced_at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant_id", "meter_id", "channel", "day", "step", "version", name="pk_profile_version"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rejected",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("spool_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rejected"),
    )
    op.create_index("ix_rejected_at", "rejected", ["at"], unique=False)
    op.create_table(
        "snapshot",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "meter_id", "at", name="pk_snapshot"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_snapshot_at", "snapshot", ["at"], unique=False)
    op.create_table(
        "tenant",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenant"),
        sa.UniqueConstraint("key", name="uq_tenant_key"),
    )
    op.create_table(
        "customer_group",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("parent_id", BIG_ID, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["customer_group.id"], name="fk_customer_group_parent_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_customer_group_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_customer_group"),
    )
    op.create_index("ix_customer_group_parent_id", "customer_group", ["parent_id"], unique=False)
    op.create_table(
        "gateway",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_gateway_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_gateway"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_gateway_tenant_id_key"),
    )
    op.create_table(
        "lot",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("reading_day", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_lot_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_lot"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_lot_tenant_id_key"),
    )
    op.create_table(
        "meter_model",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("maker", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("protocol", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_meter_model_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meter_model"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_meter_model_tenant_id_key"),
    )
    op.create_table(
        "user_account",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("login", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_user_account_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("login", name="uq_user_account_login"),
    )
    op.create_table(
        "api_key",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("can_write", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_api_key_tenant_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_api_key_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("prefix", name="uq_api_key_prefix"),
    )
    op.create_table(
        "communication_module",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("gateway_id", BIG_ID, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_communication_module_gateway_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_communication_module_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_communication_module"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_communication_module_tenant_id_key"),
    )
    op.create_table(
        "customer",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("external_key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("group_id", BIG_ID, nullable=True),
        sa.Column("lot_id", BIG_ID, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["customer_group.id"], name="fk_customer_group_id"),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_customer_lot_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_customer_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_customer"),
        sa.UniqueConstraint("tenant_id", "external_key", name="uq_customer_tenant_id_external_key"),
    )
    op.create_index("ix_customer_group_id", "customer", ["group_id"], unique=False)
    op.create_index("ix_customer_lot_id", "customer", ["lot_id"], unique=False)
    op.create_table(
        "gateway_live",
        sa.Column("gateway_id", BIG_ID, nullable=False),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("contact_at", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.LargeBinary(), nullable=True),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_gateway_live_gateway_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("gateway_id", name="pk_gateway_live"),
    )
    op.create_table(
        "login_session",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_login_session_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_login_session"),
    )
    op.create_index("ix_login_session_user_id", "login_session", ["user_id"], unique=False)
    op.create_table(
        "meter",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("model_id", BIG_ID, nullable=True),
        sa.Column("gateway_id", BIG_ID, nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("multiplier_num", sa.BigInteger(), nullable=False),
        sa.Column("multiplier_den", sa.BigInteger(), nullable=False),
        sa.Column("monitored", sa.Boolean(), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("registered", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_meter_gateway_id"),
        sa.ForeignKeyConstraint(["model_id"], ["meter_model.id"], name="fk_meter_model_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_meter_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meter"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_meter_tenant_id_key"),
    )
    op.create_index("ix_meter_gateway_id", "meter", ["gateway_id"], unique=False)
    op.create_index("ix_meter_serial", "meter", ["tenant_id", "serial"], unique=False)
    op.create_table(
        "stream",
        sa.Column("spool_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("gateway_id", BIG_ID, nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_stream_gateway_id"),
        sa.PrimaryKeyConstraint("spool_id", name="pk_stream"),
    )
    op.create_index("ix_stream_gateway_id", "stream", ["gateway_id"], unique=False)
    op.create_table(
        "fleet_command",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("gateway_id", BIG_ID, nullable=False),
        sa.Column("meter_id", BIG_ID, nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("action", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_fleet_command_gateway_id"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_fleet_command_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_fleet_command"),
    )
    op.create_index("ix_fleet_command_gateway", "fleet_command", ["gateway_id", "issued_at"], unique=False)
    op.create_index("ix_fleet_command_meter_id", "fleet_command", ["meter_id"], unique=False)
    op.create_index("ix_fleet_command_open", "fleet_command", ["status", "expires_at"], unique=False)
    op.create_table(
        "meter_event",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", BIG_ID, nullable=True),
        sa.Column("gateway_id", BIG_ID, nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_meter_event_gateway_id"),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_meter_event_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_meter_event"),
        sa.UniqueConstraint(
            "tenant_id", "meter_id", "at", "kind", "digest", name="uq_meter_event_tenant_id_meter_id_at_kind_digest"
        ),
    )
    op.create_index("ix_meter_event_at", "meter_event", ["tenant_id", "at"], unique=False)
    op.create_index("ix_meter_event_gateway_id", "meter_event", ["gateway_id"], unique=False)
    op.create_table(
        "metering_point",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_metering_point_customer_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_metering_point_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_metering_point"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_metering_point_tenant_id_key"),
    )
    op.create_index("ix_metering_point_customer_id", "metering_point", ["customer_id"], unique=False)
    op.create_table(
        "register_set",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", BIG_ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.SmallInteger(), nullable=False),
        sa.Column("resets", sa.Integer(), nullable=True),
        sa.Column("reset_at", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_register_set_meter_id"),
        sa.PrimaryKeyConstraint("id", name="pk_register_set"),
        sa.UniqueConstraint(
            "tenant_id",
            "meter_id",
            "at",
            "period",
            "digest",
            name="uq_register_set_tenant_id_meter_id_at_period_digest",
        ),
    )
    op.create_table(
        "stream_part",
        sa.Column("spool_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["spool_id"], ["stream.spool_id"], name="fk_stream_part_spool_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("spool_id", "first", name="pk_stream_part"),
    )
    op.create_table(
        "installation",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", BIG_ID, nullable=False),
        sa.Column("point_id", BIG_ID, nullable=True),
        sa.Column("module_id", BIG_ID, nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["meter_id"], ["meter.id"], name="fk_installation_meter_id"),
        sa.ForeignKeyConstraint(["module_id"], ["communication_module.id"], name="fk_installation_module_id"),
        sa.ForeignKeyConstraint(["point_id"], ["metering_point.id"], name="fk_installation_point_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_installation_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_index("ix_installation_meter", "installation", ["meter_id", "starts_at"], unique=False)
    op.create_index("ix_installation_point", "installation", ["point_id", "starts_at"], unique=False)

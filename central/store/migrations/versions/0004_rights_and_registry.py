"""Rights by role and scope, the registry's further lists and histories, figures of months, words to search by, the
audit log, reports, webhooks. Whoever was an administrator has that role now, everybody else is an operator.
"""

import time
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: The roles of this version, as they were made here.
_ROLES: Final = {
    "administrator": "read registry billing command control alarms settings accounts audit",
    "operator": "read registry command alarms",
    "billing": "read billing",
    "field": "read command alarms",
    "viewer": "read",
}
#: Rows read and written at a time.
_CHUNK: Final = 5000


def upgrade() -> None:
    """Tables and columns first, then what follows from the rows that are there."""
    _tables()
    _columns()
    connection = op.get_bind()
    _roles(connection)
    _supplies(connection, int(time.time()))
    _months(connection)
    _words(connection)


def _tables() -> None:
    op.create_table(
        "meter_month",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("meter_id", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=True),
        sa.Column("first_total", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=True),
        sa.Column("last_total", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "meter_id", "month", name="pk_meter_month"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_meter_month_month", "meter_month", ["tenant_id", "month"])
    op.create_table(
        "search_word",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column(
            "word", sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "word", "kind", "object_id", name="pk_search_word"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_search_word_object", "search_word", ["kind", "object_id"])
    op.create_table(
        "activity",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_activity_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_activity"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_activity_tenant_id_key"),
    )
    op.create_table(
        "activity_class",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_activity_class_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_activity_class"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_activity_class_tenant_id_key"),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_audit_entry_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
    )
    op.create_index("ix_audit_entry_at", "audit_entry", ["tenant_id", "at"])
    op.create_index("ix_audit_entry_object", "audit_entry", ["tenant_id", "kind", "object_id"])
    op.create_table(
        "commercial_activity",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_commercial_activity_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_commercial_activity"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_commercial_activity_tenant_id_key"),
    )
    op.create_table(
        "daylight_saving",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("periods", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_daylight_saving_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_daylight_saving"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_daylight_saving_tenant_id_key"),
    )
    op.create_table(
        "holiday",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("month", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.SmallInteger(), nullable=False),
        sa.Column("year", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_holiday_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_holiday"),
    )
    op.create_table(
        "holiday_group",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_holiday_group_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_holiday_group"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_holiday_group_tenant_id_key"),
    )
    op.create_table(
        "installation_status",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_installation_status_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_installation_status"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_installation_status_tenant_id_key"),
    )
    op.create_table(
        "opening_hours",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("hours", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_opening_hours_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_opening_hours"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_opening_hours_tenant_id_key"),
    )
    op.create_table(
        "role",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("permissions", sa.Text(), nullable=False),
        sa.Column("builtin", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_role_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_role"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_role_tenant_id_key"),
    )
    op.create_table(
        "tariff",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_tariff_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tariff"),
        sa.UniqueConstraint("tenant_id", "key", name="uq_tariff_tenant_id_key"),
    )
    op.create_table(
        "webhook",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("kinds", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_webhook_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook"),
    )
    op.create_table(
        "holiday_member",
        sa.Column("group_id", BIG_ID, nullable=False),
        sa.Column("holiday_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["holiday_group.id"], name="fk_holiday_member_group_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["holiday_id"], ["holiday.id"], name="fk_holiday_member_holiday_id"),
        sa.PrimaryKeyConstraint("group_id", "holiday_id", name="pk_holiday_member"),
    )
    op.create_index("ix_holiday_member_holiday_id", "holiday_member", ["holiday_id"])
    op.create_table(
        "idempotency_key",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name="fk_idempotency_key_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"])
    op.create_table(
        "lot_date",
        sa.Column("lot_id", BIG_ID, nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("due_on", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name="fk_lot_date_lot_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("lot_id", "month", name="pk_lot_date"),
    )
    op.create_table(
        "preference",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_preference_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "name", name="pk_preference"),
    )
    op.create_table(
        "report_schedule",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("report", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("cadence", sa.String(length=16), nullable=False),
        sa.Column("day", sa.SmallInteger(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_report_schedule_tenant_id"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name="fk_report_schedule_user_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_report_schedule"),
    )
    op.create_index("ix_report_schedule_due", "report_schedule", ["enabled", "next_at"])
    op.create_index("ix_report_schedule_user_id", "report_schedule", ["user_id"])
    op.create_table(
        "role_grant",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("role_id", BIG_ID, nullable=False),
        sa.Column("group_id", BIG_ID, nullable=True),
        sa.Column("gateway_id", BIG_ID, nullable=True),
        sa.ForeignKeyConstraint(["gateway_id"], ["gateway.id"], name="fk_role_grant_gateway_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["customer_group.id"], name="fk_role_grant_group_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name="fk_role_grant_role_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_role_grant_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_role_grant"),
    )
    op.create_index("ix_role_grant_gateway_id", "role_grant", ["gateway_id"])
    op.create_index("ix_role_grant_group_id", "role_grant", ["group_id"])
    op.create_index("ix_role_grant_role_id", "role_grant", ["role_id"])
    op.create_index("ix_role_grant_user_id", "role_grant", ["user_id"])
    op.create_table(
        "saved_view",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("report", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_saved_view_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_saved_view"),
        sa.UniqueConstraint("user_id", "report", "name", name="uq_saved_view_user_id_report_name"),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("webhook_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["webhook.id"], name="fk_webhook_delivery_webhook_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_delivery"),
    )
    op.create_index("ix_webhook_delivery_due", "webhook_delivery", ["state", "next_at"])
    op.create_index("ix_webhook_delivery_webhook", "webhook_delivery", ["webhook_id", "id"])
    op.create_table(
        "report_job",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("schedule_id", BIG_ID, nullable=True),
        sa.Column("report", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("file", sa.String(length=200), nullable=False),
        sa.Column("size", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("beat_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("mailed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["report_schedule.id"], name="fk_report_job_schedule_id", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_report_job_tenant_id"),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name="fk_report_job_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_report_job"),
    )
    op.create_index("ix_report_job_schedule_id", "report_job", ["schedule_id"])
    op.create_index("ix_report_job_state", "report_job", ["state", "id"])
    op.create_index("ix_report_job_user", "report_job", ["user_id", "created_at"])
    op.create_table(
        "supply",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("point_id", BIG_ID, nullable=False),
        sa.Column("customer_id", BIG_ID, nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"], name="fk_supply_customer_id"),
        sa.ForeignKeyConstraint(["point_id"], ["metering_point.id"], name="fk_supply_point_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_supply_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_supply"),
    )
    op.create_index("ix_supply_customer", "supply", ["customer_id", "starts_at"])
    op.create_index("ix_supply_point", "supply", ["point_id", "starts_at"])


def _columns() -> None:
    text: Any = {"nullable": False, "server_default": ""}
    op.add_column("communication_module", sa.Column("serial", sa.String(64), **text))
    op.add_column("communication_module", sa.Column("model", sa.String(200), **text))
    op.add_column("communication_module", sa.Column("address", sa.String(200), **text))
    op.create_index("ix_communication_module_gateway_id", "communication_module", ["gateway_id"])
    for name, length in (("contract", 64), ("document", 64), ("email", 200), ("phone", 64)):
        op.add_column("customer", sa.Column(name, sa.String(length), **text))
    for name in ("activity", "commercial_activity", "activity_class", "opening_hours"):
        _reference("customer", name)
    op.create_index("ix_customer_group_name", "customer", ["group_id", "name", "id"])
    _reference("metering_point", "installation_status", "status_id")
    op.add_column("meter", sa.Column("can_cut", sa.Boolean(), nullable=False, server_default=sa.false()))
    for name in ("daylight_saving", "holiday_group", "tariff"):
        _reference("meter", name)
    for table in ("metering_point", "meter"):
        op.add_column(table, sa.Column("starts_on", sa.Integer(), nullable=True))
        op.add_column(table, sa.Column("ends_on", sa.Integer(), nullable=True))
    op.add_column("user_account", sa.Column("email", sa.String(200), **text))
    op.add_column("user_account", sa.Column("totp_secret", sa.String(64), **text))
    op.add_column("user_account", sa.Column("totp_step", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("user_account", sa.Column("recovery", sa.Text(), **text))
    op.add_column("user_account", sa.Column("subject", sa.String(300), nullable=True))
    op.add_column("api_key", sa.Column("permissions", sa.Text(), **text))


def _reference(table: str, target: str, column: str = "") -> None:
    """Add a column that refers to ``target``; SQLite takes the reference only together with the column."""
    column = column or f"{target}_id"
    name = f"fk_{table}_{column}"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER CONSTRAINT {name} REFERENCES {target} (id)")
        return
    op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=True))
    op.create_foreign_key(name, table, target, [column], ["id"])


def _roles(connection: sa.Connection) -> None:
    connection.execute(
        sa.text(
            "INSERT INTO role (tenant_id, key, name, permissions, builtin) SELECT id, :key, '', :permissions, :yes "
            "FROM tenant"
        ),
        [{"key": key, "permissions": permissions, "yes": True} for key, permissions in _ROLES.items()],
    )
    connection.execute(
        sa.text(
            "INSERT INTO role_grant (user_id, role_id) SELECT u.id, r.id FROM user_account AS u JOIN role AS r "
            "ON r.tenant_id = u.tenant_id AND r.key = CASE WHEN u.is_admin THEN 'administrator' ELSE 'operator' END"
        )
    )
    connection.execute(sa.text("UPDATE api_key SET permissions = CASE WHEN can_write THEN '' ELSE 'read' END"))
    op.drop_column("user_account", "is_admin")
    op.drop_column("api_key", "can_write")


def _supplies(connection: sa.Connection, now: int) -> None:
    """A point's customer has been there since its first installation began, as far as anybody knows."""
    connection.execute(
        sa.text(
            "INSERT INTO supply (tenant_id, point_id, customer_id, starts_at, ends_at, reason) "
            "SELECT p.tenant_id, p.id, p.customer_id, "
            "COALESCE((SELECT MIN(i.starts_at) FROM installation AS i WHERE i.point_id = p.id), p.created_at, :now), "
            "NULL, '' FROM metering_point AS p WHERE p.customer_id IS NOT NULL"
        ),
        {"now": now},
    )


def _months(connection: sa.Connection) -> None:
    """Work out each meter's months from its register readings."""
    zones: dict[int, tzinfo] = {}
    for meter, zone in connection.execute(
        sa.text(
            "SELECT m.id, CASE WHEN m.zone <> '' THEN m.zone ELSE t.zone END FROM meter AS m "
            "JOIN tenant AS t ON t.id = m.tenant_id"
        )
    ):
        zones[meter] = _zone(zone)
    rows: dict[tuple[int, int, int], dict[str, Any]] = {}
    query = "SELECT id, tenant_id, meter_id, at, data FROM register_set WHERE id > :id ORDER BY id LIMIT :limit"
    for _, tenant, meter, at, data in _chunks(connection, query):
        day = datetime.fromtimestamp(at, zones.get(meter, UTC)).date()
        key = (tenant, meter, day.year * 12 + day.month - 1)
        row = rows.setdefault(key, {"days": 0, "read_at": at, "first": None, "last": None})
        row["days"] |= 1 << (day.day - 1)
        row["read_at"] = max(row["read_at"], at)
        total = _total(data)
        if total is not None:
            row["first"] = min(row["first"] or (at, total), (at, total))
            row["last"] = max(row["last"] or (at, total), (at, total))
    insert = sa.text(
        "INSERT INTO meter_month "
        "(tenant_id, meter_id, month, days, read_at, first_at, first_total, last_at, last_total) "
        "VALUES (:tenant, :meter, :month, :days, :read_at, :first_at, :first_total, :last_at, :last_total)"
    )
    _insert(
        connection,
        insert,
        (
            {
                "tenant": tenant, "meter": meter, "month": month, "days": row["days"], "read_at": row["read_at"],
                "first_at": (row["first"] or (None, None))[0], "first_total": (row["first"] or (None, None))[1],
                "last_at": (row["last"] or (None, None))[0], "last_total": (row["last"] or (None, None))[1],
            }
            for (tenant, meter, month), row in rows.items()
        ),
    )  # fmt: skip


def _total(data: bytes) -> int | None:
    """Millionths of the total register of active energy; None where the reading has it not."""
    try:
        for quantity, value, num, den, *_ in msgspec.msgpack.decode(data):
            if quantity == "1.8.0":
                total = int(value) * 1_000_000 * num // den
                return total if abs(total) < 1 << 63 else None
    except (msgspec.DecodeError, TypeError, ValueError, ZeroDivisionError):
        return None
    return None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return UTC


#: What is searched: kind of ``SearchWord``, table, columns with words.
_SEARCHED: Final = (
    (1, "customer", ("external_key", "name")),
    (2, "meter", ("key", "serial", "name")),
    (3, "communication_module", ("key", "name")),
    (4, "customer_group", ("name",)),
    (5, "gateway", ("key", "name", "place")),
    (6, "metering_point", ("key", "name", "address")),
)


def _words(connection: sa.Connection) -> None:
    insert = sa.text(
        "INSERT INTO search_word (tenant_id, word, kind, object_id) VALUES (:tenant, :word, :kind, :object)"
    )
    for kind, table, columns in _SEARCHED:
        query = f"SELECT id, tenant_id, {', '.join(columns)} FROM {table} WHERE id > :id ORDER BY id LIMIT :limit"  # noqa: S608
        _insert(
            connection,
            insert,
            (
                {"tenant": tenant, "word": word, "kind": kind, "object": row_id}
                for row_id, tenant, *texts in _chunks(connection, query)
                for word in sorted(_folded(texts))
            ),
        )


def _folded(texts: Iterable[str]) -> set[str]:
    """Words without case and accents: runs of letters and digits, and each text's parts between blanks whole; numbers
    without leading zeros as well.
    """
    found: set[str] = set()
    for text in texts:
        plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
        found.update(part[:64] for part in plain.split())
        found.update(part[:64] for part in "".join(c if c.isalnum() else " " for c in plain).split())
    return found | {bare for word in found if word.isdigit() and (bare := word.lstrip("0"))}


def _chunks(connection: sa.Connection, query: str) -> Iterator[Any]:
    last = -(1 << 62)
    while rows := connection.execute(sa.text(query), {"id": last, "limit": _CHUNK}).all():
        yield from rows
        last = rows[-1][0]


def _insert(connection: sa.Connection, statement: Any, rows: Iterator[dict[str, Any]]) -> None:
    waiting: list[dict[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == _CHUNK:
            connection.execute(statement, waiting)
            waiting = []
    if waiting:
        connection.execute(statement, waiting)

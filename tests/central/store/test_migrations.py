"""Migrations lead to what the models say, on both databases; a newer database is refused."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Boolean, Column, Connection, Float, Integer, LargeBinary, MetaData, event, select, text

from central.accounts.models import ApiKey, User
from central.metering.models import MeterMonth
from central.registry.models import SearchWord, Supply
from central.store.engine import Database, open_url
from central.store.migrate import SchemaError, SchemaState, head, migrate, require_current, state
from central.store.tables import metadata
from shared.wire import RegisterValue


async def test_migrated_schema_is_the_models(empty_database: Database) -> None:
    assert await state(empty_database) is SchemaState.EMPTY
    assert await migrate(empty_database) == (None, head())
    assert await state(empty_database) is SchemaState.CURRENT

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    async with empty_database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_an_sqlite_file_is_its_owners_only(tmp_path: Path) -> None:
    """Whatever the umask: it holds password hashes, and its log what was written last."""
    before = os.umask(0)
    try:
        database = open_url(f"sqlite+aiosqlite:///{tmp_path}/deep/metergate.sqlite")
        try:
            await migrate(database)
            modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "deep").iterdir()}
        finally:
            await database.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("metergate.sqlite", "metergate.sqlite-wal", "metergate.sqlite-shm"), 0o600)


async def test_again_changes_nothing(database: Database) -> None:
    assert await migrate(database) == (head(), head())
    await require_current(database)


async def test_newer_database_is_refused(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (state, migrate, require_current):
        with pytest.raises(SchemaError, match=r"schema 9999.*newer metergate"):
            await refused(database)


async def test_empty_database_names_the_way_out(empty_database: Database) -> None:
    with pytest.raises(SchemaError, match="metergate central migrate"):
        await require_current(empty_database)


def _made_up(column: Column[Any], number: int) -> Any:
    """A value for any column; equal numbers in all rows make the references hold."""
    match column.type:
        case Boolean():
            return number % 2 == 0
        case Integer():
            return number
        case Float():
            return number + 0.5
        case LargeBinary():
            return bytes([number]) * 16
        case _:
            return f"{column.name[:4]}{number}"


def _fill(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Put two rows into every table that is there; returns them."""
    tables = MetaData()
    tables.reflect(connection)
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in tables.sorted_tables:
        if table.name == "alembic_version":
            continue
        rows[table.name] = [{each.name: _made_up(each, number) for each in table.c} for number in (1, 2)]
        connection.execute(table.insert(), rows[table.name])
    return rows


def _read(connection: Connection, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    tables = MetaData()
    tables.reflect(connection)
    found = {}
    for name in names:
        table = tables.tables[name]
        key = list(table.primary_key)
        found[name] = [dict(row) for row in connection.execute(table.select().order_by(*key)).mappings()]
    return found


#: Days as they stood under schema 0001, read from what they are now. Their count is in the block; when a day was last
#: changed was written and never read.
_DAYS_BEFORE = """
SELECT s.tenant_id, s.meter_id, s.channel, d.id % 65536 AS day, s.step, d.id % 65536 * 86400 + s.shift AS start,
       s.num, s.den, d.held, d.flags, d.total, d.version, d.data
FROM profile_day AS d JOIN profile_series AS s ON s.id = d.id / 65536 ORDER BY s.meter_id
"""


def _days(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(_DAYS_BEFORE)).mappings()]


@pytest.mark.parametrize("revision", ["0001"])
async def test_upgrade_loses_nothing(empty_database: Database, revision: str) -> None:
    """Rows entered under an earlier schema are there after the upgrade, value for value."""
    assert await migrate(empty_database, revision) == (None, revision)
    async with empty_database.engine.begin() as connection:
        before = await connection.run_sync(_fill)
    assert len(before) >= 25
    assert await migrate(empty_database) == (revision, head())
    async with empty_database.engine.connect() as connection:
        after = await connection.run_sync(_read, before)
        after["profile_day"] = await connection.run_sync(_days)
    for day in before["profile_day"]:
        del day["count"], day["changed_at"]
    admins = [user.pop("is_admin") for user in before["user_account"]]
    writers = [key.pop("can_write") for key in before["api_key"]]
    async with empty_database.read() as session:
        users = (await session.scalars(select(User).order_by(User.id))).all()
        assert [user.grants[0].role.key for user in users] == ["administrator" if yes else "operator" for yes in admins]
        kept = (await session.scalars(select(ApiKey.permissions).order_by(ApiKey.id))).all()
        assert list(kept) == ["" if yes else "read" for yes in writers]
    for name, rows in before.items():
        for old, new in zip(rows, after[name], strict=True):
            assert {column: new[column] for column in old} == old, name


async def test_months_lie_by_month_and_are_the_same(empty_database: Database) -> None:
    """From schema 0004 on nothing is taken away: whatever stood in any table stands there."""
    await migrate(empty_database, "0004")
    async with empty_database.engine.begin() as connection:
        before = await connection.run_sync(_fill)
    await migrate(empty_database)
    async with empty_database.engine.connect() as connection:
        after = await connection.run_sync(_read, before)
    assert len(before["meter_month"]) == 2
    for name, rows in before.items():
        for row in after[name]:
            row.pop("permissions", None)
        for row in rows:
            row.pop("permissions", None)
            assert any(row.items() <= new.items() for new in after[name]), name
        assert len(after[name]) == len(rows), name


async def test_who_may_send_reports(empty_database: Database) -> None:
    """Administrators, and the roles that nobody has changed."""
    await migrate(empty_database, "0005")
    roles = {
        ("administrator", True): ("read enrolment", "read enrolment mail"),
        ("billing", True): ("read billing", "read billing mail"),
        ("operator", True): ("read registry", "read registry"), ("viewer", True): ("read", "read"),
        ("own", False): ("read billing", "read billing"),
    }  # fmt: skip
    insert = text("INSERT INTO role (tenant_id, key, name, permissions, builtin) VALUES (1, :key, '', :held, :made)")
    async with empty_database.engine.begin() as connection:
        await connection.execute(text("INSERT INTO tenant VALUES (1, 't', 'T', 'UTC')"))
        for (key, made), (held, _) in roles.items():
            await connection.execute(insert, {"key": key, "held": held, "made": made})
    await migrate(empty_database)
    async with empty_database.read() as session:
        found = {row.key: row.permissions for row in await session.execute(text("SELECT key, permissions FROM role"))}
    assert found == {key: then for (key, _), (_, then) in roles.items()}


#: (meter, day, shift) of days under schema 0001; 1 to 3 are meters of whom only days are left.
_OLD_DAYS = [
    *((meter, day, shift) for meter in (1, 2, 3) for day, shift in ((0, 10800), (20500, -32400), (65535, 7200))),
    (1, -1, 10800), (2, 20501 + 65536, 10800),
]  # fmt: skip


async def test_days_are_moved_meter_by_meter(empty_database: Database) -> None:
    """No statement moves more than one meter's, so that none runs into a time limit. What has no key is set apart."""
    await migrate(empty_database, "0001")
    async with empty_database.engine.begin() as connection:
        insert = text(
            "INSERT INTO profile_day "
            "VALUES (1, :meter, 7424, :day, 900, :start, 96, 1, 100, 96, 0, :total, 1, 0, :data)"
        )
        for total, (meter, day, shift) in enumerate(_OLD_DAYS):
            start = 86400 * day + shift
            values = {"meter": meter, "day": day, "start": start, "total": total, "data": bytes([total])}
            await connection.execute(insert, values)
    moved = []

    def note(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("INSERT INTO profile"):
            moved.append(cursor.rowcount)

    event.listen(empty_database.engine.sync_engine, "after_cursor_execute", note)
    await migrate(empty_database)
    assert moved == [3] * 6
    async with empty_database.engine.connect() as connection:
        days = await connection.run_sync(_days)
        found = sorted((day["meter_id"], day["day"], day["start"] - 86400 * day["day"], day["data"]) for day in days)
        rejected = (await connection.execute(text("SELECT reason, payload FROM rejected ORDER BY id"))).all()
    assert found == sorted((*day, bytes([total])) for total, day in enumerate(_OLD_DAYS[:9]))
    assert sorted(row[1] for row in rejected) == [bytes([9]), bytes([10])]
    assert any("day -1 is outside" in row[0] and "from -75600, scale 1/100" in row[0] for row in rejected)


async def test_failed_migration_leaves_nothing(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails after the last statement, before the commit, takes everything back."""

    def upgrade_and_fail(config: object, revision: str) -> None:
        command.upgrade(config, revision)  # type: ignore[arg-type]
        raise RuntimeError("power cut")

    monkeypatch.setattr("central.store.migrate.command", SimpleNamespace(upgrade=upgrade_and_fail))
    with pytest.raises(RuntimeError, match="power cut"):
        await migrate(empty_database)
    monkeypatch.undo()
    assert await state(empty_database) is SchemaState.EMPTY
    assert (await migrate(empty_database))[0] is None


async def test_what_follows_from_rows_of_before(empty_database: Database) -> None:
    """Histories, figures of months and words to search by are made for what was there under schema 0003."""
    await migrate(empty_database, "0003")
    noon = 1_772_550_000  # 2026-03-03 12:00 in Sao Paulo
    values = [RegisterValue("1.8.0", 1500, 1, 1000), RegisterValue("1.8.1", 7, 1, 1000)]
    later = [RegisterValue("1.8.0", 2750, 1, 1000)]
    async with empty_database.engine.begin() as connection:
        for table, row in (
            ("tenant", {"id": 1, "key": "t", "name": "T", "zone": "America/Sao_Paulo"}),
            ("customer", {"id": 5, "external_key": "UC-77", "name": "José Ñandú"}),
            ("metering_point", {"id": 6, "key": "p", "name": "P", "customer_id": 5, "address": ""}),
            ("meter", {"id": 7, "key": "m", "serial": "123", "name": "", "zone": "", "multiplier_num": 1,
                       "multiplier_den": 1, "monitored": True, "calendar": "", "registered": True}),
            ("installation", {"id": 8, "meter_id": 7, "point_id": 6, "starts_at": 44, "reason": ""}),
        ):  # fmt: skip
            if table != "tenant":
                row["tenant_id"] = 1
            if table not in ("tenant", "installation"):
                row["created_at"] = 9
            names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
            await connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)
        insert = text(
            "INSERT INTO register_set (tenant_id, meter_id, at, read_at, period, digest, data) "
            "VALUES (1, 7, :at, :at, 0, :at, :data)"
        )
        for at, registers in ((noon, values), (noon + 2 * 86400, later), (noon + 3 * 86400, [values[1]])):
            await connection.execute(insert, {"at": at, "data": msgspec.msgpack.encode(registers)})
    await migrate(empty_database)
    async with empty_database.read() as session:
        supply = (await session.scalars(select(Supply))).one()
        assert (supply.point_id, supply.customer_id, supply.starts_at, supply.ends_at) == (6, 5, 44, None)
        month = (await session.scalars(select(MeterMonth))).one()
        assert (month.tenant_id, month.meter_id, month.month, month.days) == (1, 7, 2026 * 12 + 2, 0b110100)
        assert (month.first_at, month.first_total, month.last_at, month.last_total, month.read_at) == (
            noon, 1_500_000, noon + 2 * 86400, 2_750_000, noon + 3 * 86400,
        )  # fmt: skip
        words = set(await session.execute(select(SearchWord.word, SearchWord.kind, SearchWord.object_id)))
        assert {("jose", 1, 5), ("nandu", 1, 5), ("uc-77", 1, 5), ("77", 1, 5), ("123", 2, 7)} <= words


async def test_who_may_let_gateways_in(empty_database: Database) -> None:
    """Administrators, and field service where nobody has changed what it may; no role of one's own."""
    await migrate(empty_database, "0004")
    roles = {
        "administrator": ("read accounts", True, True), "field": ("read command alarms", True, True),
        "viewer": ("read", True, False), "own": ("read command alarms", False, False),
    }  # fmt: skip
    async with empty_database.engine.begin() as connection:
        for tenant in (1, 2):
            values = {"id": tenant, "key": f"t{tenant}"}
            await connection.execute(text("INSERT INTO tenant VALUES (:id, :key, 'T', 'UTC')"), values)
        insert = text(
            "INSERT INTO role (tenant_id, key, name, permissions, builtin) VALUES (:t, :key, '', :held, :made)"
        )
        for key, (held, made, _) in roles.items():
            await connection.execute(insert, {"t": 1, "key": key, "held": held, "made": made})
        await connection.execute(insert, {"t": 2, "key": "field", "held": "read", "made": True})
    await migrate(empty_database, "0005")
    async with empty_database.read() as session:
        found = (await session.execute(text("SELECT tenant_id, key, permissions FROM role"))).all()
    assert {(tenant, key): permissions for tenant, key, permissions in found} == {
        **{(1, key): f"{held} enrolment" if let else held for key, (held, _, let) in roles.items()},
        (2, "field"): "read",
    }

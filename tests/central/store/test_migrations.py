"""Migrations lead to what the models say, on both databases; a newer database is refused."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from central.store.engine import Database
from central.store.migrate import SchemaError, SchemaState, head, migrate, require_current, state
from central.store.tables import metadata


async def test_migrated_schema_is_the_models(empty_database: Database) -> None:
    assert await state(empty_database) is SchemaState.EMPTY
    assert await migrate(empty_database) == (None, head())
    assert await state(empty_database) is SchemaState.CURRENT

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    async with empty_database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_again_changes_nothing(database: Database) -> None:
    assert await migrate(database) == (head(), head())
    await require_current(database)


async def test_newer_database_is_refused(database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (state, migrate, require_current):
        with pytest.raises(SchemaError, match="schema 9999.*newer metergate"):
            await refused(database)


async def test_empty_database_names_the_way_out(empty_database: Database) -> None:
    with pytest.raises(SchemaError, match="metergate central migrate"):
        await require_current(empty_database)


async def test_failed_migration_leaves_nothing(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("central.store.migrate.head", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        await migrate(empty_database)
    monkeypatch.undo()
    assert await state(empty_database) is SchemaState.EMPTY

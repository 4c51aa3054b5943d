"""Bring a database to this program's schema; refuse one that a newer program has changed."""

from enum import Enum
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from central.store.engine import Database

_SCRIPTS: Final = Path(__file__).parent / "migrations"


class SchemaError(Exception):
    """The database and this program do not fit together; the text says what to do."""


class SchemaState(Enum):
    """How a database stands to this program."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"


async def state(database: Database) -> SchemaState:
    """Return how the database stands; raises :class:`SchemaError` when it is newer than the program."""
    async with database.engine.connect() as connection:
        return _state(await connection.run_sync(_revision))


async def require_current(database: Database) -> None:
    """Raise :class:`SchemaError` unless the database has exactly this program's schema."""
    found = await state(database)
    if found is not SchemaState.CURRENT:
        raise SchemaError(f"the database is {found.value}: run 'metergate central migrate' first")


async def migrate(database: Database, revision: str = "head") -> tuple[str | None, str]:
    """Upgrade to ``revision`` (the newest) in one transaction; returns the revisions before and after.

    Raises :class:`SchemaError` when the database is newer. Several programs may call it at once.
    """
    async with database.engine.execution_options(metergate_writes=True).begin() as connection:
        return await connection.run_sync(_upgrade, revision)


def head() -> str:
    """Return the newest revision this program knows."""
    return _scripts().get_current_head() or ""


def _upgrade(connection: Connection, revision: str) -> tuple[str | None, str]:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7110001)")
    before = _revision(connection)
    _state(before)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    return before, _revision(connection) or ""


def _state(revision: str | None) -> SchemaState:
    if revision is None:
        return SchemaState.EMPTY
    if revision == head():
        return SchemaState.CURRENT
    if revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise SchemaError(
            f"the database has schema {revision}, this program knows schemas up to {head()}: "
            "it was changed by a newer metergate; install that or a newer one"
        )
    return SchemaState.OLDER


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())

"""Alembic's environment and revisions, one per change of the schema; run by ``central.store.migrate``."""

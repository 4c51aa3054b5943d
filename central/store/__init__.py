"""Database: declarative base, engine, migrations. One code for SQLite and PostgreSQL."""

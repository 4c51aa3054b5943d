"""Declarative base and column types. Instants are UTC seconds; local days are day numbers since 1970-01-01."""

from typing import Annotated

from sqlalchemy import BigInteger, ForeignKey, Integer, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, mapped_column


class Base(DeclarativeBase):
    """Base of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


#: SQLite gives row ids only to columns declared INTEGER; PostgreSQL needs 64 bits.
BigId = BigInteger().with_variant(Integer, "sqlite")

Id = Annotated[int, mapped_column(BigId, primary_key=True)]
Instant = Annotated[int, mapped_column(BigInteger)]
Name = Annotated[str, mapped_column(String(200))]
Key = Annotated[str, mapped_column(String(64))]
Note = Annotated[str, mapped_column(Text)]
TenantId = Annotated[int, mapped_column(Integer, ForeignKey("tenant.id"))]

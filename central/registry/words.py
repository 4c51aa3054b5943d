"""Words by which things are found: folded, one row each. The one place that writes ``search_word``."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.registry.kinds import BY_MODEL, KINDS, Kind
from central.registry.models import SearchWord
from central.store.chunks import chunks
from central.store.lists import is_one_of
from central.store.upsert import upsert

_LONGEST: Final = 64
_CHUNK: Final = 5000


def plain(text: str) -> str:
    """Text without case and accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))


def fold(texts: Iterable[str]) -> set[str]:
    """Words of texts: parts between blanks whole, runs of letters and digits; numbers without leading zeros as well."""
    found: set[str] = set()
    for text in texts:
        low = plain(text)
        found.update(word[:_LONGEST] for word in low.split())
        found.update(word[:_LONGEST] for word in "".join(c if c.isalnum() else " " for c in low).split())
    return found | {bare for word in found if word.isdigit() and (bare := word.lstrip("0"))}


def words_of(kind: Kind, row: Mapping[str, Any]) -> set[str]:
    """Words of one row, given by its columns."""
    return fold(str(row.get(column) or "") for column in kind.searched)


async def enter(db: AsyncSession, tenant_id: int, kind: Kind, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make new rows (columns with their ``id``) findable."""
    if not kind.word_kind:
        return
    waiting = (
        {"tenant_id": tenant_id, "word": word, "kind": kind.word_kind, "object_id": row["id"]}
        for row in rows
        for word in sorted(words_of(kind, row))
    )
    for some in chunks(waiting, _CHUNK):
        await db.execute(upsert(db, SearchWord), some)


async def forget(db: AsyncSession, kind: Kind, ids: Sequence[int]) -> None:
    """Remove the words of rows."""
    if kind.word_kind:
        table: Any = SearchWord.__table__
        for some in chunks(ids, _CHUNK):
            await db.execute(
                delete(table).where(table.c.kind == kind.word_kind, is_one_of(db, table.c.object_id, some))
            )


async def renew(db: AsyncSession, tenant_id: int, kind: Kind, ids: Sequence[int]) -> None:
    """Make changed rows findable by what they say now."""
    if not kind.word_kind or not ids:
        return
    await forget(db, kind, ids)
    table = kind.model.__table__
    for some in chunks(ids, _CHUNK):
        query = select(table.c.id, *(table.c[column] for column in kind.searched)).where(
            is_one_of(db, table.c.id, some)
        )
        await enter(db, tenant_id, kind, [row._mapping for row in await db.execute(query)])  # type: ignore[misc]


async def enter_keys(db: AsyncSession, tenant_id: int, model: Any, ids: Mapping[str, int]) -> None:
    """Make things findable that came by themselves and have nothing but their key."""
    kind = BY_MODEL[model]
    filled = [column for column in ("key", "serial", "name") if column in kind.searched]
    await enter(
        db, tenant_id, kind, [{"id": row_id, **dict.fromkeys(filled, key)} for key, row_id in ids.items()]
    )  # fmt: skip


async def rebuild(db: AsyncSession, tenant_id: int) -> None:
    """Make everything of a tenant findable anew, as after rows were written past this module."""
    for kind in KINDS:
        table = kind.model.__table__
        ids = (
            (await db.scalars(select(table.c.id).where(table.c.tenant_id == tenant_id))).all() if kind.word_kind else []
        )
        await renew(db, tenant_id, kind, ids)

"""Find things by the beginnings of their words: for the search box, and as a condition of long lists."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from central.registry.kinds import KINDS, Kind
from central.registry.models import SearchWord
from central.registry.words import plain
from central.store.lists import is_one_of

#: Words of a question that are looked at, and how long each may be.
_WORDS, _LONGEST = 6, 64
#: A word that begins more words than this is common: another one leads the search.
_COMMON: Final = 2000
#: Words looked through for one answer at most: a question that finds less is answered by what was found.
_ROUNDS, _CHUNK = 20, 500

BY_WORD: Final[dict[int, Kind]] = {kind.word_kind: kind for kind in KINDS if kind.word_kind}


@dataclass(frozen=True, slots=True)
class Hit:
    """A thing that was found: ``kind`` as in ``central.registry.kinds``, ``key`` (a group's is its number)."""

    kind: str
    id: int
    key: str
    name: str
    note: str = ""  # serial of a meter or module, address of a point, place of a gateway
    exact: bool = False


def question(text: str) -> list[str]:
    """Folded words of what was typed; the longest is the most telling, so it stands first."""
    words = dict.fromkeys(word[:_LONGEST] for word in plain(text.replace("\0", " ")).split())
    return sorted(words, key=len, reverse=True)[:_WORDS]


async def search(
    db: AsyncSession, tenant_id: int, text: str, limit: int = 20, kinds: Collection[str] | None = None
) -> list[Hit]:
    """Things in which every word of ``text`` begins a word; those that have one exactly so come first.

    ``kinds``: names of kinds (default: all that have words). At most ``limit``.
    """
    words = question(text)
    wanted = [number for number, kind in BY_WORD.items() if kinds is None or kind.name in kinds]
    if not words or not wanted:
        return []
    leader = await _rarest(db, tenant_id, words, wanted)
    others = [word for word in words if word != leader]
    found: dict[tuple[int, int], bool] = {}
    exactly = _leading(tenant_id, wanted, others).where(SearchWord.word == leader)
    for row in await db.execute(exactly.limit(limit)):
        found[(row[0], row[1])] = True
    after = leader
    for _ in range(_ROUNDS):
        if len(found) >= limit:
            break
        query = _leading(tenant_id, wanted, others).where(SearchWord.word > after, SearchWord.word < _end(leader))
        rows = (await db.execute(query.order_by(SearchWord.word).limit(_CHUNK))).all()
        for row in rows:
            if len(found) < limit:
                found.setdefault((row[0], row[1]), False)
        if len(rows) < _CHUNK or rows[-1][2] == after:
            break
        after = rows[-1][2]
    return await _hits(db, tenant_id, found)


def matching(tenant_id: int, kind: Kind, text: str) -> Any:
    """Condition that a row of ``kind`` is found by ``text``: its words by their beginnings; in the short lists, which
    have none, key and name by any part."""
    if kind.word_kind:
        return and_(*(kind.model.id.in_(word_ids(tenant_id, kind.word_kind, word)) for word in question(text)))
    columns = (kind.model.name, *(() if kind.numbered else (kind.key_attribute,)))
    return and_(*(or_(*(column.icontains(word, autoescape=True) for column in columns)) for word in text.split()))


def word_ids(tenant_id: int, word_kind: int, word: str) -> Any:
    """Select the ids of things of a kind with a word that begins so."""
    return select(SearchWord.object_id).where(
        SearchWord.tenant_id == tenant_id, SearchWord.word >= word, SearchWord.word < _end(word),
        SearchWord.kind == word_kind,
    )  # fmt: skip


def _end(word: str) -> str:
    """The end of the range of words that begin with ``word``; both databases compare code points."""
    return word + "\U0010ffff"


def _leading(tenant_id: int, kinds: Sequence[int], others: Sequence[str]) -> Any:
    query = select(SearchWord.kind, SearchWord.object_id, SearchWord.word).where(
        SearchWord.tenant_id == tenant_id, SearchWord.kind.in_(kinds)
    )
    for word in others:
        other = aliased(SearchWord)
        query = query.where(
            select(other.word)
            .where(
                other.kind == SearchWord.kind, other.object_id == SearchWord.object_id, other.tenant_id == tenant_id,
                other.word >= word, other.word < _end(word),
            )
            .exists()
        )  # fmt: skip
    return query


async def _rarest(db: AsyncSession, tenant_id: int, words: Sequence[str], kinds: Sequence[int]) -> str:
    """The word that begins the fewest words, as far as it is worth counting."""
    if len(words) == 1:
        return words[0]
    counts = []
    for word in words:
        some = select(SearchWord.word).where(
            SearchWord.tenant_id == tenant_id, SearchWord.word >= word, SearchWord.word < _end(word),
            SearchWord.kind.in_(kinds),
        )  # fmt: skip
        counts.append(await db.scalar(select(func.count()).select_from(some.limit(_COMMON).subquery())) or 0)
    return words[counts.index(min(counts))]


async def _hits(db: AsyncSession, tenant_id: int, found: dict[tuple[int, int], bool]) -> list[Hit]:
    hits: dict[tuple[int, int], Hit] = {}
    for number in {kind for kind, _ in found}:
        kind = BY_WORD[number]
        model = kind.model
        note = next((c for c in ("serial", "address", "place") if c in kind.searched), "name")
        ids = [object_id for one, object_id in found if one == number]
        query = select(model.id, getattr(model, kind.key_column), model.name, getattr(model, note)).where(
            model.tenant_id == tenant_id, is_one_of(db, model.id, ids)
        )
        for row in await db.execute(query):
            place = (number, row[0])
            hits[place] = Hit(kind.name, row[0], str(row[1]), row[2], "" if note == "name" else row[3], found[place])
    return [hits[place] for place in sorted(hits, key=lambda place: not found[place])]

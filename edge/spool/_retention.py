"""What may be deleted, and in which order.

Only rows that the cursor covers. With room to spare they go after their retention; near the limit the oldest profile
goes first, then instantaneous values and telemetry, then evidence, each with an alarm. Registers, events and results
never go before their retention, and nothing unacknowledged ever goes.
"""

from typing import Final

from edge.spool._rows import DROPPABLE
from edge.spool._transaction import Transaction
from edge.spool.settings import SpoolSettings

DAY: Final = 86400
#: Rows deleted with one commit, so that nobody waits long behind the deletion.
CHUNK: Final = 500
#: Commands taken up are remembered at least so long, whatever the retention: the broker may bring one again.
COMMAND_DAYS: Final = 30


def expire(tx: Transaction, settings: SpoolSettings) -> int:
    """Delete up to :data:`CHUNK` acknowledged rows past retention, and evidence and commands; returns rows."""
    horizon = tx.lived - settings.retention_days * DAY
    # lived_at grows with the number, so the first young row ends the search
    row = tx.connection.execute(
        "SELECT max(number) FROM (SELECT number, lived_at FROM items WHERE number <= ? ORDER BY number LIMIT ?)"
        " WHERE lived_at < ?",
        (tx.stream.cursor, CHUNK, horizon),
    ).fetchone()
    deleted = 0
    if row[0] is not None:
        deleted = tx.connection.execute("DELETE FROM items WHERE number <= ?", (row[0],)).rowcount
    forgotten = tx.lived - max(settings.retention_days, COMMAND_DAYS) * DAY
    tx.connection.execute("DELETE FROM commands WHERE lived_at < ?", (forgotten,))
    tx.connection.execute(
        "DELETE FROM evidence WHERE id IN (SELECT id FROM evidence ORDER BY id LIMIT ?) AND lived_at < ?",
        (CHUNK, tx.lived - settings.evidence_days * DAY),
    )
    return deleted


def relieve(tx: Transaction) -> dict[str, int]:
    """Make room: delete up to :data:`CHUNK` of the oldest that may go; returns what went, empty when nothing can."""
    for kind in DROPPABLE:
        gone = tx.connection.execute(
            "DELETE FROM items WHERE number IN"
            " (SELECT number FROM items WHERE kind = ? AND number <= ? ORDER BY number LIMIT ?)",
            (kind, tx.stream.cursor, CHUNK),
        ).rowcount
        if gone:
            return {kind.name.lower(): gone}
    gone = tx.connection.execute(
        "DELETE FROM evidence WHERE id IN (SELECT id FROM evidence ORDER BY id LIMIT ?)", (CHUNK,)
    ).rowcount
    return {"evidence": gone} if gone else {}

"""The one thread that writes: it drains a queue of jobs and commits what has gathered in one transaction.

Each job runs in a savepoint of its own, so a refused job does not take its neighbours along; an error of the commit is
everybody's. Futures are resolved only after ``COMMIT`` has returned, that is after the fsync.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import structlog

from edge.errors import EdgeError
from edge.spool import _file, _retention, _salvage
from edge.spool._clock import AgeClock, Clock
from edge.spool._errors import SpoolDamagedError, SpoolDiskError, SpoolFullError
from edge.spool._room import RESERVE_BYTES, Level, Room
from edge.spool._stream import Stream
from edge.spool._transaction import Transaction
from edge.spool.settings import SpoolSettings

log = structlog.get_logger("spool")

T = TypeVar("T")

GROUP_JOBS: Final = 256  # jobs of one commit
IDLE_SECONDS: Final = 5.0  # a moved cursor is stored after at most this long
EXPIRE_EVERY: Final = 60.0  # s of running time between looks for rows past retention


@dataclass
class Job(Generic[T]):
    run: Callable[[Transaction], T]
    future: "asyncio.Future[T]"
    outcome: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return  # the caller has gone
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.outcome)


@dataclass
class Writer:
    """``committed`` is the stream as of the last commit, ``generation`` grows when the file has been replaced.

    ``refused``: the disk itself had no room for a commit, whatever the figures said, and has none to speak of since.

    The cursor is not worth an fsync of its own: losing it in a crash costs a second delivery, which changes nothing.
    """

    path: Path
    gateway: str
    settings: SpoolSettings
    clock: Clock
    loop: asyncio.AbstractEventLoop
    on_commit: Callable[[], None]
    committed: Stream = field(init=False)
    level: Level = Level.FREE
    refused: bool = False
    generation: int = 0
    acknowledged: int = 0  # row number the aggregator has confirmed, stored with the next commit; set by the loop too
    _queue: "queue.SimpleQueue[Job[Any] | None]" = field(default_factory=queue.SimpleQueue)
    _alarms: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _expired_at: float = 0.0
    _expire_more: bool = True
    _dropped: dict[str, int] = field(default_factory=dict)  # under the pressure of now
    _closing: bool = False

    async def start(self) -> None:
        """Open the file in the thread; raises what opening raises."""
        ready: asyncio.Future[None] = self.loop.create_future()
        self._thread = threading.Thread(target=self._main, args=(ready,), name=f"spool {self.path.name}", daemon=True)
        self._thread.start()
        await ready

    async def stop(self) -> None:
        """Carry out what is queued, store the cursor, close the file."""
        self._closing = True
        self._queue.put(None)
        await self.loop.run_in_executor(None, self._thread.join)

    def submit(self, run: Callable[[Transaction], T]) -> "asyncio.Future[T]":
        """Queue a job; the future is done after the commit. A caller that is cancelled does not undo its job."""
        if self._closing or not self._thread.is_alive():
            raise SpoolDiskError(self.path, "it is closed")
        future: asyncio.Future[T] = self.loop.create_future()
        self._queue.put(Job(run, future))
        return future

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _main(self, ready: "asyncio.Future[None]") -> None:
        descriptor = None
        try:
            descriptor = _file.lock(self.path)
            self._open()
        except BaseException as error:
            if descriptor is not None:
                os.close(descriptor)
            failure = error if isinstance(error, EdgeError) else SpoolDiskError(self.path, str(error))
            self._tell(lambda: None if ready.done() else ready.set_exception(failure))
            return
        self._tell(lambda: None if ready.done() else ready.set_result(None))
        try:
            while (jobs := self._next_jobs()) is not None:
                self._group(jobs)
            self._group([])
        finally:
            self._connection.close()
            os.close(descriptor)

    def _open(self) -> None:
        now = int(self.clock.wall())
        opened = _file.open_file(self.path, self.settings, now)
        self._connection = opened.connection
        stream = Stream.load(self._connection)
        if stream is None:
            if (
                self._connection.execute("SELECT 1 FROM stream").fetchone()
                or opened.connection.execute("SELECT 1 FROM items LIMIT 1").fetchone()
            ):
                # every page is in order but the row that names the stream is not: salvage begins a new stream
                self._connection.close()
                self._replace("the stream's own row does not match its checksum")
                return
            stream = Stream.fresh(wall=self.clock.wall())
            stream.save(self._connection)
        self._adopt(stream, opened.damage)

    def _replace(self, reason: str) -> None:
        damage = _salvage.replace(self.path, int(self.clock.wall()), reason)
        self._connection = _file.open_file(self.path, self.settings, int(self.clock.wall())).connection
        stream = Stream.load(self._connection)
        if stream is None:
            raise SpoolDiskError(self.path, "its replacement cannot be read back")
        self._adopt(stream, damage)

    def _adopt(self, stream: Stream, damage: _salvage.Damage | None) -> None:
        self.committed = stream
        self.acknowledged = stream.cursor
        self._age = AgeClock(self.clock, stream.lived, stream.wall)
        self.generation += 1
        if damage is not None:
            log.error("spool damaged", path=str(self.path), reason=damage.reason, aside=str(damage.aside))
            detail = {"reason": damage.reason, "file": damage.aside.name, "rows": damage.rows}
            self._alarms.append(("spool_damaged", detail | {"stream_kept": damage.stream_kept}))

    def _next_jobs(self) -> list[Job[Any]] | None:
        """Jobs that wait, at least one; [] when idle long enough to store the cursor; None at the end."""
        jobs: list[Job[Any]] = []
        with contextlib.suppress(queue.Empty):
            job = self._queue.get(timeout=IDLE_SECONDS)
            while job is not None:
                jobs.append(job)
                if len(jobs) == GROUP_JOBS:
                    break
                job = self._queue.get_nowait()
            else:
                if jobs:
                    self._queue.put(None)  # these first, the end after them
                    return jobs
                return None
        return jobs

    def _group(self, jobs: list[Job[Any]]) -> None:
        try:
            if jobs or self._something_due():
                self._commit(jobs)
        except Exception as error:
            failure = self._recover(error)
            for job in jobs:
                job.error = job.error or failure
        self._tell(lambda: self._settle(jobs))

    def _settle(self, jobs: list[Job[Any]]) -> None:
        self.on_commit()
        for job in jobs:
            job.settle()

    def _something_due(self) -> bool:
        jump = self._look_at_clock()
        expire = self._expire_more or self._age.lived - self._expired_at > EXPIRE_EVERY * 60
        return jump or expire or bool(self._alarms) or self.acknowledged != self.committed.cursor

    def _look_at_clock(self) -> bool:
        jump = self._age.tick()
        if jump is None:
            return False
        log.warning("clock jump", before=jump.before, after=jump.after)
        detail = {"before": int(jump.before), "after": int(jump.after), "seconds": int(jump.seconds)}
        self._alarms.append(("clock_jump", detail))
        return True

    def _commit(self, jobs: list[Job[Any]]) -> None:
        self._look_at_clock()
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        stream = self.committed.copy()
        stream.lived, stream.wall = self._age.lived, self._age.wall
        acknowledged = self.acknowledged
        stream.cursor = ahead = max(stream.cursor, min(acknowledged, stream.last))
        tx = Transaction(connection, stream, self.gateway)
        self._make_room(tx)
        for job in jobs:
            self._run(tx, job)
        alarms = len(self._alarms)
        told = self._append_alarms(tx)
        tx.stream.save(connection)
        connection.execute("COMMIT")
        if told:
            del self._alarms[:alarms]
        if self.refused and Room.measure(connection, self.path, self.settings).free >= RESERVE_BYTES:
            self.refused = False
            log.info("spool has room again", path=str(self.path))
        if tx.stream.cursor < ahead and self.acknowledged == acknowledged:
            self.acknowledged = tx.stream.cursor  # rewound by a job
        self.committed = tx.stream.copy()

    def _run(self, tx: Transaction, job: Job[Any]) -> None:
        """One job in its savepoint; its own error stays its own as long as the transaction stands."""
        before = tx.stream.copy()
        tx.connection.execute("SAVEPOINT job")
        try:
            job.outcome = job.run(tx)
        except Exception as error:
            if isinstance(error, sqlite3.Error):
                if not tx.connection.in_transaction or not _file.is_full(error):
                    raise
                job.error = self._disk_full(tx.connection)
            else:
                job.error = error
            tx.connection.execute("ROLLBACK TO job")
            tx.stream = before
        tx.connection.execute("RELEASE job")

    def _make_room(self, tx: Transaction) -> None:
        before, room = self.level, Room.measure(tx.connection, self.path, self.settings)
        self.level = room.level(before, self.settings.free_bytes)
        try:
            due = self._expire_more or tx.stream.lived - self._expired_at > EXPIRE_EVERY
            if due:
                self._expire_more = _retention.expire(tx, self.settings) >= _retention.CHUNK
                self._expired_at = tx.stream.lived
            dropped = _retention.relieve(tx) if self.level != Level.FREE else {}
        except sqlite3.Error as error:
            if not tx.connection.in_transaction or not _file.is_full(error):
                raise
            dropped = {}
        if dropped and self.level == Level.FULL:
            room = Room.measure(tx.connection, self.path, self.settings)
            self.level = room.level(Level.FULL, self.settings.free_bytes)
        for kind, rows in dropped.items():
            self._dropped[kind] = self._dropped.get(kind, 0) + rows
        if self.level > before and not dropped and self.level != Level.FULL:
            self.level = before  # nothing could go yet: say so when something does, or when it is full
        if self.level > before or (self.level == Level.FREE and self._dropped):
            detail = {"used": room.used, "limit": room.limit, "free": room.free, "level": self.level.name.lower()}
            log.warning("spool pressure", path=str(self.path), dropped=self._dropped, **detail)
            self._alarms.append(("spool_pressure", detail | {"dropped": self._dropped}))
            if self.level == Level.FREE:
                self._dropped = {}
        if self.level == Level.FULL:
            tx.full = SpoolFullError(self.path, room.used, room.limit, room.free)

    def _append_alarms(self, tx: Transaction) -> bool:
        """Store alarms out of the reserve; False when there is no room even for them."""
        if not self._alarms:
            return False
        tx.connection.execute("SAVEPOINT alarms")
        before, tx.full = tx.stream.copy(), None
        try:
            tx.append(tx.event(kind, **detail) for kind, detail in self._alarms)
        except sqlite3.Error as error:
            if not tx.connection.in_transaction or not _file.is_full(error):
                raise
            tx.connection.execute("ROLLBACK TO alarms")
            tx.stream = before
            return False
        finally:
            if tx.connection.in_transaction:
                tx.connection.execute("RELEASE alarms")
        return True

    def _disk_full(self, connection: sqlite3.Connection) -> SpoolFullError:
        """SQLite met the end of the disk: say so once, and as an event as soon as that has room."""
        room = Room.measure(connection, self.path, self.settings)
        if not self.refused:
            self.refused = True
            log.warning("spool full", path=str(self.path), used=room.used, limit=room.limit, free=room.free)
            detail = {"used": room.used, "limit": room.limit, "free": room.free, "level": Level.FULL.name.lower()}
            self._alarms.append(("spool_pressure", detail | {"dropped": self._dropped}))
        return SpoolFullError(self.path, room.used, room.limit, room.free)

    def _recover(self, error: Exception) -> EdgeError:
        """After a failed transaction: replace a damaged file, reopen after any other trouble; returns what to tell."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        try:
            if _file.is_full(error):
                return self._disk_full(self._connection)
            self._connection.close()
            if _file.is_damage(error):
                self._replace(str(error))
                return SpoolDamagedError(self.path, self.path.with_name(str(self._alarms[-1][1]["file"])))
            log.error("spool cannot be written", path=str(self.path), reason=str(error))
            self._open()
        except (sqlite3.Error, OSError, EdgeError) as again:
            log.error("spool cannot be opened again", path=str(self.path), reason=str(again))
        return SpoolDiskError(self.path, str(error))

    def _tell(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits any more
            self.loop.call_soon_threadsafe(callback)

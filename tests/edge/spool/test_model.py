"""Property: whatever is added, acknowledged, rewound, aged, closed and opened, the spool does as a model does."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.spool import Spool, SpoolSettings, _schema
from edge.spool._retention import CHUNK, DAY
from shared.wire import Item, decode_item
from tests.edge.spool.conftest import FakeClock
from tests.edge.spool.items import mixed

RETENTION = 10 * DAY


class SpoolMachine(RuleBasedStateMachine):
    """``rows``: every item ever added, seq 1 first; ``born``: when; ``gone``: how many of the first may be deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "spool.db"
        self.runner = asyncio.Runner()
        self.fake = FakeClock()
        self.rows: list[Item] = []
        self.born: list[float] = []
        self.cursor = 0
        self.gone = 0

    @initialize()
    def begin(self) -> None:
        _schema.migrate(self.path)
        self.open()
        self.name = self.spool.spool_id

    def open(self) -> None:
        spool = Spool(self.path, "gw1", SpoolSettings(retention_days=10, free_bytes=0), clock=self.fake.clock)
        self.spool = self.runner.run(self._enter(spool))

    async def _enter(self, spool: Spool) -> Spool:
        return await spool.__aenter__()

    def close(self) -> None:
        self.runner.run(self.spool.__aexit__(None, None, None))

    @rule(count=st.integers(1, 30))
    def add(self, count: int) -> None:
        items = [mixed(len(self.rows) + n) for n in range(count)]
        seqs = self.runner.run(self.spool.add(items))
        assert seqs == list(range(len(self.rows) + 1, len(self.rows) + count + 1))
        self.rows += items
        self.born += [self.fake.steady_now] * count
        self.expire()

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        seq = round(share * len(self.rows))
        self.spool.acknowledge(seq)
        self.cursor = max(self.cursor, seq)

    @rule(share=st.floats(0, 1))
    def rewind(self, share: float) -> None:
        self.runner.run(self.spool.write(lambda tx: None))
        self.expire()  # by the cursor in force before
        self.cursor = max(round(share * self.cursor), self.gone)
        self.runner.run(self.spool.rewind(self.cursor))

    @rule(days=st.sampled_from([0.5, 4, 11]))
    def wait(self, days: float) -> None:
        self.fake.pass_time(days * DAY)

    @rule(restart=st.booleans())
    def restart(self, *, restart: bool) -> None:
        self.close()
        self.expire()
        self.open()

    def expire(self) -> None:
        """Rows that may have gone by now: acknowledged and past retention."""
        while self.gone < self.cursor and self.born[self.gone] < self.fake.steady_now - RETENTION + 1:
            self.gone += 1

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "spool"):
            return
        assert (self.spool.last_seq, self.spool.cursor, self.spool.spool_id) == (len(self.rows), self.cursor, self.name)
        kept = self.runner.run(self.spool.batch(self.gone + 1, 4096, 1 << 20)) if self.gone < len(self.rows) else []
        assert [decode_item(row) for row in kept] == self.rows[self.gone :]
        assert self.spool.losses == 0

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.close()
        self.runner.close()
        shutil.rmtree(self.folder)


assert CHUNK > 100, "the model deletes in one go"
SpoolMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
TestSpoolModel = SpoolMachine.TestCase

"""Server time of the operators' pages over a generated fleet, against their targets, on SQLite and PostgreSQL.

    python -m benchmarks.central.console [--customers 2000] [--repeat 20] [--only REGEX] [--slow]
    python -m benchmarks.central.console --database URL        # a fleet made before by 'metergate central seed'

The application answers within this process: no network, no browser. Each address is asked once to warm up, then
``--repeat`` times, of another meter, group or word each time. What a page loads by itself afterwards (its widgets) is
measured as well, each by itself. ``cpu`` is the median of this process's own processor time, which other work on
the machine hardly lengthens; with PostgreSQL the server has its own. A page that is not there is said to be missing.
``--slow`` shows the statements that took longest of those that miss their target.
"""

import asyncio
import gc
import html
import json
import logging
import re
import resource
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import click
import psutil  # type: ignore[import-untyped]
import structlog
from rich.console import Console
from rich.table import Table
from sqlalchemy import event, func, select

from central.accounts.models import Tenant, User
from central.accounts.roles import grant
from central.accounts.service import TenantOf, ensure_tenant
from central.accounts.sessions import open_session
from central.app import create_app
from central.metering.models import MeterMonth, ProfileSeries
from central.registry.models import Customer, CustomerGroup, Gateway, Lot, Meter
from central.seed.plan import Parameters
from central.seed.service import seed
from central.settings import DatabaseSettings, Settings
from central.store.engine import Database, open_url
from central.store.migrate import migrate
from tests.postgres import Cluster, binaries

ZONE: Final = "America/Sao_Paulo"


class Asked(NamedTuple):
    """A page: its name, address with places for what varies, and the p95 it may take, ms."""

    name: str
    address: str
    target: float
    pieces: bool = False  # measure what it loads by itself as well


#: Reports: name, key, what they are asked with. Their page, the first rows and the totals are measured.
_REPORTS: Final = (
    ("last registers", "registers-last", "date={today}"),
    ("one meter", "registers-meter", "meter={meter}&month={month}"),
    ("consumption", "consumption", "month={month}"),
    ("billing", "billing", "lot={lot}&month={month}"),
    ("availability", "availability", "month={month}"),
    ("day by day", "availability-days", "month={month}"),
    ("temperature", "temperature", "month={month}"),
    ("signal", "signal", "month={month}"),
    ("profile", "profile", "meter={profiled}&month={month}"),
    ("events", "events", "month={month}"),
)
#: All that is measured. Places: meter (with readings), profiled (with profiles), group, region, gateway, customer, lot,
#: word, month.
PAGES: Final = (
    Asked("dashboard", "/?date={today}", 300, pieces=True),
    Asked("group, feeder", "/groups/{group}", 300, pieces=True),
    Asked("group, region", "/groups/{region}", 300, pieces=True),
    Asked("groups", "/groups", 300, pieces=True),
    Asked("meter", "/meters/{meter}", 150, pieces=True),
    Asked("meter, registration", "/meters/{meter}/registration", 150, pieces=True),
    Asked("meter, billing", "/meters/{meter}/billing", 150, pieces=True),
    Asked("meter, readings", "/meters/{profiled}/readings", 150, pieces=True),
    Asked("meter, reports", "/meters/{meter}/reports", 150, pieces=True),
    Asked("tree, business", "/tree/business", 50),
    Asked("tree, region", "/tree/business?node=b{region}", 50),
    Asked("tree, feeder", "/tree/business?node=b{group}", 50),
    Asked("tree, customer", "/tree/business?node=c{customer}", 50),
    Asked("tree, communication", "/tree/communication", 50),
    Asked("tree, gateway", "/tree/communication?node=g{gateway}", 50),
    Asked("tree, line", "/tree/communication?node=l{gateway}.rf-1", 50),
    Asked("search", "/find?q={word}", 100),
    Asked("meters", "/meters", 300),
    Asked("meters, rows", "/data/meters", 300),
    Asked("meters, search", "/data/meters?q={word}", 300),
    Asked("gateways", "/gateways", 300, pieces=True),
    Asked("alarms", "/alarms", 300, pieces=True),
    Asked("CCEE", "/ccee", 300, pieces=True),
    Asked("registry, customers", "/registry/customer", 300, pieces=True),
    Asked("reports", "/reports", 300),
    *(
        Asked(f"report {number}, {name}{part}", f"{before}{key}{after}?{query}", 500)
        for number, (name, key, query) in enumerate(_REPORTS, 1)
        for part, before, after in (
            ("", "/reports/", ""),
            (", rows", "/data/reports/", ""),
            (", totals", "/reports/", "/totals"),
        )
    ),
)
#: The largest export: every meter once. Seconds it may take.
XLSX: Final = "/reports/registers-last/export?format=xlsx&date={today}"
XLSX_SECONDS: Final = 30.0
#: Where pages say what they load by themselves.
_PIECES: Final = re.compile(r'(?:hx-get|data-url|data-src|data-chart)="(/[^"]+)"')
_SAMPLES: Final = 40


@dataclass
class Timed:
    """What came of one address: seconds of each answer, and of this process's cores, its last status and size."""

    asked: Asked
    status: int = 0
    octets: int = 0
    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds) * 1000

    @property
    def p95(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))] * 1000

    @property
    def misses(self) -> bool:
        return self.status == 200 and self.p95 > self.asked.target


class App:
    """The application, asked without a server in between."""

    def __init__(self, app: Any, cookie: str) -> None:
        self._app, self._cookie = app, cookie

    async def get(self, address: str) -> tuple[int, int, bytes]:
        """Status, octets of the body, and its beginning."""
        parts = urlsplit(address)
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": parts.path, "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
            "headers": [(b"host", b"localhost"), (b"cookie", self._cookie.encode()), (b"accept-language", b"pt-BR")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip
        status, octets, kept = 0, 0, bytearray()
        asked, answered = False, asyncio.Event()

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await answered.wait()  # whoever asked says no more, and goes with the last piece
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status, octets
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                body = message.get("body", b"")
                octets += len(body)
                kept.extend(body[: max(0, (1 << 20) - len(kept))])
                if not message.get("more_body", False):
                    answered.set()

        await self._app(scope, receive, send)
        return status, octets, bytes(kept)


@asynccontextmanager
async def application(url: str) -> AsyncIterator[tuple[App, dict[str, Any]]]:
    """The application over a database, an administrator's session, and values for the places in addresses."""
    database = open_url(url)
    tenant, token = await _session(database)
    places = await _places(database, tenant)
    await database.close()
    app = create_app(Settings(database=DatabaseSettings(url=url)), follow=False)
    async with app.lifespan():
        gc.collect()
        gc.freeze()  # as `metergate central serve` does
        yield App(app, f"mg_session={token}"), places


async def _session(database: Database) -> tuple[Tenant, str]:
    now = int(time.time())
    async with database.write() as db:
        tenant = (await db.scalars(select(Tenant).order_by(Tenant.id).limit(1))).one()
        user = await db.scalar(select(User).where(User.login == "benchmark"))
        if user is None:
            user = User(tenant_id=tenant.id, login="benchmark", name="Benchmark", password_hash="", created_at=now)
            db.add(user)
            await db.flush()
            await grant(db, user, "administrator")
            await db.refresh(user)
        opened = await open_session(db, user, "127.0.0.1", "benchmark", now)
    return tenant, opened.token


async def _places(database: Database, tenant: Tenant) -> dict[str, Any]:
    """Some of everything, to be asked for in turn."""

    def some(column: Any, *where: Any) -> Any:
        return select(column).where(*where).order_by(func.random()).limit(_SAMPLES)

    mine = tenant.id
    async with database.read() as db:
        read = select(MeterMonth.meter_id).where(MeterMonth.tenant_id == mine)
        groups = [
            row[0] for row in await db.execute(select(Customer.group_id, func.count()).group_by(Customer.group_id)
                                               .where(Customer.group_id.is_not(None)).order_by(func.count().desc()))
        ]  # fmt: skip
        roots = CustomerGroup.tenant_id == mine, CustomerGroup.parent_id.is_(None)
        words = [
            word.split()[-1][:6] for word in await db.scalars(some(Customer.name, Customer.tenant_id == mine))
        ] + list(await db.scalars(some(Meter.serial, Meter.tenant_id == mine)))
        profiled = Meter.id.in_(select(ProfileSeries.meter_id).where(ProfileSeries.tenant_id == mine))
        found = {
            "meter": list(await db.scalars(some(Meter.key, Meter.tenant_id == mine, Meter.id.in_(read)))),
            "profiled": list(await db.scalars(some(Meter.key, Meter.tenant_id == mine, profiled))),
            "group": groups[:_SAMPLES],
            "region": list(await db.scalars(some(CustomerGroup.id, *roots))),
            "gateway": list(await db.scalars(some(Gateway.id, Gateway.tenant_id == mine))),
            "customer": list(await db.scalars(some(Customer.id, Customer.tenant_id == mine))),
            "lot": list(await db.scalars(some(Lot.key, Lot.tenant_id == mine))),
            "word": words,
        }
        newest = (await db.scalar(select(func.max(MeterMonth.read_at)).where(MeterMonth.tenant_id == mine))) or 0
    day = time.strftime("%Y-%m-%d", time.gmtime(newest - 3 * 3600))
    return found | {"month": [day[:7]], "today": [day]}


class Statements:
    """Times the statements that run meanwhile."""

    def __init__(self, engine: Any) -> None:
        self.seen: list[tuple[float, str]] = []
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)

    def _before(self, _connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.metergate_began = time.perf_counter()

    def _after(self, _connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        self.seen.append((time.perf_counter() - context.metergate_began, " ".join(statement.split())))


async def measure(url: str, pages: Sequence[Asked], repeat: int, slow: bool) -> list[Timed]:
    """Ask every page and what it loads by itself."""
    found: list[Timed] = []
    async with application(url) as (app, places):
        statements = Statements(_engine(app)) if slow else None
        turns = {name: cycle(values or [0]) for name, values in places.items()}

        def address(pattern: str) -> str:
            return re.sub(r"\{(\w+)\}", lambda match: quote(str(next(turns[match[1]]))), pattern)

        for asked in pages:
            timed = Timed(asked)
            found.append(timed)
            pieces: dict[str, list[str]] = {}
            for n in range(repeat + 1):
                body = await _ask(app, timed, address(asked.address), n > 0, statements)
                if timed.status != 200:
                    break
                if asked.pieces:
                    for piece in dict.fromkeys(html.unescape(text) for text in _PIECES.findall(body.decode())):
                        kind = re.sub(r"/(MR-\d+|ctl-\d+|\d+)(?=/|$)", "/*", urlsplit(piece).path)
                        pieces.setdefault(kind, []).append(piece)
            known = {urlsplit(page.address).path for page in pages} | {timed.asked.address for timed in found}
            for kind, addresses in pieces.items():
                if kind in known:
                    continue
                part = Timed(Asked(f"  {kind}", kind, asked.target))
                found.append(part)
                turn = cycle(addresses)
                for n in range(repeat + 1):
                    await _ask(app, part, next(turn), n > 0, statements)
                    if part.status not in (200, 204):
                        break
    return found


async def _ask(app: App, timed: Timed, address: str, counts: bool, statements: Statements | None) -> bytes:
    if statements:
        statements.seen.clear()
    began, busy = time.perf_counter(), time.process_time()
    timed.status, timed.octets, body = await app.get(address)
    seconds = time.perf_counter() - began
    if counts:
        timed.busy.append(time.process_time() - busy)
        timed.seconds.append(seconds)
        if statements and seconds >= max(timed.seconds):
            timed.slowest = sorted(statements.seen, reverse=True)[:4]
    return body


def _engine(app: App) -> Any:
    database: Database = app._app.state.database
    return database.engine.sync_engine


class Export(NamedTuple):
    """The large export: status, seconds, octets, and MiB of memory more than before it at its highest."""

    status: int
    seconds: float
    octets: int
    memory: float


async def export(url: str) -> Export:
    """Ask for the XLSX of every meter while somebody looks at this process's memory."""
    async with application(url) as (app, places):
        await app.get("/reports")
        process = psutil.Process()
        before = highest = process.memory_info().rss
        done = threading.Event()

        def watch() -> None:
            nonlocal highest
            while not done.wait(0.02):
                highest = max(highest, process.memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.perf_counter()
        try:
            status, octets, _ = await app.get(
                XLSX.format(**{name: values[0] for name, values in places.items() if values})
            )
        finally:
            done.set()
            watcher.join()
        return Export(status, time.perf_counter() - began, octets, (highest - before) / 2**20)


async def make_fleet(url: str, customers: int, months: int) -> None:
    """A database with a fleet of its own."""
    database = open_url(url)
    await migrate(database)
    async with database.write() as session:
        tenant = await ensure_tenant(session, TenantOf("default", "Benchmark", ZONE))
    wanted = Parameters(customers, months, 1, min(100, customers), int(time.time()), ZONE)
    await seed(database, tenant, wanted, told=lambda _done, _total: None)
    await database.close()


def show(console: Console, title: str, found: Sequence[Timed], exported: Export | None, slow: bool) -> None:
    """Print a table, misses in red, and their slowest statements."""
    table = Table(title=title)
    for head in ("page", "p50, ms", "p95, ms", "target", "cpu, ms", "kB"):
        table.add_column(head, justify="left" if head == "page" else "right")
    for timed in found:
        if not timed.seconds:
            table.add_row(timed.asked.name, f"status {timed.status}", style="dim")
            continue
        style = "red" if timed.misses else None
        target, size = f"{timed.asked.target:.0f}", f"{timed.octets / 1000:.0f}"
        busy = f"{statistics.median(timed.busy) * 1000:.0f}"
        table.add_row(timed.asked.name, f"{timed.p50:.0f}", f"{timed.p95:.0f}", target, busy, size, style=style)
    console.print(table)
    if exported is not None:
        console.print(
            f"XLSX of every meter: status {exported.status}, {exported.seconds:.1f} s (target {XLSX_SECONDS:.0f}), "
            f"{exported.octets / 1e6:.1f} MB, {exported.memory:.0f} MiB more memory at its highest"
        )
    if slow:
        for timed in found:
            if timed.misses:
                console.print(f"\n{timed.asked.name.strip()}: p95 {timed.p95:.0f} ms, target {timed.asked.target:.0f}")
                for seconds, statement in timed.slowest:
                    console.print(f"  {seconds * 1000:.0f} ms  {statement[:1500]}", markup=False)


@click.command()
@click.option("--customers", default=2000, show_default=True, help="Of the fleet that is made.")
@click.option("--months", default=13, show_default=True)
@click.option("--repeat", default=20, show_default=True, help="Times each address is asked.")
@click.option("--only", default="", help="Only pages whose name this expression finds.")
@click.option("--database", "urls", multiple=True, help="Measure this fleet instead of making one; repeatable.")
@click.option("--no-xlsx", is_flag=True)
@click.option("--slow", is_flag=True, help="Show the slowest statements of what misses its target.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write the figures there as well.")
def main(
    customers: int,
    months: int,
    repeat: int,
    only: str,
    urls: tuple[str, ...],
    no_xlsx: bool,
    slow: bool,
    file: Path | None,
) -> None:
    """Server time of the operators' pages."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console(width=160)
    pages = [page for page in PAGES if re.search(only, page.name)]
    kept: dict[str, Any] = {}

    def run(name: str, url: str) -> None:
        found = asyncio.run(measure(url, pages, repeat, slow))
        exported = None if no_xlsx else asyncio.run(export(url))
        show(console, name, found, exported, slow)
        kept[name] = {
            "pages": {t.asked.name.strip(): [round(t.p50, 1), round(t.p95, 1), t.octets] for t in found if t.seconds},
            "xlsx": exported, "highest memory, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }  # fmt: skip

    for url in urls:
        run(url.partition("+")[0], url)
    if not urls:
        folder = Path(tempfile.mkdtemp(prefix="metergate-console-"))
        cluster = Cluster() if binaries() else None
        try:
            places = {"sqlite": f"sqlite+aiosqlite:///{folder / 'fleet.sqlite'}"}
            if cluster is not None:
                places["postgresql"] = cluster.new_database()
            for name, url in places.items():
                began = time.perf_counter()
                asyncio.run(make_fleet(url, customers, months))
                console.print(
                    f"{name}: {customers} customers, {months} months made in {time.perf_counter() - began:.0f} s"
                )
                run(f"{name}, {customers} customers", url)
        finally:
            shutil.rmtree(folder)
            if cluster is not None:
                cluster.remove()
    if file is not None:
        file.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()

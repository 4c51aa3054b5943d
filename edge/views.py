"""What ``status`` and ``read`` show: tables by rich for people, JSON for scripts."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.table import Table

from edge import control
from edge.config import Config, Meter
from edge.config.model import Spool as SpoolConfig
from edge.errors import ConfigError, EdgeError, LinkError
from edge.export import floats, named, unit_of
from shared.intervals import iso
from shared.quantities import POST_LABELS, PROCESS_LABELS, Quantity, QuantityError
from shared.wire import InstantSnapshot, MeterEvent, ProfileBlock, RegisterReading

COLOURS = {"ok": "green", "idle": "green", "busy": "cyan", "connected": "green", "new": "cyan", "stale": "yellow",
           "listening": "green", "waiting": "cyan", "testing": "cyan"}  # fmt: skip


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160)


async def show_status(config: Config, as_json: bool) -> bool:
    """Show a running gateway; False when none runs, then what its spool says."""
    socket = control.socket_path(Path(config.spool.path))
    try:
        async for answer in control.ask(socket, {"op": "status"}):
            if answer.get("event") != "result":
                raise EdgeError(str(answer.get("text")))
            if as_json:
                click.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())
            else:
                _show_running(answer)
            return True
    except LinkError as error:
        _show_stopped(config, str(error), as_json)
    return False


def _show_running(answer: dict[str, Any]) -> None:
    state, uplink, console = answer["state"], answer["uplink"], _console()
    console.print(f"gateway [bold]{answer.get('gateway', '')}[/] runs since {iso(state['started_at'])}, "
                  f"configuration {state['config']}, version {state['version']}")  # fmt: skip
    colour = COLOURS.get(uplink["state"], "red")
    console.print(f"broker [{colour}]{uplink['state']}[/] {escape(uplink['error'])}".rstrip())
    console.print(
        f"spool  {state['spool_rows']} rows to deliver of {uplink['last_seq']}, {uplink['spool_bytes']} bytes"
    )
    for alarm in state["alarms"]:
        console.print(f"[red]alarm[/] {escape(alarm)}")
    lines = Table("line", "state", "owner", "queue", "since", "last error", title="Lines")
    for line in state["lines"]:
        lines.add_row(
            line["line"], _coloured(line["state"]), line["owner"], str(line["queue"]), iso(line["since"]), line["error"]
        )
    meters = Table("meter", "line", "state", "last reading", "missing", "last error", title="Meters")
    for meter in state["meters"]:
        meters.add_row(
            meter["meter"], meter["line"], _coloured(meter["state"]), _ago(meter["last_ok"]), str(meter["missing"]),
            meter["error"],
        )  # fmt: skip
    console.print(lines)
    console.print(meters)
    if state["forwards"]:
        console.print(_forwards(state["forwards"]))


async def show_forwards(config: Config, as_json: bool) -> None:
    """Show the forwards of a running gateway; raises :class:`NoGatewayError` when none runs."""
    async for answer in control.ask(control.socket_path(Path(config.spool.path)), {"op": "status"}):
        if answer.get("event") != "result":
            raise EdgeError(str(answer.get("text")))
        forwards = answer["state"]["forwards"]
        if as_json:
            click.echo(msgspec.json.format(msgspec.json.encode(forwards)).decode())
        else:
            _console().print(_forwards(forwards))


def _forwards(forwards: list[dict[str, Any]]) -> Table:
    table = Table("meter", "listens", "mode", "state", "client", "CCEE's last success", "our last success", "refused",
                  "trouble", title="Forwards")  # fmt: skip
    for each in forwards:
        refused = each["refused"] + each["live"].get("turned_away", 0)
        table.add_row(
            each["meter"], each["listen"], each["mode"], _coloured(each["state"]), each["source"],
            _ago(each["last_ccee_ok"]), _ago(each["last_own_ok"]), str(refused), each["error"],
        )  # fmt: skip
    return table


def _show_stopped(config: Config, why: str, as_json: bool) -> None:
    from edge.spool.inspection import overview

    try:
        found = overview(Path(config.spool.path))
    except ConfigError as error:
        raise ConfigError(f"{why}; {error}") from error
    if as_json:
        counts = {kind: {"rows": n.rows, "pending": n.pending} for kind, n in found.kinds.items()}
        spool = {"pending": found.pending, "last_seq": found.last_seq, "bytes": found.bytes, "kinds": counts}
        click.echo(msgspec.json.encode({"running": False, "reason": why, "spool": spool}).decode())
        return
    click.echo(f"not running: {why}", err=True)
    click.echo(f"spool {found.path}: {found.pending} rows to deliver of {found.last_seq}, {found.bytes} bytes")
    for kind, count in sorted(found.kinds.items()):
        click.echo(f"  {kind:<10} {count.rows:>8} rows, {count.pending} to deliver")
    for name in found.damaged_files:
        click.echo(f"  damaged file kept: {name}")


async def read_meter(config: Config, meter: str, kinds: Sequence[str], as_json: bool) -> bool:
    """Read through the running gateway, else on the line directly; True when all kinds were read."""
    known = {each.id: each for each in config.meters}
    if meter not in known:
        raise ConfigError(f"no meter {meter!r} in this configuration; there are: {', '.join(known) or 'none'}")
    socket = control.socket_path(Path(config.spool.path))
    request = {"op": "read", "meter": meter, "kinds": list(kinds)}
    try:
        answer = await _through_gateway(socket, request, as_json)
    except control.NoGatewayError:
        answer = await _directly(config, known[meter], kinds)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(answer)).decode())
    else:
        show_items(answer)
    return not answer["errors"]


async def _through_gateway(socket: Path, request: dict[str, Any], quiet: bool) -> dict[str, Any]:
    with Bar(console=Console(stderr=True), disable=quiet or not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(f"reading {request['meter']}", total=None)
        async for answer in control.ask(socket, request):
            if answer["event"] == "progress":
                bar.update(task, description=answer["kind"], completed=answer["done"], total=answer["total"] or None)
            elif answer["event"] == "error":
                raise EdgeError(str(answer.get("text")))
            else:
                return answer
    raise LinkError("the gateway ended before it answered")


async def _directly(config: Config, meter: Meter, kinds: Sequence[str]) -> dict[str, Any]:
    """Open the line and ask; the lock of the gateway's spool is held meanwhile, and nothing is stored there."""
    from edge.fleet import build_fleet
    from edge.lines.contract import LineClass
    from edge.poller.reader import Reader
    from edge.poller.schedule import Kind
    from edge.spool import Spool

    with tempfile.TemporaryDirectory(prefix="metergate-read-") as folder:
        alone = msgspec.structs.replace(
            config, meters=[meter], spool=SpoolConfig(path=str(Path(folder, "spool.db")), free_bytes=0)
        )
        with control.no_gateway(Path(config.spool.path)):
            async with Spool(Path(alone.spool.path), config.gateway, alone.spool) as spool:
                fleet = await build_fleet(alone, spool)
                try:
                    reader = Reader(spool, lambda progress: None)
                    wanted = [kind for kind in Kind if kind.value in kinds]
                    outcome = await reader.visit(fleet.units[meter.id], wanted, LineClass.COMMAND)
                finally:
                    await fleet.close()
    if outcome.error is not None and not outcome.done:
        raise outcome.error
    return {
        "event": "result", "items": [named(item) for item in outcome.items], "drift": outcome.drift,
        "errors": [str(error) for _, error in outcome.errors],
    }  # fmt: skip


def show_items(answer: dict[str, Any]) -> None:
    """Tables of what a reading brought."""
    console = _console()
    if answer["drift"] is not None:
        console.print(f"clock {answer['drift']:+.1f} s against this gateway")
    for item in answer["items"]:
        kind = item["type"]
        if kind == RegisterReading.__name__:
            _show_registers(console, item)
        elif kind == InstantSnapshot.__name__:
            _show_instant(console, item)
        elif kind == ProfileBlock.__name__:
            console.print(
                f"profile {item['channel']} {label_of(item['channel'])}: {item['count']} intervals of {item['step']} s "
                f"from {iso(item['start'])}"
            )
        elif kind == MeterEvent.__name__:
            until = f" until {iso(item['until'])}" if item["until"] else ""
            console.print(f"event {iso(item['at'])} {item['kind']}{until} {item['detail'] or ''}")
    for error in answer["errors"]:
        console.print(f"[red]not read:[/] {error}")


def _show_registers(console: Console, item: dict[str, Any]) -> None:
    period = "running period" if item["period"] == 0 else "closed period"
    table = Table("OBIS", "quantity", "value", "unit", "at", title=f"{item['meter']}, {period}, {iso(item['at'])}")
    for value in item["values"]:
        number = value["value"] * value["num"] / value["den"]
        code = value["quantity"]
        at = iso(value["at"]) if value["at"] is not None else ""
        table.add_row(code, label_of(code), f"{number:,.3f}", unit_of(code), at)
    console.print(table)


def _show_instant(console: Console, item: dict[str, Any]) -> None:
    table = Table("OBIS", "quantity", "value", "unit", title=f"{item['meter']}, {iso(item['at'])}")
    for code, number in zip(item["quantities"], floats(bytes.fromhex(item["values"])), strict=False):
        table.add_row(code, label_of(code), "-" if number != number else f"{number:.3f}", unit_of(code))
    console.print(table)


def label_of(code: str) -> str:
    """A quantity in words; the code itself where it has none."""
    try:
        quantity = Quantity.parse(code)
    except QuantityError:
        return code
    post = "" if quantity.e == 0 else f", {POST_LABELS.get(quantity.e, quantity.e)}"
    return f"{quantity.label}, {PROCESS_LABELS.get(quantity.d, quantity.d)}{post}"


def _coloured(state: str) -> str:
    return f"[{COLOURS.get(state, 'red')}]{state}[/]"


def _ago(instant: int | None) -> str:
    return "never" if instant is None else f"{iso(instant)} ({max(int(time.time()) - instant, 0)} s ago)"

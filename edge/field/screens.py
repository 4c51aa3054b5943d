"""The screens of ``metergate field``: places, then a meter, then delivery; everything by keyboard (Textual)."""

import os
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Header, Input, Label, OptionList, RichLog
from textual.widgets.option_list import Option

from edge.errors import EdgeError
from edge.export import unit_of
from edge.field import bundle, phasors, show
from edge.field.audit import audit
from edge.field.bench import words
from edge.field.checking import check
from edge.field.expected import Expectation
from edge.field.files import write_reading
from edge.field.folder import Folder
from edge.field.identify import identify
from edge.field.place import Options, Place, parse
from edge.field.ports import serial_ports
from edge.field.reading import Brought, Stamp, read
from edge.field.sync import central, sync
from edge.views import label_of
from shared.intervals import iso
from shared.wire import InstantSnapshot, MeterEvent, ProfileBlock, RegisterReading

BROKER: Final = "METERGATE_FIELD_BROKER"


class FieldApp(App[None]):
    """The field tool on a terminal."""

    TITLE = "Metergate field"
    CSS = """
    Input { margin: 0 0 1 0; }
    #left { width: 30; padding: 0 1; }
    #log { border: round $primary; padding: 0 1; }
    #hint { color: $text-muted; }
    OptionList { height: auto; max-height: 16; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "quit", "Quit")]

    def __init__(self, folder: Folder, who: str) -> None:
        super().__init__()
        self.folder, self.who = folder, who

    def on_mount(self) -> None:
        self.sub_title = f"{self.who} on {self.folder.laptop}"
        self.push_screen(PlacesScreen(self.folder, self.who))


class FieldScreen(Screen[None]):
    """What every screen has: the folder, a log of its own, work that ends in words."""

    def __init__(self, folder: Folder, who: str) -> None:
        super().__init__()
        self.folder, self.who = folder, who

    def say(self, what: RenderableType) -> None:
        """Add to the log; texts are markup of rich."""
        self.query_one("#log", RichLog).write(Text.from_markup(what) if isinstance(what, str) else what)

    async def attempt(self, title: str, doing: Callable[[], Awaitable[None]]) -> None:
        """Do it and say how it ended; nothing a meter does may take the screen away."""
        self.say(f"[bold]{escape(title)}[/]")
        try:
            await doing()
        except EdgeError as error:
            self.say(f"[red]{escape(str(error))}[/]")
        except Exception as error:
            self.say(f"[red]{escape(words(error))}[/]")
        self.say("")


class PlacesScreen(FieldScreen):
    """Serial ports, places of earlier visits, or an address typed in."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "look", "Look again"),
        Binding("f8", "deliver", "Bundle and sync"),
        Binding("ctrl+q", "app.quit", "Quit"),
    ]

    def compose(self) -> ComposeResult:
        yield Header()
        with Vertical():
            yield Label("Where is the meter? Choose, or type /dev/..., host:port, or gateway.toml#METER.", id="hint")
            yield Input(placeholder="10.0.0.7:4001", id="place")
            yield OptionList(id="places")
            yield RichLog(id="log", wrap=True)
        yield Footer()

    def on_mount(self) -> None:
        self.action_look()
        self.query_one("#places", OptionList).focus()

    def action_look(self) -> None:
        """List what is plugged in now, and where this laptop was before."""
        options = self.query_one("#places", OptionList)
        options.clear_options()
        found = serial_ports()
        options.add_options([Option(f"{p.device}  {p.what or 'built-in port'}  {p.words}", p.device) for p in found])
        known = [place for place in self.folder.places() if place not in {port.device for port in found}]
        options.add_options([Option(f"{place}  visited before", place) for place in known])
        if not options.option_count:
            self.query_one("#place", Input).focus()
        elif options.highlighted is None:
            options.highlighted = 0

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._go(event.option.id or "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._go(event.value.strip())

    def _go(self, text: str) -> None:
        try:
            place = parse(text)
        except EdgeError as error:
            self.say(f"[red]{escape(str(error))}[/]")
            return
        self.app.push_screen(MeterScreen(self.folder, self.who, place))

    def action_deliver(self) -> None:
        self.app.push_screen(DeliverScreen(self.folder, self.who))


class MeterScreen(FieldScreen):
    """One place: identify, read, check, test."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "identify", "Identify"),
        Binding("f3", "read('registers')", "Registers"),
        Binding("f4", "read('instantaneous')", "Phasors"),
        Binding("f6", "read('profile')", "Profile"),
        Binding("f7", "check", "Check"),
        Binding("f9", "audit", "Audit channel"),
        Binding("f8", "deliver", "Bundle and sync"),
        Binding("escape", "app.pop_screen", "Back"),
    ]

    def __init__(self, folder: Folder, who: str, place: Place) -> None:
        super().__init__(folder, who)
        self.place = place

    def compose(self) -> ComposeResult:
        yield Header()
        with Horizontal():
            with Vertical(id="left"):
                yield Label(self.place.text)
                yield Label("Serial that must answer", classes="hint")
                yield Input(placeholder="any", id="serial", max_length=8)
                yield Label("Why you read", classes="hint")
                yield Input(placeholder="travels with the reading", id="why")
            yield RichLog(id="log", wrap=True, min_width=60)
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#why", Input).value = os.environ.get("METERGATE_FIELD_WHY", "")
        self.say("F2 finds out who is there; the keys below do the rest. Tab changes the field, Esc goes back.")
        self.query_one("#log", RichLog).focus()

    @property
    def options(self) -> Options:
        return Options(serial=self.query_one("#serial", Input).value.strip())

    @work(exclusive=True)
    async def action_identify(self) -> None:
        async def doing() -> None:
            found = await identify(self.place, self.folder, self.options, lambda line: self.say(escape(line)))
            self.folder.journal("identify", who=self.who, place=self.place.text, protocol=found.protocol)
            self.say(f"[green]{escape(found.words)}[/]" if found.readable else f"[yellow]{escape(found.words)}[/]")

        await self.attempt("Identify", doing)

    @work(exclusive=True)
    async def action_read(self, kind: str) -> None:
        why = self.query_one("#why", Input).value.strip()
        if not why:
            self.say("[yellow]Say why first: the reason travels with the reading.[/]")
            self.query_one("#why", Input).focus()
            return

        async def doing() -> None:
            stamp = Stamp(self.who, why)
            brought = await read(self.place, self.folder, self.options, (kind,), stamp, None, self._progress)
            self.folder.journal("read", who=self.who, why=why, place=self.place.text, kinds=brought.done,
                                stored=brought.stored, errors=brought.errors)  # fmt: skip
            self._show(brought)

        await self.attempt(f"Read {kind}", doing)

    def _progress(self, done: int, total: int) -> None:
        self.sub_title = f"{done} of {total} blocks" if done < total else ""

    def _show(self, brought: Brought) -> None:
        self.sub_title = ""
        for item in brought.items:
            if isinstance(item, InstantSnapshot):
                found = phasors.of_snapshot(item)
                self.say("no voltage, no picture" if found is None else phasors.picture(found))
            elif isinstance(item, RegisterReading):
                self.say(_registers(item))
            elif isinstance(item, MeterEvent):
                self.say(f"event {iso(item.at)} {escape(item.kind)}")
        blocks = [item for item in brought.items if isinstance(item, ProfileBlock)]
        for line in show.profile_summary(blocks):
            self.say(line)
        if blocks:
            path = self.folder.path / f"profile-{brought.meter}-{blocks[0].start}.csv"
            write_reading(path, blocks, [])
            self.say(f"written: {escape(str(path))}")
        for error in brought.errors:
            self.say(f"[red]not read: {escape(error)}[/]")
        self.say(f"{brought.stored} items kept here; F8 delivers them")

    @work(exclusive=True)
    async def action_check(self) -> None:
        async def doing() -> None:
            wanted = Expectation(serial=self.options.serial)
            points, _ = await check(self.place, self.folder, self.options, wanted)
            wrong = [point.what for point in points if point.ok is False]
            self.folder.journal("check", who=self.who, place=self.place.text, wrong=wrong)
            for point in points:
                self.say(f"{show.MARKS[point.ok]} {point.what}: {escape(point.found)}  {escape(point.advice)}")

        await self.attempt("Check", doing)

    @work(exclusive=True)
    async def action_audit(self) -> None:
        async def doing() -> None:
            result = await audit(self.place, self.folder, self.options, lambda step: self.say(show.step(step)))
            self.folder.journal("audit", who=self.who, place=self.place.text, verdict=result.verdict)
            colour = "green" if result.ok else "red"
            self.say(f"[{colour}]{result.verdict} {escape(result.diagnosis)}[/]")

        await self.attempt("Audit channel, as the CCEE would", doing)

    def action_deliver(self) -> None:
        self.app.push_screen(DeliverScreen(self.folder, self.who))


class DeliverScreen(FieldScreen):
    """The support bundle, and delivery to the aggregator."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "bundle", "Make bundle"),
        Binding("f3", "sync", "Sync"),
        Binding("escape", "app.pop_screen", "Back"),
    ]

    def compose(self) -> ComposeResult:
        yield Header()
        with Vertical():
            yield Label("Broker (mqtts://[user@]host[:port]/tenant)")
            yield Input(value=os.environ.get(BROKER, ""), id="broker")
            yield Label("Password")
            yield Input(password=True, id="key")
            yield RichLog(id="log", wrap=True)
        yield Footer()

    def on_mount(self) -> None:
        self.query_one("#log", RichLog).focus()

    @work(exclusive=True)
    async def action_bundle(self) -> None:
        async def doing() -> None:
            self.say(escape(str(bundle.make(self.folder, None, []))))

        await self.attempt("Support bundle", doing)

    @work(exclusive=True)
    async def action_sync(self) -> None:
        async def doing() -> None:
            where = central(self.query_one("#broker", Input).value.strip(), self.query_one("#key", Input).value)
            done = await sync(self.folder, where, self._tell)
            self.folder.journal("sync", who=self.who, broker=where.settings.host, sent=done.sent)
            self.say(f"[green]{done.sent} rows delivered and confirmed, {done.left} left[/]")

        await self.attempt("Sync", doing)

    def _tell(self, done: int, total: int) -> None:
        self.sub_title = f"{done} of {total}"


def _registers(item: RegisterReading) -> Table:
    period = "running period" if item.period == 0 else "closed period"
    table = Table("OBIS", "quantity", "value", "unit", title=f"{item.meter}, {period}, {iso(item.at)}")
    for value in item.values:
        number = value.value * value.num / value.den
        table.add_row(value.quantity, label_of(value.quantity), f"{number:,.3f}", unit_of(value.quantity))
    return table

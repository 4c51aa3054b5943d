"""Types of fields: what values they take from programs and from cells of a sheet, and how they are kept.

Three forms of a value: as the API has it (references are keys, days ``2026-03-31``), as text in a cell, and as columns.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from central.api.schemas import Latitude, Longitude, NoteText, Scale
from central.registry import faults
from central.registry.faults import Wrong
from shared.calendar import CalendarError, DstPeriod, TariffCalendar
from shared.ids import IdError, check_id
from shared.intervals import IntervalError

MAX_INTEGER: Final = (1 << 53) - 1  # what a browser's JSON keeps exactly
#: Days that local calendars and both databases can hold.
FIRST_DAY, LAST_DAY = date(1971, 1, 1), date(9998, 12, 31)
EPOCH: Final = date(1970, 1, 1)

_YES: Final = frozenset({"1", "true", "yes", "y", "x", "sim", "s", "sí", "si", "да", "д", "on", "verdadeiro", "истина"})
_NO: Final = frozenset({"0", "false", "no", "n", "não", "nao", "нет", "н", "off", "falso", "ложь"})
_LOCAL_DAY: Final = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")


@dataclass(frozen=True)
class Type:
    """Base: text as it stands. ``widget`` is how forms ask for it; ``empty`` is what an empty cell means, None: left
    as it is."""

    widget: ClassVar[str] = "text"

    @property
    def shape(self) -> Any:
        """Annotation of the API's value."""
        return str

    @property
    def empty(self) -> Any:
        return ""

    @property
    def nullable(self) -> bool:
        return False

    def check(self, value: Any) -> Any:
        """The value as the API has it, put in order; raises :class:`Wrong`."""
        return value

    def parse(self, cell: str) -> Any:
        """The API's value of a cell that is not empty; raises :class:`Wrong`."""
        return cell

    def write(self, value: Any) -> str:
        """The cell of a value."""
        return "" if value is None else str(value)

    def columns(self, name: str) -> tuple[str, ...]:
        """Columns of the table that hold it."""
        return (name,)

    def store(self, name: str, value: Any) -> dict[str, Any]:
        return {name: value}

    def load(self, *stored: Any) -> Any:
        return stored[0]


@dataclass(frozen=True)
class Text(Type):
    longest: int = 200
    least: int = 0
    long: bool = False

    @property
    def widget(self) -> str:  # type: ignore[override]
        return "area" if self.long else "text"

    @property
    def shape(self) -> Any:
        return NoteText if self.long else Annotated[str, Meta(min_length=self.least or None, max_length=self.longest)]

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > self.longest or "\0" in value:
            raise Wrong(faults.TEXT, longest=self.longest)
        return value.strip()


@dataclass(frozen=True)
class Key(Text):
    """What names a thing to the outside; ``wire`` keys are names of MQTT topics too."""

    longest: int = 64
    least: int = 1
    wire: bool = False

    def check(self, value: Any) -> str:
        text = super().check(value)
        if text != value or not text.isprintable():
            raise Wrong(faults.PRINTABLE, value=repr(str(value)[:100]))
        if self.wire:
            try:
                check_id(text)
            except IdError as error:
                raise Wrong(faults.WIRE_ID, value=repr(text[:100])) from error
        return text


@dataclass(frozen=True)
class Email(Text):
    widget: ClassVar[str] = "email"

    def check(self, value: Any) -> str:
        text = super().check(value)
        if text and not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
            raise Wrong(faults.EMAIL, value=repr(text[:100]))
        return text


@dataclass(frozen=True)
class Zone(Text):
    longest: int = 64
    widget: ClassVar[str] = "zone"

    def check(self, value: Any) -> str:
        text = super().check(value)
        if text:
            try:
                ZoneInfo(text)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise Wrong(faults.ZONE, value=repr(text)) from error
        return text


@dataclass(frozen=True)
class Choice(Type):
    """One of a few words."""

    options: tuple[str, ...] = ()
    widget: ClassVar[str] = "choice"

    @property
    def empty(self) -> Any:
        return None

    def check(self, value: Any) -> Any:
        if value not in self.options:
            raise Wrong(faults.CHOICE, value=repr(str(value)[:100]), known=", ".join(self.options))
        return value


@dataclass(frozen=True)
class Integer(Type):
    low: int = 0
    high: int = MAX_INTEGER
    optional: bool = False
    widget: ClassVar[str] = "integer"

    @property
    def shape(self) -> Any:
        return int | None if self.optional else int

    @property
    def empty(self) -> Any:
        return None

    @property
    def nullable(self) -> bool:
        return self.optional

    def check(self, value: Any) -> int | None:
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise Wrong(faults.WHOLE, low=self.low, high=self.high)
        return value

    def parse(self, cell: str) -> int:
        text = re.sub(r"[.,]0+$", "", cell)
        if not re.fullmatch(r"[+-]?\d{1,18}", text):
            raise Wrong(faults.WHOLE, low=self.low, high=self.high)
        return int(text)


@dataclass(frozen=True)
class Number(Type):
    """A position on the globe: None where nobody knows it."""

    low: float = -90
    high: float = 90
    widget: ClassVar[str] = "number"

    @property
    def shape(self) -> Any:
        return Latitude if self.high == 90 else Longitude

    @property
    def empty(self) -> Any:
        return None

    @property
    def nullable(self) -> bool:
        return True

    def check(self, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise Wrong(faults.NUMBER)
        if not self.low <= value <= self.high:
            raise Wrong(faults.RANGE, value=value, low=f"{self.low:g}", high=f"{self.high:g}")
        return float(value)

    def parse(self, cell: str) -> float:
        try:
            return float(cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell)
        except ValueError:
            raise Wrong(faults.NUMBER) from None

    def write(self, value: Any) -> str:
        return "" if value is None else repr(value).removesuffix(".0")


@dataclass(frozen=True)
class Flag(Type):
    widget: ClassVar[str] = "flag"

    @property
    def shape(self) -> Any:
        return bool

    @property
    def empty(self) -> Any:
        return None

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Wrong(faults.FLAG)
        return value

    def parse(self, cell: str) -> bool:
        word = cell.casefold()
        if word not in _YES | _NO:
            raise Wrong(faults.YES_NO)
        return word in _YES

    def write(self, value: Any) -> str:
        return "1" if value else "0"


@dataclass(frozen=True)
class Day(Type):
    """A local day; kept as days since 1970-01-01."""

    widget: ClassVar[str] = "day"

    @property
    def shape(self) -> Any:
        return Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]

    @property
    def empty(self) -> Any:
        return None

    @property
    def nullable(self) -> bool:
        return True

    def check(self, value: Any) -> str | None:
        return None if value is None else parse_day(value).isoformat()

    def parse(self, cell: str) -> str:
        return parse_day(cell).isoformat()

    def store(self, name: str, value: Any) -> dict[str, Any]:
        return {name: None if value is None else (date.fromisoformat(value) - EPOCH).days}

    def load(self, *stored: Any) -> Any:
        return None if stored[0] is None else (EPOCH + timedelta(days=stored[0])).isoformat()


@dataclass(frozen=True)
class Ratio(Type):
    """Exact ratio in two columns."""

    widget: ClassVar[str] = "ratio"

    @property
    def shape(self) -> Any:
        return Scale

    @property
    def empty(self) -> Any:
        return None

    def check(self, value: Any) -> dict[str, int]:
        pair = value if isinstance(value, Mapping) else {"num": value.num, "den": value.den}
        for part in (pair.get("num", 1), pair.get("den", 1)):
            if isinstance(part, bool) or not isinstance(part, int) or not 1 <= part <= MAX_INTEGER:
                raise Wrong(faults.WHOLE, low=1, high=MAX_INTEGER)
        return {"num": pair.get("num", 1), "den": pair.get("den", 1)}

    def parse(self, cell: str) -> dict[str, int]:
        match = re.fullmatch(r"(\d{1,15})\s*[/:]\s*(\d{1,15})", cell)
        if match:
            return {"num": int(match[1]), "den": int(match[2])}
        try:
            ratio = Fraction(cell.replace(",", "."))
        except (ValueError, ZeroDivisionError):
            raise Wrong(faults.RATIO, value=repr(cell[:40])) from None
        return {"num": ratio.numerator, "den": ratio.denominator}

    def write(self, value: Any) -> str:
        return str(value["num"]) if value["den"] == 1 else f"{value['num']}/{value['den']}"

    def columns(self, name: str) -> tuple[str, ...]:
        return f"{name}_num", f"{name}_den"

    def store(self, name: str, value: Any) -> dict[str, Any]:
        return {f"{name}_num": value["num"], f"{name}_den": value["den"]}

    def load(self, *stored: Any) -> Any:
        return {"num": stored[0], "den": stored[1]}


@dataclass(frozen=True)
class Reference(Type):
    """Something else, by its key; of kinds that have none, by its number (in cells: as its list calls it)."""

    kind: str = ""
    by_number: bool = False
    widget: ClassVar[str] = "reference"

    @property
    def shape(self) -> Any:
        return (
            Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
            if self.by_number
            else Annotated[str, Meta(min_length=1, max_length=64)]
        )

    @property
    def empty(self) -> Any:
        return None

    @property
    def nullable(self) -> bool:
        return True

    def columns(self, name: str) -> tuple[str, ...]:
        return (f"{name}_id",)

    def check(self, value: Any) -> Any:
        if value is None or (self.by_number and isinstance(value, int) and not isinstance(value, bool)):
            return value
        if not isinstance(value, str) or len(value) > 4000 or "\0" in value:
            raise Wrong(faults.TEXT, longest=64)
        return value.strip()


@dataclass(frozen=True)
class Members(Type):
    """Several other things, by their numbers; kept in a table of their own."""

    kind: str = ""
    widget: ClassVar[str] = "members"

    @property
    def shape(self) -> Any:
        return Annotated[list[Annotated[int, Meta(ge=1, le=MAX_INTEGER)]], Meta(max_length=1000)]

    @property
    def empty(self) -> Any:
        return []

    def columns(self, name: str) -> tuple[str, ...]:
        return ()

    def check(self, value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) > 1000:
            raise Wrong(faults.TEXT, longest=1000)
        return list(dict.fromkeys(value))

    def parse(self, cell: str) -> list[str]:
        return [part.strip() for part in cell.split(";") if part.strip()]

    def write(self, value: Any) -> str:
        return "; ".join(str(part) for part in value)


@dataclass(frozen=True)
class Dates(Type):
    """Reading calendar of a lot: month ``2026-04`` -> day; kept in a table of its own."""

    widget: ClassVar[str] = "dates"

    @property
    def shape(self) -> Any:
        return dict[str, str]

    @property
    def empty(self) -> Any:
        return {}

    def columns(self, name: str) -> tuple[str, ...]:
        return ()

    def check(self, value: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or len(value) > 1200:
            raise Wrong(faults.DATES, value=repr(str(value)[:40]))
        found: dict[str, str] = {}
        for month, day in sorted(value.items()):
            if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
                raise Wrong(faults.DATES, value=repr(month[:40]))
            due = parse_day(day)
            if abs((due - date.fromisoformat(f"{month}-15")).days) > 60:
                raise Wrong(faults.DATES_FAR, month=month)
            if found and due.isoformat() <= next(reversed(found.values())):
                raise Wrong(faults.DATES_ORDER, month=month)
            found[month] = due.isoformat()
        return found

    def parse(self, cell: str) -> dict[str, str]:
        found = {}
        for part in re.split(r"[;,\n]+", cell):
            if not part.strip():
                continue
            month, colon, day = part.partition(":")
            if not colon:
                raise Wrong(faults.DATES, value=repr(part.strip()[:40]))
            found[month.strip()] = parse_day(day.strip()).isoformat()
        return found

    def write(self, value: Any) -> str:
        return "; ".join(f"{month}: {day}" for month, day in value.items())


@dataclass(frozen=True)
class Hours(Type):
    """Opening hours, Monday to Sunday; kept as JSON."""

    widget: ClassVar[str] = "hours"

    @property
    def shape(self) -> Any:
        return list[list[tuple[str, str]]]

    @property
    def empty(self) -> Any:
        return [[] for _ in range(7)]

    def check(self, value: Any) -> list[list[list[str]]]:
        if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 7:
            raise Wrong(faults.HOURS, value=repr(str(value)[:60]))
        week = []
        for day in value:
            last = ""
            spans = []
            for span in day:
                if not isinstance(span, Sequence) or len(span) != 2 or not all(_is_time(str(at)) for at in span):
                    raise Wrong(faults.HOURS, value=repr(str(day)[:60]))
                begin, end = str(span[0]), str(span[1])
                if not last <= begin < end:
                    raise Wrong(faults.HOURS, value=repr(f"{begin}-{end}"))
                spans.append([begin, end])
                last = end
            week.append(spans)
        return week

    def parse(self, cell: str) -> list[list[list[str]]]:
        days = cell.split("|")
        return [[part.strip().split("-") for part in day.split(",") if part.strip()] for day in days]

    def write(self, value: Any) -> str:
        return " | ".join(", ".join("-".join(span) for span in day) for day in value)

    def store(self, name: str, value: Any) -> dict[str, Any]:
        return {name: msgspec.json.encode(value).decode()}

    def load(self, *stored: Any) -> Any:
        return json.loads(stored[0] or "[]")


@dataclass(frozen=True)
class Periods(Type):
    """Daylight saving: pairs of days and the shift in seconds; kept as JSON of ``list[DstPeriod]``."""

    widget: ClassVar[str] = "periods"

    @property
    def shape(self) -> Any:
        return list[DstPeriod]

    @property
    def empty(self) -> Any:
        return []

    def check(self, value: Any) -> list[dict[str, Any]]:
        try:
            found = [p if isinstance(p, DstPeriod) else msgspec.convert(p, DstPeriod) for p in value]
        except (msgspec.MsgspecError, CalendarError, TypeError) as error:
            raise Wrong(faults.PERIODS, value=repr(str(value)[:60])) from error
        if any(after.start < before.end for before, after in pairwise(found)):
            raise Wrong(faults.PERIODS, value=repr(self.write([msgspec.to_builtins(p) for p in found])[:60]))
        return [msgspec.to_builtins(period) for period in found]

    def parse(self, cell: str) -> list[dict[str, Any]]:
        found = []
        for part in re.split(r"[;,\n]+", cell):
            if not part.strip():
                continue
            days, _, shift = part.strip().partition("+")
            first, dots, last = days.partition("..")
            if not dots or (shift and not re.fullmatch(r"-?\d{1,4}", shift.strip())):
                raise Wrong(faults.PERIODS, value=repr(part.strip()[:60]))
            found.append({
                "start": parse_day(first.strip()).isoformat(), "end": parse_day(last.strip()).isoformat(),
                "shift": int(shift or 60) * 60,
            })  # fmt: skip
        return found

    def write(self, value: Any) -> str:
        return "; ".join(f"{p['start']}..{p['end']} +{p['shift'] // 60}" for p in value)

    def store(self, name: str, value: Any) -> dict[str, Any]:
        return {name: msgspec.json.encode(value).decode()}

    def load(self, *stored: Any) -> Any:
        return json.loads(stored[0] or "[]")


@dataclass(frozen=True)
class Calendar(Type):
    """JSON of ``shared.calendar.TariffCalendar`` as text; ``""`` only where ``optional``."""

    optional: bool = True
    widget: ClassVar[str] = "calendar"

    @property
    def shape(self) -> Any:
        return Annotated[str, Meta(max_length=100_000)]

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > 100_000 or "\0" in value:
            raise Wrong(faults.TEXT, longest=100_000)
        text = value.strip()
        if not text and self.optional:
            return ""
        try:
            msgspec.json.decode(text, type=TariffCalendar)
        except (msgspec.MsgspecError, CalendarError, IntervalError, UnicodeDecodeError, RecursionError) as error:
            raise Wrong(faults.CALENDAR, reason=str(error)[:300]) from error
        return text


def parse_day(text: Any) -> date:
    """A day as ``2026-03-31``, ``31/03/2026`` or ``31.03.2026``; raises :class:`Wrong`."""
    try:
        if not isinstance(text, str):
            raise ValueError
        if local := _LOCAL_DAY.fullmatch(text):
            found = date(int(local[3]), int(local[2]), int(local[1]))
        elif len(text) == 10 or re.fullmatch(r"\d{4}-\d\d-\d\d[T ]00:00(:00)?", text):
            found = date.fromisoformat(text[:10])
        else:
            raise ValueError
        if not FIRST_DAY <= found <= LAST_DAY:
            raise ValueError
    except ValueError:
        raise Wrong(faults.DAY, value=repr(str(text)[:32])) from None
    return found


def _is_time(text: str) -> bool:
    return re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", text) is not None

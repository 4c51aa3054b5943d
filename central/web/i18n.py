"""Languages of the pages: gettext catalogues, and numbers, instants and units the way each language writes them.

The catalogues are the ``.po`` files themselves, read once per process; nothing has to be compiled first.
"""

import gettext as gettext_module
import io
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_timedelta, get_month_names
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

LOCALE_FOLDER: Final = Path(__file__).parent / "locale"
#: Code of the catalogue -> the language's own name for itself.
LANGUAGES: Final = {"pt_BR": "Português (Brasil)", "es": "Español", "ru": "Русский", "en": "English"}
DEFAULT_LANGUAGE: Final = "pt_BR"
COOKIE: Final = "mg_language"

#: Units of which thousands are written with the next prefix.
_SCALED: Final = ("kWh", "kvarh", "kVAh", "kW", "kvar", "kVA")
_UNIT_NAMES: Final = {"degC": "°C", "deg": "°", "1": ""}
#: Units that a language writes in letters of its own.
UNITS: Final[dict[str, dict[str, str]]] = {
    "ru": {
        "W": "Вт", "kW": "кВт", "MW": "МВт", "GW": "ГВт", "TW": "ТВт",
        "kWh": "кВт·ч", "MWh": "МВт·ч", "GWh": "ГВт·ч", "TWh": "ТВт·ч",
        "var": "вар", "kvar": "квар", "Mvar": "Мвар", "Gvar": "Гвар",
        "kvarh": "квар·ч", "Mvarh": "Мвар·ч", "Gvarh": "Гвар·ч",
        "VA": "В·А", "kVA": "кВ·А", "MVA": "МВ·А", "GVA": "ГВ·А", "kVAh": "кВ·А·ч", "MVAh": "МВ·А·ч",
        "B": "Б", "s": "с", "V": "В", "A": "А", "Hz": "Гц", "MiB": "МиБ", "GiB": "ГиБ", "ms": "мс", "dBm": "дБм",
    }
}  # fmt: skip
_MINUS: Final = "\N{MINUS SIGN}"
NOTHING: Final = "\N{EN DASH}"


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate later"
    """Mark a message for the catalogues; it is translated where it is shown."""
    return message


_DURATIONS: Final = ((N_("%(num)s d"), 86400), (N_("%(num)s h"), 3600), (N_("%(num)s min"), 60), (N_("%(num)s s"), 1))


class Language:
    """One language: its messages and its ways of writing. ``tag`` is the BCP 47 form that browsers use."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.tag = code.replace("_", "-")
        self.name = LANGUAGES[code]
        self.locale = Locale.parse(code)
        with (LOCALE_FOLDER / code / "LC_MESSAGES" / "metergate.po").open("rb") as source:
            catalogue = read_po(source, locale=code)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        self._messages = gettext_module.GNUTranslations(compiled)

    def gettext(self, message: str) -> str:
        return self._messages.gettext(message)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self._messages.ngettext(one, many, count)

    def number(self, value: float | None, digits: int = 0) -> str:
        """Write ``value`` with exactly ``digits`` decimals; None is a dash."""
        if value is None:
            return NOTHING
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, pattern, locale=self.locale).replace("-", _MINUS)

    def percent(self, share: float | None, digits: int = 0) -> str:
        """Write a share 0..1 as a percentage; it is never rounded up to the full hundred."""
        if share is None:
            return NOTHING
        scale = 10 ** (digits + 2)
        if share < 1:
            share = min(share, (scale - 1) / scale)
        pattern = "#,##0" + ("." + "0" * digits if digits else "") + "%"
        if self.code in ("es", "ru"):
            pattern = pattern.replace("%", "\N{NO-BREAK SPACE}%")
        return format_percent(share, pattern, locale=self.locale)

    def amount(self, value: float | None, unit: str, digits: int | None = None) -> str:
        """Write a value with its unit; from 10 000 on energies and powers take the next prefix (MWh, GWh)."""
        if value is None:
            return NOTHING
        if unit in _SCALED:
            for prefix in "kMGT":
                if abs(value) < 10_000 or prefix == "T":
                    break
                value /= 1000
            unit = prefix + unit[1:]
        if digits is None:
            digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
        name = self.unit(unit)
        return f"{self.number(value, digits)}\N{NO-BREAK SPACE}{name}" if name else self.number(value, digits)

    def instant(self, at: int | None, zone: ZoneInfo, seconds: bool = False) -> str:
        """Write an instant (UTC seconds) as local date and time."""
        if at is None:
            return NOTHING
        pattern = {"en": "d MMM y, HH:mm", "ru": "dd.MM.y HH:mm"}.get(self.code, "dd/MM/y HH:mm")
        moment = datetime.fromtimestamp(at, UTC)
        return format_datetime(moment, pattern + (":ss" if seconds else ""), tzinfo=zone, locale=self.locale)

    def clock(self, at: int, zone: ZoneInfo, seconds: bool = False) -> str:
        """Write the local time of day of an instant (UTC seconds)."""
        return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S" if seconds else "%H:%M")

    def span(self, start: int, end: int | None, zone: ZoneInfo) -> str:
        """Write from when to when; the day only once when it is the same."""
        first = self.instant(start, zone)
        if end is None:
            return first
        last = self.instant(end, zone)
        both = [datetime.fromtimestamp(at, zone).date() for at in (start, end)]
        return f"{first} – {last[-5:] if both[0] == both[1] else last}"

    def short_day(self, day: date) -> str:
        """Write day and month in few characters, as under a chart."""
        return format_date(day, {"en": "MMM d", "ru": "dd.MM"}.get(self.code, "dd/MM"), locale=self.locale)

    def day(self, day: date, form: str = "medium") -> str:
        return format_date(day, form, locale=self.locale)

    def month(self, day: date, short: bool = False) -> str:
        """Name of the month, standing alone, with its year."""
        names = get_month_names("abbreviated" if short else "wide", "stand-alone", self.locale)
        return f"{names[day.month].rstrip('.')} {day.year}"

    def ago(self, at: int | None, now: int) -> str:
        """Distance to now in words, as "3 minutes ago"; None is a dash."""
        if at is None:
            return NOTHING
        gap = timedelta(seconds=min(at - now, -1))
        return format_timedelta(gap, add_direction=True, locale=self.locale, threshold=1.2)

    def duration(self, seconds: int) -> str:
        """Write a length of time in its two largest units, as "1 h 30 min"."""
        parts = []
        for words, size in _DURATIONS:
            count, seconds = divmod(seconds, size)
            if count:
                parts.append(self.gettext(words) % {"num": count})
        return " ".join(parts[:2])

    def unit(self, unit: str) -> str:
        """Name of a unit as this language writes it."""
        return UNITS.get(self.code, {}).get(unit, _UNIT_NAMES.get(unit, unit))


@cache
def language(code: str) -> Language:
    """Return one of :data:`LANGUAGES`; raises KeyError for anything else."""
    return Language(code)


_current: ContextVar[str] = ContextVar("language", default=DEFAULT_LANGUAGE)


def activate(code: str) -> None:
    """Make ``code`` the language of what runs in this context from here on."""
    _current.set(code)


def current() -> Language:
    return language(_current.get())


def gettext(message: str) -> str:
    """Translate into the language of the running request."""
    return current().gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    return current().ngettext(one, many, count)


def choose(wanted: Iterable[str | None], accept: str) -> str:
    """Choose a language: the first usable of ``wanted`` (user's setting, cookie), else by ``Accept-Language``."""
    for code in wanted:
        if code in LANGUAGES:
            return str(code)
    for tag in _by_weight(accept):
        for code in LANGUAGES:
            if code.split("_")[0] == tag.split("-")[0].lower():
                return code
    return DEFAULT_LANGUAGE


def _by_weight(accept: str) -> list[str]:
    """Language tags of an ``Accept-Language`` header, best first; what cannot be read counts as unwanted."""
    weighted = []
    for part in accept[:500].split(","):
        tag, _, weight = part.partition(";q=")
        try:
            weighted.append((float(weight or 1), tag.strip()))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighted, key=lambda pair: -pair[0]) if weight > 0]

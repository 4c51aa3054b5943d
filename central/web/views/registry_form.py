"""Forms of the registry, made from the declared fields: what each widget shows, and what was sent read back."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from central.registry import records
from central.registry.faults import Fault, Wrong
from central.registry.fields import Choice, Flag, Members, Reference
from central.registry.kinds import AS_KEY, BY_NAME, STAYS, Field, Kind
from central.registry.records import Record
from central.web import registry_words as words
from central.web.views.tariff_grid import compiled, grid_of
from shared.intervals import local_date
from shared.intervals import zone as zone_of

#: Months of a lot's calendar that a form asks for: from last month on.
_MONTHS: Final = 14
_SPANS, _BLANK = 2, 2


@dataclass(slots=True)
class Shown:
    """One field of a form: ``text`` is its cell, ``value`` what widgets of several parts need."""

    name: str
    label: str
    widget: str
    required: bool
    hint: str
    text: str = ""
    value: Any = None
    title: str = ""  # of what a reference points to
    target: str = ""  # kind of what a reference points to
    choices: Sequence[tuple[str, str]] = ()
    wrong: str = ""
    section: str = ""
    extra: Any = None


@dataclass(slots=True)
class Form:
    """A form over a record, or over nothing yet."""

    kind: Kind
    key: str
    fields: list[Shown] = field(default_factory=list)
    key_field: Shown | None = None

    @property
    def sections(self) -> list[tuple[str, list[Shown]]]:
        names = list(dict.fromkeys(shown.section for shown in self.fields))
        return [(name, [shown for shown in self.fields if shown.section == name]) for name in names]


async def draw(
    db: AsyncSession, tenant_id: int, zone: str, kind: Kind, record: Record | None,
    given: Mapping[str, Any] | None = None, wrong: Sequence[Fault] = (),
) -> Form:  # fmt: skip
    """The form of a record (None: a new one), with what was sent and what is wrong with it."""
    form = Form(kind, record.key if record else "")
    faults: dict[str, str] = {}
    for found in wrong:
        faults.setdefault(found.field, words.fault(found))
    if not kind.numbered and record is None:
        key = str((given or {}).get("key", ""))
        form.key_field = Shown(
            "key", words.label(kind.name, "key"), "text", True, words.hint(kind.name, "key"), key,
            wrong=faults.get("key", ""),
        )  # fmt: skip
    for each in kind.fields:
        value = record.values[each.name] if record else _initial(each)
        if given is not None and each.name in given:
            value = given[each.name]
        shown = Shown(
            each.name, words.label(kind.name, each.name), each.type.widget,
            each.required and each.default is not AS_KEY,
            words.hint(kind.name, each.name), wrong=faults.get(each.name, ""), section=each.section, value=value,
        )  # fmt: skip
        await _dress(db, tenant_id, zone, each, shown, record)
        form.fields.append(shown)
    return form


def _initial(each: Field) -> Any:
    return None if each.default is STAYS else "" if each.default is AS_KEY else each.default


async def _dress(db: AsyncSession, tenant_id: int, zone: str, each: Field, shown: Shown, record: Record | None) -> None:
    """Fill in what the widget needs."""
    value = shown.value
    match each.type:
        case Reference(kind=target):
            shown.target, shown.text = target, "" if value is None else str(value)
            if value is not None:
                shown.title = (await records.titles(db, tenant_id, BY_NAME[target], [value])).get(str(value), "")
        case Members(kind=target):
            known = await records.labels(db, tenant_id, BY_NAME[target])
            shown.choices = sorted(((str(number), label) for number, label in known.items()), key=lambda one: one[1])
            shown.value = {str(one) for one in value or ()}
        case Choice(options=options):
            shown.choices, shown.text = [(one, words.choice(one)) for one in options], str(value)
        case _:
            shown.text = value if isinstance(value, str) else _text(each, value)
    if shown.widget == "dates":
        shown.extra = _months(value or {}, zone)
    elif shown.widget == "hours":
        shown.extra = [[*day, *[["", ""]] * max(0, _SPANS - len(day))] for day in (value or [[] for _ in range(7)])]
    elif shown.widget == "periods":
        shown.extra = [*(value or ()), *[{"start": "", "end": "", "shift": 3600}] * _BLANK]
    elif shown.widget == "calendar":
        shown.extra = grid_of(shown.text) if shown.required or each.required else None


def _text(each: Field, value: Any) -> str:
    return "" if value is None else each.type.write(value)


def _months(value: Mapping[str, str], zone: str) -> list[tuple[str, date, str]]:
    """Months to ask for: those that are told from last month on, and a year ahead."""
    today = local_date(int(time.time()), zone_of(zone))
    first = today.year * 12 + today.month - 2
    shown = {f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, first + _MONTHS)}
    shown |= {month for month in value if month >= min(shown)}
    return [(month, date.fromisoformat(f"{month}-01"), value.get(month, "")) for month in sorted(shown)]


def read(kind: Kind, sent: Any, record: Record | None, zone: str) -> tuple[dict[str, Any], list[Fault]]:
    """Values of what a form sent (a multi-dictionary), and what cannot be read of it. Fields not sent are not told."""
    values: dict[str, Any] = {}
    wrong: list[Fault] = []
    for each in kind.fields:
        try:
            found = _read_one(kind, each, sent, record, zone)
        except Wrong as problem:
            text = str(sent.get(each.name, ""))
            wrong.append(problem.at(each.name, text))
            values[each.name] = text
            continue
        if found is not msgspec.UNSET:
            values[each.name] = found
    return values, wrong


def _read_one(kind: Kind, each: Field, sent: Any, record: Record | None, zone: str) -> Any:
    name = each.name
    if f"{name}-sent" not in sent and name not in sent:
        return msgspec.UNSET
    if isinstance(each.type, Flag):
        return bool(sent.get(name))
    if isinstance(each.type, Members):
        return [int(one) for one in sent.getall(name, []) if str(one).isdigit()]
    if each.type.widget == "dates":
        old = record.values[name] if record else {}
        known = {key.removeprefix(f"{name}-") for key in sent if key.startswith(f"{name}-2")}
        told = {month: str(sent.get(f"{name}-{month}", "")).strip() for month in known}
        return {month: day for month, day in sorted({**old, **told}.items()) if day}
    if each.type.widget == "hours":
        return [
            [
                [begin, end]
                for begin, end in zip(
                    sent.getall(f"{name}-{day}-from", []), sent.getall(f"{name}-{day}-to", []), strict=False
                )
                if begin or end
            ]
            for day in range(7)
        ]
    if each.type.widget == "periods":
        parts = zip(
            sent.getall(f"{name}-start", []), sent.getall(f"{name}-end", []), sent.getall(f"{name}-shift", []),
            strict=False,
        )  # fmt: skip
        return [
            {"start": begin, "end": end, "shift": int(shift) * 60 if shift.lstrip("-").isdigit() else 3600}
            for begin, end, shift in parts if begin or end
        ]  # fmt: skip
    if each.type.widget == "calendar" and sent.get(f"{name}-mode") == "grid":
        return compiled(sent, name, str(sent.get("name", "") or sent.get("key", "") or kind.name), zone)
    text = str(sent.get(name, "")).strip() if each.type.widget != "reference" else _referred(sent, name)
    if text == "":
        if each.type.nullable:
            return None
        return "" if each.type.empty is None else each.type.empty
    if isinstance(each.type, Reference) and each.type.by_number and text.isdigit():
        return int(text)
    return each.type.parse(text)


def _referred(sent: Any, name: str) -> str:
    """What was chosen, else what was typed: a key, or the path of a group."""
    return str(sent.get(name, "")).strip() or str(sent.get(f"{name}-typed", "")).strip()

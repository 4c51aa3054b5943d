"""One connection as a conversation: questions of the CCEE and answers of the meter on one time axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from central.ccee.service import Comparison, ConnectionDetail
from central.web import ccee_words as words
from central.web.i18n import current, gettext
from central.web.told import told
from shared.wire import ForwardExchange

WIDTH: Final = 1000
_NARROWEST: Final = 4
#: A silence worth a line of its own, ms.
_SILENCE: Final = 3000
#: Steps between the ticks of an axis, s.
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_TICKS: Final = 6  # at most


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer. ``x`` and ``width`` on the axis; ``silence`` before it, "" where it is short."""

    number: int
    at: str
    kind: str
    code: str
    name: str
    asked: str
    answered: str
    took: str
    result: str
    tone: str
    details: Sequence[tuple[str, str]]
    silence: str
    x: float
    width: float
    title: str
    answers: bool


@dataclass(frozen=True, slots=True)
class Dialogue:
    """All turns and the labels of the axis, evenly apart from 0 to its end."""

    turns: Sequence[Turn]
    ticks: Sequence[str]
    label: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A range on the axis of a comparison; the parts of one bar share its words."""

    words: str
    parts: Sequence[tuple[float, float]]
    tone: str
    note: str


def dialogue(detail: ConnectionDetail) -> Dialogue:
    """Draw the exchanges of a connection."""
    row = detail.view.row
    last = max((each.at_ms + each.took_ms for each in detail.exchanges), default=0)
    step, count = _axis(max(row.ended_ms - row.started_ms, last, 100) / 1000)
    unit = WIDTH / (step * count * 1000)
    turns, before = [], 0
    for number, each in enumerate(detail.exchanges, 1):
        turns.append(_turn(number, each, each.at_ms - before, unit))
        before = each.at_ms + each.took_ms
    label = gettext("%(number)s questions in %(seconds)s") % {
        "number": len(turns) + row.more, "seconds": took(row.ended_ms - row.started_ms),
    }  # fmt: skip
    return Dialogue(turns, [_tick(step * number, step) for number in range(count + 1)], label)


def took(milliseconds: int) -> str:
    """A length of time the way a reader of protocols wants it: 35 ms, 1.20 s, 2 min 5 s."""
    if milliseconds < 1000:
        return current().amount(milliseconds, "ms", 0)
    if milliseconds < 60_000:
        return current().amount(milliseconds / 1000, "s", 1 if milliseconds >= 10_000 else 2)
    return current().duration(milliseconds // 1000)


def octets(number: int) -> str:
    return current().amount(number, "B", 0)


def comparison(found: Comparison) -> list[Bar]:
    """What was asked, what came, and what we hold, one above the other."""
    whole = found.end - found.start
    holes, at = [], found.start
    for part in found.missing:
        holes.append((at, part.start))
        at = part.end
    holes.append((at, found.end))
    held = [(start, end) for start, end in holes if end > start]
    return [
        Bar(gettext("Asked for"), [(0, WIDTH)], "asked", current().duration(whole)),
        Bar(gettext("Delivered to the CCEE"), _parts(found, [(found.start, found.start + found.delivered)]),
            "good" if found.delivered >= whole else "warn", current().percent(found.delivered / whole)),
        Bar(gettext("Held by us"), _parts(found, held), "good" if found.held >= whole else "warn",
            current().percent(found.held / whole)),
    ]  # fmt: skip


def _parts(found: Comparison, ranges: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    unit = WIDTH / (found.end - found.start)
    return [
        (round((start - found.start) * unit, 1), round((end - start) * unit, 1)) for start, end in ranges if end > start
    ]


def _turn(number: int, each: ForwardExchange, gap: int, unit: float) -> Turn:
    code, _, name = each.command.partition(" ")
    name = name.removeprefix(f"{code} ")
    said, tone = words.result(each.result)
    kind = words.KINDS.get(str(each.detail.get("kind", "")))
    title = gettext(kind) if kind else name or code
    x = min(each.at_ms * unit, WIDTH - _NARROWEST)
    width = max(_NARROWEST, each.took_ms * unit)
    return Turn(
        number=number, at=current().number(each.at_ms / 1000, 3), kind=title, code=code, name=words.question(name),
        asked=octets(each.asked), answered=octets(each.answered), took=took(each.took_ms), result=said, tone=tone,
        details=_details(each), silence=took(gap) if gap >= _SILENCE else "",
        x=round(x, 1), width=round(min(width, WIDTH - x), 1),
        title=f"{number}. {title} {code} · {said} · {took(each.took_ms)}", answers=each.answered > 0,
    )  # fmt: skip


def _details(each: ForwardExchange) -> list[tuple[str, str]]:
    return [
        (gettext(label), told(str(each.detail[key])))
        for key, label in words.DETAILS.items()
        if each.detail.get(key) not in (None, "", 0, [], {})
    ]


def _axis(seconds: float) -> tuple[float, int]:
    """(Step, number of steps) of an axis that holds ``seconds``."""
    step = next((each for each in _STEPS if seconds / each <= _TICKS), seconds / _TICKS)
    return step, max(1, -int(-seconds // step))


def _tick(seconds: float, step: float) -> str:
    if step < 1:
        return current().number(seconds, 1)
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"

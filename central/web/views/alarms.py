"""Alarms in the reader's words."""

import re
from dataclasses import dataclass
from typing import Final

from central.alarms.service import AlarmView
from central.web import ccee_words as words
from central.web import labels
from central.web.i18n import gettext
from central.web.told import told

#: As ``central.ccee.conditions`` writes it: a verdict, perhaps a second one, perhaps what the gateway said.
_TEXT: Final = re.compile(
    r"(?P<first>I\d\d)(?:, then (?P<second>I\d\d)|, beside (?P<main>I\d\d))?(?:: (?P<said>.*))?", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """An alarm and its words; ``said`` is what the sessions behind it said."""

    view: AlarmView
    title: str
    sentence: str
    advice: str
    said: str
    severity: str
    colour: str


def line(view: AlarmView) -> AlarmLine:
    """Draw one alarm."""
    said, colour = labels.state(labels.SEVERITIES, view.severity.word)
    return AlarmLine(
        view, words.title(view.code), words.sentence(view.code), words.advice(view.code), _said(view), said, colour
    )


def _said(view: AlarmView) -> str:
    found = _TEXT.fullmatch(view.text)
    if found is None:
        return told(view.text)
    first, second, main = (_named(found[name]) for name in ("first", "second", "main"))
    if second:
        codes = gettext("%(first)s, then %(second)s") % {"first": first, "second": second}
    elif main:
        codes = gettext("beside %(verdict)s") % {"verdict": main}
    else:
        codes = "" if found["first"] == view.code else first
    return ": ".join(part for part in (codes, told(found["said"] or "")) if part)


def _named(code: str | None) -> str:
    return f"{code} {words.title(code)}" if code else ""

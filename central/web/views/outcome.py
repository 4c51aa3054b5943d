"""What became of a command, in words: a sentence for its code, and what the gateway said beyond it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from central.fleet.service import CommandView
from central.web.i18n import N_, current, gettext
from central.web.told import told

#: Code of a result -> words. ``done`` needs none: the state says it.
CODES: Final = {
    "spool_full": N_("The gateway's disk is full: nothing was read."),
    "wrong_serial": N_("Another meter answered; nothing was kept or changed."),
    "refused": N_("Refused."),
    "not_permitted": N_("This gateway does not allow it."),
    "preempted": N_("Another reader needed the line; send it again."),
    "busy": N_("The gateway is busy; send it again in a moment."),
    "unreachable": N_("The meter did not answer."),
    "invalid": N_("The gateway did not accept it."),
    "failed": N_("It did not work."),
    "expired": N_("It was not carried out in time."),
    "unknown_meter": N_("The gateway does not know this meter."),
    "conflict": N_("Another configuration has come into force meanwhile."),
    "interrupted": N_("The gateway stopped meanwhile."),
    "rolled_back": N_("It did not prove itself and was taken back."),
    "cancelled": N_("Taken back before it was sent."),
}
_PROBLEMS: Final = re.compile(r".+ is not a usable configuration:\n(?P<problems>(?:  .+(?:\n|$))+)")
_PROBLEM: Final = re.compile(
    r"(?:line (?P<line>\d+), )?(?P<place>[a-z_]+(?:\[\d+\])?[\w.\[\]]*(?: \([^)]*\))?): (?P<text>.+)"
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration; ``line`` 0 and ``place`` "" where the gateway could not tell."""

    line: int
    place: str
    words: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """``words`` for the code; ``detail`` what was said beyond it; ``problems`` of a refused configuration."""

    words: str
    detail: str
    problems: Sequence[Problem] = ()

    @property
    def line(self) -> str:
        """All of it as one line of a list."""
        problems = "; ".join(
            f"{problem.place}: {problem.words}" if problem.place else problem.words for problem in self.problems
        )
        return " ".join(part for part in (self.words, self.detail, problems) if part)


def outcome(command: CommandView) -> Outcome:
    """Words for a finished command; all empty while it is under way."""
    row = command.row
    words = gettext(CODES[row.code]) if row.code in CODES else ""
    found = problems_of(row.message)
    if found:
        return Outcome(words, "", found)
    detail = told(row.message)
    if row.code in ("expired", "cancelled") and detail:
        words = ""  # the sentence says the same and more
    drift = command.result.data.get("drift") if command.result else None
    if row.code == "done" and not detail and isinstance(drift, int | float):
        detail = gettext("Clock off by %(seconds)s s.") % {"seconds": current().number(drift, 1)}
    return Outcome(words, detail)


def problems_of(message: str) -> list[Problem]:
    """The problems in a gateway's refusal of a configuration; empty for any other sentence."""
    found = _PROBLEMS.fullmatch(message)
    return [_problem(line.strip()) for line in found["problems"].splitlines()] if found else []


def _problem(text: str) -> Problem:
    found = _PROBLEM.fullmatch(text)
    if found is None:
        return Problem(0, "", told(text))
    return Problem(int(found["line"] or 0), found["place"], told(found["text"]))

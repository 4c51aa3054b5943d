"""Enrolments in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from central.enrolment import certificates
from central.enrolment.command import grouped
from central.enrolment.service import View
from central.web.i18n import N_, gettext

#: State -> (words, Tabler colour, icon).
STATES: Final = {
    "open": (N_("not used yet"), "azure", "key"),
    "expired": (N_("expired"), "secondary", "hourglass"),
    "waiting": (N_("to be approved"), "yellow", "hourglass"),
    "approved": (N_("to be signed"), "blue", "pencil"),
    "issued": (N_("certificate issued"), "green", "shield-check"),
    "refused": (N_("refused"), "red", "ban"),
    "revoked": (N_("revoked"), "secondary", "ban"),
    "locked": (N_("too many wrong tries"), "red", "lock"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """An enrolment as it is shown."""

    view: View
    state: str
    words: str
    colour: str
    picture: str
    fingerprint: str
    ends: int | None

    @property
    def step(self) -> str:
        """What a page about it depends on: the state, and whether the certificate was fetched."""
        return "fetched" if self.view.row.fetched_at else self.state

    @property
    def live(self) -> bool:
        """Whether something may yet happen by itself."""
        return self.step in ("open", "waiting", "approved", "issued")


def line(view: View) -> Line:
    """One enrolment with its state in words."""
    words, colour, picture = STATES[view.state]
    ends = certificates.end_of(view.row.certificate)
    return Line(view, view.state, gettext(words), colour, picture, grouped(view.row.fingerprint), ends)


def sections(views: Sequence[View]) -> dict[str, Any]:
    """The list by what has to be done: to approve, to sign, codes that are open, and what is over."""
    lines = [line(each) for each in views]
    return {
        "waiting": [each for each in lines if each.state == "waiting"],
        "approved": [each for each in lines if each.state == "approved"],
        "codes": [each for each in lines if each.state == "open"],
        "over": [each for each in lines if each.state not in ("waiting", "approved", "open")],
    }

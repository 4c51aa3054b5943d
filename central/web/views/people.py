"""People, their sessions and places, as pages show them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from central.accounts.models import LoginSession
from central.accounts.principal import Principal
from central.accounts.sessions import session_id
from central.web.i18n import gettext

#: The first that occurs is it: browsers name each other in their texts.
_BROWSERS: Final = (
    ("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"), ("CriOS", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
_SYSTEMS: Final = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip
_DEPTH: Final = 50


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A browser that is logged in; ``current`` is the one that asks."""

    id: str
    row: LoginSession
    browser: str
    current: bool


@dataclass(frozen=True, slots=True)
class PlaceOption:
    """Where a role may hold, as a form sends it: ``group:12``, ``gateway:3``."""

    value: str
    words: str


def session_lines(rows: Sequence[LoginSession], principal: Principal) -> list[SessionLine]:
    """Lines of a list of sessions."""
    return [
        SessionLine(session_id(row), row, browser(row.agent), row.token_hash == principal.proof) for row in rows
    ]  # fmt: skip


def browser(agent: str) -> str:
    """What a User-Agent says in short, such as "Firefox, Linux"."""
    found = [
        next((name for mark, name in marks if re.search(re.escape(mark), agent)), "")
        for marks in (_BROWSERS, _SYSTEMS)
    ]  # fmt: skip
    return ", ".join(each for each in found if each) or gettext("Unknown browser")


def group_paths(rows: Mapping[int, tuple[str, int | None]]) -> dict[int, str]:
    """Names from the top down by id, of name and parent by id: "North / Near"."""
    return {group_id: " / ".join(reversed(_names(rows, group_id))) for group_id in rows}


def _names(rows: Mapping[int, tuple[str, int | None]], group_id: int) -> list[str]:
    found: list[str] = []
    at: int | None = group_id
    while at is not None and at in rows and len(found) < _DEPTH:
        name, at = rows[at]
        found.append(name)
    return found

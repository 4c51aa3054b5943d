"""From a meter's sessions to the alarms that follow from them, whatever the order they came in (pure).

- A session of which a verdict holds that raises an alarm opens one of that code; the next session that succeeds and
  does not say the same again closes it.
- I11 opens at the second failed session in a row and closes at the next success. Self-tests are no sessions of the
  CCEE: they neither count nor interrupt. What nobody can judge (unclear) does neither as well.
- A failed self-test opens an alarm of its own; the next success, of the CCEE or of a self-test, closes it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from central.alarms.service import Condition
from central.ccee.verdicts import NO_CONNECTION, REPEATED, SELF_TEST, VERDICTS, Outcome, verdict

#: Codes that follow from sessions alone; a missing session (I01) is judged by the clock.
CODES: Final = frozenset(VERDICTS) - {NO_CONNECTION}
#: After this, for ever.
_OPEN_END: Final = 1 << 62


class Session(NamedTuple):
    """What alarms need of a connection; in order of ``started_ms``."""

    started_ms: int
    ended_ms: int
    mode: str
    verdict: str
    outcome: str
    reason: str
    codes: str

    @property
    def is_test(self) -> bool:
        return self.mode == SELF_TEST


def conditions(sessions: Iterable[Session]) -> list[Condition]:
    """All conditions of a meter's sessions, in order of their beginning.

    The first session given must be the meter's first or a success of the CCEE, so that no run is cut.
    """
    ordered = sorted(sessions)
    found = list(_repeated(ordered))
    for code in dict.fromkeys(code for each in ordered if not each.is_test for code in each.codes.split()):
        if verdict(code).severity is not None and code in CODES - {REPEATED, SELF_TEST}:
            found += _runs(code, [each for each in ordered if not each.is_test])
    found += _runs(SELF_TEST, ordered)
    return sorted(found, key=lambda each: (each.opened_at, each.code))


def _repeated(sessions: Sequence[Session]) -> Iterator[Condition]:
    run: list[Session] = []
    for each in (each for each in sessions if not each.is_test and each.outcome != Outcome.UNCLEAR):
        if each.outcome == Outcome.FAILED:
            run.append(each)
            continue
        yield from _second(run, each)
        run = []
    yield from _second(run, None)


def _second(run: Sequence[Session], closer: Session | None) -> Iterator[Condition]:
    if len(run) >= 2:
        yield _condition(REPEATED, run[1], run[0].started_ms, closer, f"{run[0].verdict}, then {_said(run[1])}")


def _runs(code: str, sessions: Sequence[Session]) -> Iterator[Condition]:
    """Conditions of one code: from the session that says so to the next success that does not."""
    opener: Session | None = None
    for each in sessions:
        if _says(code, each):
            opener = opener or each
        elif opener is not None and each.outcome == Outcome.OK:
            yield _condition(code, opener, opener.started_ms, each, _told(code, opener))
            opener = None
    if opener is not None:
        yield _condition(code, opener, opener.started_ms, None, _told(code, opener))


def _says(code: str, session: Session) -> bool:
    if code == SELF_TEST:
        return session.is_test and session.outcome == Outcome.FAILED
    return session.outcome != Outcome.UNCLEAR and code in session.codes.split()


def _told(code: str, session: Session) -> str:
    """What the session said; its sentence is about its first verdict only."""
    return _said(session) if code in (session.verdict, SELF_TEST) else f"{code}, beside {_said(session)}"


def _said(session: Session) -> str:
    return f"{session.verdict}: {session.reason}" if session.reason else session.verdict


def _condition(code: str, opener: Session, first: int, closer: Session | None, text: str) -> Condition:
    severity = VERDICTS[code].severity
    assert severity is not None  # noqa: S101 - the caller has looked
    return Condition(
        code=code, severity=severity, key=opener.started_ms, first=first,
        until=closer.started_ms if closer else _OPEN_END, opened_at=opener.ended_ms // 1000,
        closed_at=closer.ended_ms // 1000 if closer else None, text=text,
    )  # fmt: skip

"""Verdicts over what was overheard: one table, most important first (dossier ccee-ons §13).

Each rule is a pure function of a :class:`Case`; it answers with a sentence and its facts, or None. The first of the
table that answers is the verdict, the others that answer stand beside it. The order: what explains other faults comes
first (another meter, a refused password, silence, noise), then what we did, then what the meter cannot or did not
deliver, then what was read well but is not as it should be, then notes, then good.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from edge.guardian.book import Book
from edge.guardian.contract import ABNT, UNKNOWN, CloseReason, Exchange, Expected, Kind, Result, Verdict

#: Reasons that are ours.
OURS: Final = frozenset(
    {
        CloseReason.IDLE,
        CloseReason.TOTAL,
        CloseReason.RESTART,
        CloseReason.PREEMPTED,
        CloseReason.ERROR,
        CloseReason.STOPPED,
    }
)
#: The answer did not come, or not whole.
_UNFINISHED: Final = (Result.PARTIAL, Result.BROKEN, Result.SILENT)
#: Everything may have been delivered in spite of these.
_BESIDE_GOOD: Final = frozenset({Verdict.BROKEN, Verdict.CONSTANTS, Verdict.CLOCK, Verdict.INSPECTION})
#: Kinds that a reading is made for.
_GOODS: Final = (Kind.MEMORY, Kind.REGISTERS)
_DATA: Final = (*_GOODS, Kind.PARAMETERS, Kind.CLOCK, Kind.AUDIT)
#: Intervals the last stamp delivered may be older than the end asked for: the present one is not stored yet.
_INTERVALS_SHORT: Final = 2


@dataclass(frozen=True)
class Case:
    """A connection as it ended. ``sent``: octets of the client, ``received``: of the meter; instants UTC seconds."""

    expected: Expected
    protocol: str
    book: Book
    reason: CloseReason
    began: float
    ended: float
    sent: int
    received: int
    last_sent: float
    last_received: float
    enqs: int = 0


@dataclass(frozen=True)
class Ruling:
    """One verdict that holds."""

    code: Verdict
    sentence: str
    facts: dict[str, Any]


Said = tuple[str, dict[str, Any]] | None


def judge(case: Case) -> list[Ruling]:
    """Return every verdict that holds, most important first; never empty."""
    rulings: list[Ruling] = []
    for code, rule in RULES:
        said = rule(case)
        if said is not None:
            rulings.append(Ruling(code, *said))
        if said is not None and code is Verdict.NO_REQUEST:
            return rulings
    if {ruling.code for ruling in rulings} <= _BESIDE_GOOD:
        said = good(case)
        if said is not None:
            rulings.append(Ruling(Verdict.GOOD, *said))
    return rulings or [Ruling(Verdict.NOT_UNDERSTOOD, *not_understood(case))]


# -- who is there ------------------------------------------------------------------------------------------------------


def wrong_serial(case: Case) -> Said:
    wanted = case.expected.serial
    others = [serial for serial in case.book.serials if not same_serial(serial, wanted)]
    if not wanted or not others:
        return None
    return (
        (
            f"Meter {others[-1]} answered where {wanted} is registered: if the meter was exchanged, update the "
            f"register at the CCEE and here; else check the wiring and the port."
        ),
        {"expected": wanted, "seen": others[:8]},
    )


def same_serial(seen: str, wanted: str) -> bool:
    """Compare serials as people write them: no leading zeros, no signs, the last 8 digits if one side has no more."""
    a, b = (_plain(text) for text in (seen, wanted))
    return a == b or (min(len(a), len(b)) <= 8 < max(len(a), len(b)) and _tail(a) == _tail(b))


def _plain(text: str) -> str:
    return "".join(c for c in text.upper() if c.isalnum()).lstrip("0")


def _tail(text: str) -> str:
    return text[-8:].lstrip("0")


def refused(case: Case) -> Said:
    newest = case.book.newest
    for exchange in case.book.ended(Result.DENIED):
        said = exchange.detail.get("meaning", "access denied")
        return (
            (
                f"The meter refused {exchange.command}: {said}. Check the password registered at the CCEE against the "
                f"meter's; do not repeat it in a loop, meters lock."
            ),
            {"command": exchange.code, "answer": said},
        )
    for exchange in case.book.ended(Result.REFUSED):
        if exchange is newest or exchange.kind is Kind.MEMORY or not case.book.done(*_GOODS):
            said = exchange.detail.get("meaning", "refused")
            return (
                (
                    f"The meter did not answer {exchange.command} because of a condition of its own: {said}. "
                    f"Have it cleared on the meter."
                ),
                {"command": exchange.code, "answer": said},
            )
    return None


# -- silence -----------------------------------------------------------------------------------------------------------


def no_request(case: Case) -> Said:
    if case.sent or case.reason is CloseReason.REFUSED_LINE:
        return None
    facts = {"seconds": round(case.ended - case.began, 3), "enqs": case.enqs, "received": case.received}
    if not case.received and case.expected.protocol in ("", ABNT):
        return (
            (
                "The client connected and sent nothing, and the meter did not call either (no ENQ): a reader of NBR "
                "14522 waits for that call. Check that the meter has supply and is on the line; if it is, check VPN "
                "and packet size."
            ),
            facts,
        )
    return (
        "The client connected and sent nothing: check the CCEE's side, the VPN and its packet size (MTU).",
        facts,
    )


def no_answer(case: Case) -> Said:
    if case.reason is CloseReason.REFUSED_LINE:
        return "The meter's line could not be opened: check port, cable and adapter.", {"sent": case.sent}
    newest = case.book.newest
    waited = case.ended - case.last_sent >= case.expected.patience
    if not case.sent or (newest is None and (case.received or not waited)):
        return None
    what, repeats = f"{case.sent} octets", 0
    if newest is not None:
        silent = [e for e in case.book.ended(Result.SILENT) if "waits" not in e.detail and (e is not newest or waited)]
        if not silent:
            return None
        what, repeats = silent[-1].command, silent[-1].detail.get("repeats", 0)
    facts = {"request": what, "repeats": repeats, "received": case.received, "enqs": case.enqs}
    if case.enqs:
        return (
            (
                f"The meter calls (ENQ) but does not answer {what}: check that the way to the meter carries the octets "
                f"(transmit line, converter direction) and the wire variant."
            ),
            facts,
        )
    answered = "no longer answers" if case.book.frames else "does not answer"
    return f"The meter {answered}: {what} brought no octet back. Check line, supply, speed and address.", facts


# -- noise and ourselves -----------------------------------------------------------------------------------------------


def broken(case: Case) -> Said:
    book = case.book
    frames = book.frames + book.broken
    failed = book.ended(Result.BROKEN) or (book.newest is not None and "broken" in book.newest.detail and _open(case))
    many = book.broken >= case.expected.broken_least and book.broken / frames > case.expected.broken_share
    if not book.broken or not (many or failed):
        return None
    share = round(100 * book.broken / frames, 1)
    return (
        (
            f"{book.broken} of {frames} frames arrived damaged ({share} %): look for noise, a bad cable or probe, or a "
            f"second master on the line."
        ),
        {"broken": book.broken, "frames": frames, "percent": share},
    )


def _open(case: Case) -> bool:
    newest = case.book.newest
    return newest is not None and newest.result in _UNFINISHED


def cut(case: Case) -> Said:
    """A limit that met a finished reading cut nothing: the client only forgot to hang up."""
    if case.reason not in OURS or not case.sent:
        return None
    idle = case.reason is CloseReason.IDLE
    if idle and not (_open(case) or (case.protocol == UNKNOWN and case.received)):
        return None
    newest = case.book.newest
    during = f" during {newest.command}" if newest is not None and _open(case) else ""
    advice = {
        CloseReason.IDLE: "raise the idle limit of this forward",
        CloseReason.TOTAL: "raise the total limit of this forward",
    }.get(case.reason, "the client must read again")
    return (
        f"We closed the connection{during} ({case.reason}): {advice}.",
        {"reason": str(case.reason), "seconds": round(case.ended - case.began, 3)},
    )


# -- what was not delivered --------------------------------------------------------------------------------------------


def unsupported(case: Case) -> Said:
    book, newest = case.book, case.book.newest
    data = [e for e in book.last.values() if e.kind is not Kind.ACCESS]
    for exchange in book.ended(Result.UNSUPPORTED):
        blocked = not book.done(exchange.kind) if exchange.kind in _GOODS else not book.done(*_DATA)
        if blocked or exchange is newest or (data and exchange is data[-1]):
            said = exchange.detail.get("meaning", "not supported")
            return (
                f"The meter does not know {exchange.command}: {said}. Compare model, firmware and registered protocol.",
                {"command": exchange.code, "answer": said},
            )
    return None


def partial(case: Case) -> Said:
    for exchange in case.book.ended(Result.PARTIAL):
        detail = exchange.detail
        facts = {
            k: detail[k]
            for k in ("blocks", "expected_blocks", "interrupted", "start", "end", "delivered")
            if k in detail
        }
        how = detail.get("interrupted") or _blocks(detail)
        return (
            (
                f"{exchange.command} was not delivered whole ({how}): read the missing part again; connection closed "
                f"by {case.reason}."
            ),
            facts | {"command": exchange.code, "reason": str(case.reason)},
        )
    for exchange in case.book.last.values():
        late = _late(exchange, case.ended + min(0.0, case.book.clock_offset or 0.0))  # a slow clock is another verdict
        if late:
            return (
                (
                    f"{exchange.command} ended {late} s before the end that was asked for: the meter holds no newer "
                    f"data; check its clock and its memory."
                ),
                {
                    "command": exchange.code,
                    "end": exchange.detail["end"],
                    "delivered": exchange.detail.get("delivered"),
                },
            )
    return None


def _blocks(detail: dict[str, Any]) -> str:
    if "blocks" in detail:
        return f"{detail['blocks']} blocks of {detail.get('expected_blocks', 'more')}"
    return "the end is missing"


def _late(exchange: Exchange, now: float) -> int:
    """Seconds of memory that were asked for, must exist and did not come; ``now`` by the meter's clock."""
    detail = exchange.detail
    if exchange.kind is not Kind.MEMORY or exchange.result is not Result.OK or "end" not in detail:
        return 0
    allowed = _INTERVALS_SHORT * detail.get("step", 3600)
    late = min(detail["end"], int(now)) - detail.get("delivered", detail.get("start", detail["end"]))
    return int(late) if late > allowed else 0


# -- delivered, but not as it should be --------------------------------------------------------------------------------


def changed_constants(case: Case) -> Said:
    known = case.expected.constants or {}
    seen = case.book.constants
    changed = {n: [known[n], seen[n]] for n in known if n in seen and known[n] != seen[n]}
    if not changed:
        return None
    listed = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in list(changed.items())[:4])
    return (
        f"The meter's parameters are not those last known ({listed}): it was reprogrammed; check ratios and register.",
        {"changed": changed},
    )


def clock(case: Case) -> Said:
    offset = case.book.clock_offset
    if offset is None or abs(offset) <= case.expected.clock_tolerance:
        return None
    alarm = abs(offset) > case.expected.clock_alarm
    side = "fast" if offset > 0 else "slow"
    return (
        f"The meter's clock is {abs(offset):.0f} s {side}: set it, and check its battery and synchronisation.",
        {"offset": offset, "tolerance": case.expected.clock_tolerance, "severity": "alarm" if alarm else "warning"},
    )


def inspection(case: Case) -> Said:
    delivered = [e for e in case.book.last.values() if e.result is Result.OK]
    audit = [e.code for e in delivered if e.kind is Kind.AUDIT and e.code not in case.expected.daily]
    if not audit or not any(e.kind is Kind.PARAMETERS for e in delivered):
        return None
    return (
        (
            f"Parameters and audit data ({', '.join(audit[:4])}) were read, which daily collection does not: likely an "
            f"inspection. Leave the meter's configuration as it is until it is over."
        ),
        {"audit": audit[:16]},
    )


# -- the rest ----------------------------------------------------------------------------------------------------------


def not_understood(case: Case) -> tuple[str, dict[str, Any]]:
    """What is left when nothing holds: neither good nor bad is claimed."""
    newest = case.book.newest
    facts = {"sent": case.sent, "received": case.received, "protocol": case.protocol}
    if case.protocol == UNKNOWN or newest is None:
        return (
            "Octets passed that are no protocol known here: whether the reading went well is not known.",
            facts,
        )
    if case.book.ended(Result.OPAQUE):
        return (
            "What was asked and answered is ciphered: it was answered, but with what nobody here can read.",
            facts,
        )
    return (
        (
            f"The connection ended within {newest.command}, which neither failed nor was answered whole: nothing can "
            f"be said of it."
        ),
        facts | {"result": str(newest.result)},
    )


def good(case: Case) -> Said:
    """Everything asked came, or was asked again until it came; what a meter need not know may be missing."""
    ok = case.book.ended(Result.OK)
    if case.protocol == UNKNOWN or not ok or case.book.ended(Result.OPAQUE, *_UNFINISHED):
        return None
    return (
        f"All that was asked was delivered ({len(ok)} different requests).",
        {"requests": len(case.book.exchanges) + case.book.more, "memory": case.book.done(Kind.MEMORY)},
    )


#: Most important first; :func:`good` and :func:`not_understood` are asked when none of these speaks against it.
RULES: Final[tuple[tuple[Verdict, Callable[[Case], Said]], ...]] = (
    (Verdict.NO_REQUEST, no_request),
    (Verdict.WRONG_SERIAL, wrong_serial),
    (Verdict.REFUSED, refused),
    (Verdict.NO_ANSWER, no_answer),
    (Verdict.BROKEN, broken),
    (Verdict.CUT, cut),
    (Verdict.UNSUPPORTED, unsupported),
    (Verdict.PARTIAL, partial),
    (Verdict.CONSTANTS, changed_constants),
    (Verdict.CLOCK, clock),
    (Verdict.INSPECTION, inspection),
)

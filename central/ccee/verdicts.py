"""The verdicts I00 to I14: what each means, how grave it is, what to do (dossier ccee-ons §13).

Words are English sources of the catalogues; ``central.web.catalogues`` takes them from here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from central.alarms.severity import Severity
from shared.wire import ForwardConnection

#: Source of the alarms that come from here, and the code of a self-test that failed, whatever its verdict.
SOURCE: Final = "ccee"
SELF_TEST: Final = "self_test"
NO_CONNECTION, BROKEN, REPEATED, GOOD = "I01", "I04", "I11", "I14"
PREEMPTED: Final = "preempted"


class Outcome(StrEnum):
    """What a session was good for."""

    OK = "ok"  # what was asked was delivered
    FAILED = "failed"
    UNCLEAR = "unclear"  # nobody here can tell: neither counted as a success nor as a failure


@dataclass(frozen=True, slots=True)
class Verdict:
    """One code in words. ``severity`` of the alarm it raises, None: none; ``outcome`` of a session that ends so."""

    code: str
    title: str
    sentence: str
    advice: str
    severity: Severity | None
    outcome: Outcome


def _table(*verdicts: Verdict) -> dict[str, Verdict]:
    return {verdict.code: verdict for verdict in verdicts}


VERDICTS: Final = _table(
    Verdict(
        "I00",
        "Not understood",
        "Octets passed both ways in a protocol that is not known here, or in cipher.",
        "Ask the CCEE whether this reading was good.",
        None,
        Outcome.UNCLEAR,
    ),
    Verdict(
        NO_CONNECTION,
        "No connection in the window",
        "The CCEE did not connect to this meter during the collection window.",
        "Check the VPN, the firewall, and the address and port registered at the CCEE.",
        Severity.SERIOUS,
        Outcome.FAILED,
    ),
    Verdict(
        "I02",
        "Connected, asked nothing",
        "The connection was opened and no request followed.",
        "Check the VPN and its packet size (MTU); then the CCEE's side.",
        Severity.SERIOUS,
        Outcome.FAILED,
    ),
    Verdict(
        "I03",
        "No answer from the meter",
        "Requests were sent and the meter returned no octet.",
        "Check the line, the meter's supply, the speed and the address.",
        Severity.SERIOUS,
        Outcome.FAILED,
    ),
    Verdict(
        BROKEN,
        "Damaged answers",
        "Frames arrived with wrong checksums.",
        "Look for noise, a bad cable or probe, or a second master on the line.",
        Severity.WARNING,
        Outcome.FAILED,
    ),
    Verdict(
        "I05",
        "Another serial answered",
        "The meter that answered is not the one that is registered.",
        "If the meter was exchanged, update the register at the CCEE and here; else check wiring and port.",
        Severity.SERIOUS,
        Outcome.FAILED,
    ),
    Verdict(
        "I06",
        "Password wrong or access refused",
        "The meter refused access or reported an occurrence, and the reading stopped.",
        "Compare the password registered at the CCEE with the meter's; do not repeat it in a loop, meters lock.",
        Severity.SERIOUS,
        Outcome.FAILED,
    ),
    Verdict(
        "I07",
        "Command not supported",
        "The meter rejected a command.",
        "Compare model, firmware and registered protocol.",
        Severity.SERIOUS,
        Outcome.FAILED,
    ),
    Verdict(
        "I08",
        "Mass memory incomplete",
        "Blocks were interrupted, or the memory ended before what was asked for.",
        "Have it read again; look at how the connection was closed and at the meter's clock and memory.",
        Severity.WARNING,
        Outcome.FAILED,
    ),
    Verdict(
        "I09",
        "Clock drift",
        "The meter's clock differs from the gateway's.",
        "Set the clock; check its battery and synchronisation.",
        Severity.WARNING,
        Outcome.OK,
    ),
    Verdict(
        "I10",
        "Ratio or constant changed",
        "The meter's parameters are not those last known.",
        "Find out who reprogrammed it; check ratios and the register at the CCEE.",
        Severity.SERIOUS,
        Outcome.OK,
    ),
    Verdict(
        REPEATED,
        "Two failures in a row",
        "Two readings in a row failed. A third in a row counts as an inspection infraction.",
        "Act before the next reading: use Try again now, follow the advice of the single failures, call the CCEE.",
        Severity.CRITICAL,
        Outcome.FAILED,
    ),
    Verdict(
        "I12",
        "Looks like an inspection",
        "Parameters and audit data were read, which the daily collection does not do.",
        "Leave the meter's configuration as it is until the inspection is over.",
        Severity.NOTICE,
        Outcome.OK,
    ),
    Verdict(
        "I13",
        "Cut by us",
        "The gateway closed the connection: a time limit, a restart, or a stop.",
        "Raise the limits of this forward; look at why the gateway restarted.",
        Severity.WARNING,
        Outcome.FAILED,
    ),
    Verdict(
        GOOD,
        "Good",
        "All that was asked was delivered.",
        "",
        None,
        Outcome.OK,
    ),
    Verdict(
        SELF_TEST,
        "Self-test failed",
        "The gateway tried the port as the CCEE would, and the reading failed.",
        "Follow the advice of its verdict before the next collection window.",
        Severity.WARNING,
        Outcome.FAILED,
    ),
)

_UNKNOWN: Final = Verdict("", "", "", "", None, Outcome.UNCLEAR)


def verdict(code: str) -> Verdict:
    """The verdict of a code; a code that is not known here claims nothing."""
    return VERDICTS.get(code, _UNKNOWN)


def codes(connection: ForwardConnection) -> tuple[str, ...]:
    """All verdicts that hold for a session, the most important first; of those beside it only such as are known."""
    also = connection.facts.get("also")
    found = [each[0] for each in also if isinstance(each, list) and each] if isinstance(also, list) else []
    return (connection.verdict, *(code for code in VERDICTS if code in found and code != connection.verdict))


def outcome(connection: ForwardConnection) -> Outcome:
    """What a session was good for.

    Damaged frames (I04) did no harm where all came in the end (I14 beside it). One that had to make way for another
    (``preempted``) failed nobody.
    """
    if connection.close_reason == PREEMPTED:
        return Outcome.UNCLEAR
    if connection.verdict == BROKEN and GOOD in codes(connection):
        return Outcome.OK
    return verdict(connection.verdict).outcome


def words() -> list[str]:
    """Every text of the table, for the catalogues."""
    found = [text for each in VERDICTS.values() for text in (each.title, each.sentence, each.advice)]
    return [text for text in dict.fromkeys(found) if text]

"""A meter held against what is expected of it: serial, constants, ratios, quantities, posts, interval, clock; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from edge.drivers.contract import ClockReading, Identity
from edge.field.expected import Expectation

#: Nothing is expected: said as found.
_NOT_ASKED: Final = "as found"


@dataclass(frozen=True)
class Point:
    """One thing checked. ``ok`` None: nothing was expected of it, or the meter does not say."""

    what: str
    ok: bool | None
    found: str
    expected: str = ""
    advice: str = ""


def compare(identity: Identity, clock: ClockReading, wanted: Expectation) -> Iterator[Point]:
    """Yield one point for each thing a configuration is about, wrong or right."""
    detail = identity.detail
    yield _same(
        "serial", identity.serial, wanted.serial.zfill(8) if wanted.serial else "",
        "another meter stands here: update the register if it was exchanged, else look for the right one",
    )  # fmt: skip
    yield _same("model", identity.model, wanted.model, "compare the label; the register names another model")
    yield _same("firmware", detail.get("firmware", ""), wanted.firmware, "ask who updated the meter")
    yield _clock(clock, wanted.clock_tolerance)
    yield _pairs(
        "constants", detail.get("constants"), wanted.constants,
        "the meter was reprogrammed, or the configuration is of another meter: energy would be wrong by the ratio",
    )  # fmt: skip
    yield _pairs("ratios", detail.get("ratios"), wanted.ratios, "compare with the labels of the transformers")
    yield _same(
        "quantities", _listed(detail.get("quantities")), _listed(wanted.quantities),
        "the channels record something else: compare octets 196 to 198 with the order",
    )  # fmt: skip
    step = wanted.profile_step
    yield _same(
        "profile interval", _seconds(detail.get("profile_step")), "" if step is None else _seconds(step),
        "set the interval (command 73, by the maker's program), or correct the register",
    )  # fmt: skip
    minutes = wanted.demand_minutes
    yield _same(
        "demand interval", f"{detail.get('demand_minutes')} min", "" if minutes is None else f"{minutes} min",
        "demand would be counted over another interval than the contract's",
    )  # fmt: skip
    yield from _posts(detail.get("posts", {}), wanted.posts)
    if detail.get("battery") == "bad":
        yield Point("battery", False, "bad", "good", "exchange it: at the next outage the clock is lost")


def _same(what: str, found: str, expected: str, advice: str) -> Point:
    if not expected:
        return Point(what, None, found, _NOT_ASKED)
    right = found == expected
    return Point(what, right, found, expected, "" if right else advice)


def _clock(clock: ClockReading, tolerance: int) -> Point:
    right = abs(clock.drift) <= tolerance
    advice = "set it (order 'set clock' from the aggregator); this laptop's clock is what it was compared with"
    return Point("clock", right, f"{clock.drift:+.0f} s", f"within {tolerance} s", "" if right else advice)


def _pairs(what: str, found: Any, expected: list[list[int]] | None, advice: str) -> Point:
    shown = ", ".join("/".join("?" if term is None else str(term) for term in pair) for pair in found or [])
    if expected is None:
        return Point(what, None, shown or "not said", _NOT_ASKED)
    listed = ", ".join(f"{num}/{den}" for num, den in expected)
    if not found or any(None in pair for pair in found[: len(expected)]):
        return Point(what, None, shown or "the meter does not say", listed)
    right = len(found) >= len(expected) and all(
        a[0] * b[1] == a[1] * b[0] for a, b in zip(found, expected, strict=False)
    )
    return Point(what, right, shown, listed, "" if right else advice)


def _posts(found: dict[str, list[str]], expected: dict[str, list[str]] | None) -> Iterator[Point]:
    for name in found if expected is None else expected:
        seen = sorted(set(found.get(name, [])))  # a meter repeats an earlier start where it has fewer than four
        shown = ", ".join(seen) or "none"
        if expected is None:
            yield Point(f"post {name}", None, shown, _NOT_ASKED)
            continue
        wanted = ", ".join(sorted(set(expected[name])))
        advice = "consumption would be put into the wrong post: set the start times, or correct the calendar"
        yield Point(f"post {name}", shown == wanted, shown, wanted, "" if shown == wanted else advice)


def _listed(codes: list[Any] | None) -> str:
    return "" if not codes else ", ".join("?" if code is None else f"{code:02d}" for code in codes)


def _seconds(value: Any) -> str:
    return f"{value} s"

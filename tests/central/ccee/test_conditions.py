"""Which alarms follow from a meter's sessions; the rule for I11 against a second, slower way to say it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from central.ccee.conditions import Session, conditions
from central.ccee.verdicts import VERDICTS, Outcome, codes, outcome, verdict, words
from tests.central.ccee.samples import connection, session

CODES = [code for code in VERDICTS if code not in ("I01", "I11", "self_test")]
STEPS = st.lists(st.tuples(st.sampled_from(CODES), st.sampled_from(["exclusive", "shared", "self_test"])), max_size=14)


def sessions_of(steps: list[tuple[str, str]]) -> list[Session]:
    return [session(1000 + 60 * n, code, verdict(code).outcome, mode) for n, (code, mode) in enumerate(steps)]


def by_hand(sessions: list[Session]) -> list[tuple[int, int | None]]:
    """(opened, closed) of I11, session by session."""
    found: list[tuple[int, int | None]] = []
    failures, opened = 0, None
    for each in sessions:
        if each.mode == "self_test":
            continue
        if each.outcome == Outcome.FAILED:
            failures += 1
            if failures == 2:
                opened = each.ended_ms // 1000
        if each.outcome == Outcome.OK:
            if opened is not None:
                found.append((opened, each.ended_ms // 1000))
            failures, opened = 0, None
    return found if opened is None else [*found, (opened, None)]


@given(STEPS)
def test_repeated_failures(steps: list[tuple[str, str]]) -> None:
    sessions = sessions_of(steps)
    found = [(c.opened_at, c.closed_at) for c in conditions(sessions) if c.code == "I11"]
    assert found == by_hand(sessions)


@given(STEPS)
def test_a_clean_success_closes_everything(steps: list[tuple[str, str]]) -> None:
    found = conditions([*sessions_of(steps), session(90_000, "I14", "ok")])
    assert all(each.closed_at is not None for each in found)


@given(STEPS)
def test_good_meters_are_not_accused(steps: list[tuple[str, str]]) -> None:
    good = [("I14", mode) for _, mode in steps]
    assert conditions(sessions_of(good)) == []


@given(STEPS)
def test_nothing_before_a_clean_success_matters(steps: list[tuple[str, str]]) -> None:
    """So the store may leave out what lies before the last good session in front of a new one."""
    sessions = sessions_of(steps)
    cuts = [n for n, each in enumerate(sessions) if each.verdict == "I14" and not each.is_test]
    whole = conditions(sessions)
    for cut in cuts:
        later = [each for each in whole if each.key >= sessions[cut].started_ms]
        assert conditions(sessions[cut:]) == later


def test_a_warning_lasts_until_a_success_without_it() -> None:
    steps = [("I09", "shared"), ("I03", "shared"), ("I09", "shared"), ("I10", "shared")]
    found = {(c.code, c.closed_at is None) for c in conditions(sessions_of(steps))}
    assert found == {("I09", False), ("I03", False), ("I10", True)}


def test_self_tests_have_an_alarm_of_their_own() -> None:
    steps = [("I03", "self_test"), ("I06", "self_test"), ("I14", "self_test"), ("I03", "shared"), ("I03", "self_test")]
    found = [(c.code, c.closed_at is None, c.text) for c in conditions(sessions_of(steps))]
    assert found == [("self_test", False, "I03"), ("I03", True, "I03"), ("self_test", True, "I03")]


def test_noise_that_did_no_harm_is_no_failure() -> None:
    assert outcome(connection(verdict="I04", also=("I14",))) == Outcome.OK
    assert outcome(connection(verdict="I04")) == Outcome.FAILED
    assert outcome(connection(verdict="I99")) == Outcome.UNCLEAR


def test_who_made_way_did_not_fail() -> None:
    assert outcome(connection(verdict="I13", close="preempted")) == Outcome.UNCLEAR
    assert conditions([session(0, "I13", "unclear"), session(60, "I13", "unclear", "self_test")]) == []


def test_what_holds_beside_the_verdict_counts_too() -> None:
    first = connection(verdict="I10", also=("I09", "I77", "I14"))
    assert codes(first) == ("I10", "I09", "I14")
    both = session(0, "I10", "ok")._replace(codes="I10 I09 I14", reason="constants")
    found = conditions([both, session(60, "I09", "ok")])
    assert [(c.code, c.closed_at, c.text) for c in found] == [
        ("I09", None, "I09, beside I10: constants"), ("I10", 60, "I10: constants"),
    ]  # fmt: skip


@pytest.mark.parametrize("also", [None, 5, "I09", [5], [[]], [["I09"]], [[["I09"], "x"]], {"I09": 1}])
def test_facts_of_any_shape(also: object) -> None:
    odd = structs.replace(connection(), facts={"also": also})
    assert codes(odd)[0] == "I14"


def test_the_table_is_whole() -> None:
    assert set(VERDICTS) == {f"I{n:02}" for n in range(15)} | {"self_test"}
    assert max(VERDICTS.values(), key=lambda each: each.severity or 0).code == "I11"
    assert all(each.advice for each in VERDICTS.values() if each.severity is not None)
    assert len(words()) == len(set(words())) > 40

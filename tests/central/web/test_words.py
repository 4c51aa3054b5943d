"""What gateways say, in the reader's words; events and registers without noise."""

import ast
import re
from fractions import Fraction
from inspect import getsource
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.commands.executor
import edge.gateway
import edge.guardian.verdicts
import edge.uplink._uplink
from central.metering.registers import Register, RegisterReadingView
from central.web import ccee_words, labels, rights_words
from central.web.i18n import LANGUAGES, activate
from central.web.pages.config import difference
from central.web.pages.meters import EventLine, event_groups
from central.web.pages.widgets import worst
from central.web.told import told
from central.web.views import registers
from central.web.views.event_details import detail
from central.web.views.outcome import CODES, Problem, problems_of
from edge.commands.answer import CODES as EDGE_CODES
from edge.config import parse
from edge.drivers.abnt import billing, driver, reading, session
from edge.drivers.abnt.commands import COMMANDS, OCCURRENCE, OCCURRENCES, Kind, refusal_reason
from edge.errors import ConfigError, WrongMeterError
from edge.lines import line, pipe, serial, tcp
from shared.intervals import zone
from shared.quantities import Quantity
from shared.wire import EVENT_KINDS, MeterState

TZ = zone("America/Sao_Paulo")
GOOD = """gateway = "gw1"
tenant = "t"
[spool]
path = "/var/lib/x/spool.db"
[uplink]
host = "broker"
[[lines]]
name = "a"
kind = "tcp"
address = "10.0.0.1:5000"
[[meters]]
id = "m1"
serial = "12345678"
line = "a"
protocol = "abnt"
"""


@pytest.fixture(autouse=True)
def english() -> None:
    activate("en")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as found:
        parse(text, "the new configuration")
    return str(found.value)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('host = "broker"', 'hots = "broker"', Problem(6, "uplink.hots", "unknown key 'hots'; did you mean 'host'?")),
        ('line = "a"', 'line = "aa"', Problem(14, "meters[0].line (m1)", "no line is called 'aa'; did you mean 'a'?")),
        ('tenant = "t"', "tenant = 5", Problem(2, "tenant", "has to be of type str, is int")),
        ('serial = "12345678"\n', "", Problem(11, "meters[0] (m1)", "the key 'serial' is missing")),
        ('tenant = "t"', 'tenant = "t"\nzone = "Mars"',
         Problem(3, "zone", "'Mars' is not a time zone; one is 'America/Sao_Paulo'")),
    ],
)  # fmt: skip
def test_problems_of_a_real_refusal(old: str, new: str, problem: Problem) -> None:
    assert problems_of(refusal(GOOD.replace(old, new))) == [problem]


def test_every_problem_is_listed() -> None:
    text = GOOD.replace("host", "hots").replace("serial =", "seral =").replace("tenant", "tennant")
    assert [problem.place for problem in problems_of(refusal(text))] == [
        "tennant", "uplink.hots", "meters[0].seral (m1)",
    ]  # fmt: skip
    assert problems_of("anything else") == []
    (broken,) = problems_of(refusal("[[broken"))
    assert broken.words.startswith("this is not TOML: ")


def test_what_gateways_answer_is_known() -> None:
    """Every code of the edge has words here, and every fixed sentence of its commands a translation."""
    source = getsource(edge.commands.executor)
    codes = set(re.findall(r'(?:failure\(\S+ \S+ |return )"([a-z_]+)"', source)) | {code for _, code in EDGE_CODES}
    assert codes >= {"not_permitted", "conflict", "busy", "expired"}
    assert codes <= set(CODES)
    activate("pt_BR")
    fixed = re.findall(r'(?:text = |, )"([a-z][^"{}]{25,})"', source)
    assert len(fixed) > 5
    assert [text for text in fixed if told(text) == text] == []


def test_why_a_meter_is_not_read_is_known() -> None:
    """Whatever lines and driver raise for people to see has a translation."""
    shown = {"LinkError", "SilenceError", "NoiseError", "BusyError", "PreemptedError", "ProtocolError",
             "NotPermittedError"}  # fmt: skip
    said = {
        re.sub("^7", "meter 7: command 7", text) if module is session else text  # what the session calls ``what``
        for module in (line, pipe, serial, tcp, billing, driver, reading, session)
        for node in ast.walk(ast.parse(getsource(module)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in shown
        if isinstance(node.args[0], ast.JoinedStr | ast.Constant)
        for text in [_filled(node.args[0])]
    }
    said -= {"7 7", "7: 7"}  # a pipe's own reason (below), and what the operating system says
    said |= {"10.0.0.1:5000 closed the connection", "10.0.0.1:5000 broke: [Errno 110] timed out"}
    said |= {
        str(WrongMeterError("1", "2")),
        *(f"the meter refused command 20: {_refusal(code)}" for code in OCCURRENCES),
    }
    said |= set(OCCURRENCES.values()) - {"watchdog"}  # the same word
    activate("pt_BR")
    assert len(said) > 40
    assert {text for text in said if told(text) == text} == set()
    assert not any(word in told(text) for text in said for word in (" the ", " meter ", " line "))


def _refusal(code: int) -> str:
    return refusal_reason(OCCURRENCE, code, 0)


def test_what_the_guardian_says_is_known() -> None:
    """Every sentence of a verdict has a translation, whatever stands in its gaps."""
    said = {
        _filled(node)
        for node in ast.walk(ast.parse(getsource(edge.guardian.verdicts)))
        if isinstance(node, ast.JoinedStr | ast.Constant)
    }
    sentences = {text for text in said if re.match(r"[A-Z7].{30,}\.$", text)}
    documented = {text for text in sentences if f'"""{text}' in getsource(edge.guardian.verdicts)}
    activate("pt_BR")
    assert len(sentences - documented) > 15
    assert {text for text in sentences - documented if told(text) == text} == set()


def _filled(node: ast.JoinedStr | ast.Constant) -> str:
    """A text of the source with 7 for whatever is filled in."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)


def test_nested_sentences() -> None:
    said = told("the previous configuration is back: the broker was not reached within 20 s: no route")
    assert said == "The previous configuration is back in force. The broker was not reached within 20 s: no route"
    assert told("100 % of something else") == "100 % of something else"


@pytest.mark.parametrize("code", LANGUAGES)
def test_alarms_of_the_edge_are_translated(code: str) -> None:
    activate(code)
    source = getsource(edge.gateway) + getsource(edge.uplink._uplink)
    codes = set(re.findall(r'\(\s*f?"([a-z_]+): ', source)) & {
        *labels.ALARMS,
        *re.findall(r'"([a-z]+_[a-z]+): ', source),
    }
    assert codes == set(labels.ALARMS)
    for each in codes:
        words = labels.alarm(f"{each}: whatever it says")
        assert each not in words[0]
        assert all(words)


def test_unknown_alarm_is_shown_as_sent() -> None:
    assert labels.alarm("hot: 91 degrees")[0] == "hot: 91 degrees"
    assert labels.alarm("no colon")[0] == "no colon"


@pytest.mark.parametrize(
    ("kind", "given_detail", "words"),
    [
        ("reconciled", {"order": "high_first", "intervals": 96}, ""),
        ("unreconciled", {"reason": "profile sums differ from registers", "misses": {"a": []}},
         "Reason: the sums of the load profile differ from the registers"),
        ("meter_back", {"after": "unreachable", "since": 1_700_000_000}, "Unreachable since 14 Nov 2023, 19:13"),
        ("wrong_serial", {"expected": "1", "found": "2"}, "Expected serial: 1, Answered: 2"),
        ("clock_drift", {"drift": -12.5}, "Clock off by: −12.5\u00a0s"),
        ("clock_set", {"before": 31.0, "after": 0.2, "reader": "000000"},
         "Before: +31\u00a0s, Afterwards: +0.2\u00a0s, Reader: 000000"),
        ("change", {"code": "32", "name": "set holidays", "reader": "123456"},
         "Code: 32, What: holidays set, Reader: 123456"),
        ("demand_reset", {"resets": 23}, "Resets so far: 23"),
        ("spool_pressure", {"used": 1 << 30, "level": "full", "dropped": {"telemetry": 4000}},
         "Used: 1.0\u00a0GiB, Level: full, Dropped rows: Telemetry 4,000"),
        ("clock_jump", {"before": 1_700_000_000, "seconds": 90},
         "Before: 14 Nov 2023, 19:13:20, Difference: +90\u00a0s"),
        ("future_kind", {"colour": "blue"}, "colour: blue"),
        ("clock_drift", {"drift": "much"}, "Clock off by: much"),
    ],
)  # fmt: skip
def test_event_details(kind: str, given_detail: dict[str, Any], words: str) -> None:
    assert detail(kind, given_detail, TZ) == words


@given(
    st.sampled_from(EVENT_KINDS),
    st.dictionaries(
        st.sampled_from(["before", "after", "since", "drift", "used", "dropped", "rows", "level", "name", "reason"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=2)
        | st.floats(allow_nan=False, allow_infinity=False) | st.dictionaries(st.text(), st.integers(), max_size=2),
    ),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_no_detail_breaks_a_page(kind: str, given_detail: dict[str, Any]) -> None:
    assert len(detail(kind, given_detail, TZ)) <= 300


def test_every_kind_of_event_has_words() -> None:
    assert set(EVENT_KINDS) <= set(labels.EVENTS)


def _register(c: int, post: int, value: int) -> Register:
    return Register(Quantity(c, 8, post), value, Fraction(value), None)


def test_registers_that_never_counted_are_set_apart() -> None:
    reading = RegisterReadingView(
        1, 1, 1, 0, 4, None,
        [_register(1, 1, 5), _register(1, 2, 7), _register(1, 3, 0), _register(2, 1, 0), _register(2, 2, 0),
         _register(2, 3, 0)],
    )  # fmt: skip
    table = registers.table(reading, TZ)
    assert [group.zero for group in table.groups] == [False, True]
    assert dict(table.posts)[3]
    assert not dict(table.posts)[1]
    assert table.zeros == 4  # three of the quantity, one of the post
    nothing = registers.table(RegisterReadingView(1, 1, 1, 0, 4, None, [_register(1, 1, 0), _register(2, 1, 0)]), TZ)
    assert nothing.zeros == 0
    assert not any(group.zero for group in nothing.groups)


def _line(kind: str, at: int, place: str = "", until: int | None = None) -> EventLine:
    return EventLine(kind, at, until, place and f"m-{place}", place, "")


def test_repeated_events_are_one_line() -> None:
    lines = [
        _line("reconciled", 10_000, "1"), _line("outage", 9_900, "1", 9_950), _line("reconciled", 9_800, "2"),
        _line("outage", 9_700, "1", 9_750), _line("outage", 9_600, "2", 9_650), _line("reconciled", 9_500, "1"),
        *(_line("reconciled", 9_000, str(number)) for number in range(3, 8)), _line("reconciled", 6_000, "1"),
    ]  # fmt: skip
    groups = event_groups(lines)
    assert [(group.first.kind, group.count, len(group.places), group.more) for group in groups] == [
        ("reconciled", 8, 4, 3),
        ("outage", 2, 2, 0),  # two places
        ("outage", 1, 1, 0),  # the second outage of one place stays a line
        ("reconciled", 1, 1, 0),  # more than an hour before
    ]


def _meter(key: str, state: str, last_ok: int | None = 1_000) -> MeterState:
    return MeterState(key, "line", state, "abnt", last_ok)


def test_attention_is_for_real_trouble() -> None:
    told = [
        _meter("a", "ok"), _meter("b", "stale", 990), _meter("c", "stale", 50), _meter("d", "unreachable"),
        _meter("e", "new"), _meter("f", "unreconciled"), _meter("g", "wrong_serial"), _meter("h", "unreachable", 800),
    ]  # fmt: skip
    assert worst(told, 1_000) == ["g", "h", "d", "f", "c"]


def test_difference_leaves_out_what_is_far() -> None:
    old = "\n".join(f"k{number} = 1" for number in range(30)) + "\n"
    lines = difference(old, old.replace("k2 = 1", "k2 = 2").replace("k25 = 1\n", ""))
    assert [line.text for line in lines if line.sign in ("+", "-")] == ["k2 = 1", "k2 = 2", "k25 = 1"]
    assert [line.sign for line in lines].count("@") == 1
    assert difference(old, old) == []


def test_the_audit_log_speaks_of_the_registry_too() -> None:
    """Words of relations and instants, not names of columns and seconds."""
    activate("pt_BR")
    assert rights_words.action("installed")[0] == "Instalado"
    assert rights_words.field("starts_at") == "De"
    assert rights_words.value("starts_at", "1785380400", TZ) == "30/07/2026 00:00"
    assert rights_words.value("ends_at", "null", TZ) == "–"
    assert rights_words.value("failures", "5", TZ) == "5"


def test_what_a_meter_told_the_ccee_has_names() -> None:
    activate("pt_BR")
    assert ccee_words.fact("constant.2") == "Constante do canal 2"
    assert ccee_words.fact("1-0:0.2.0/2") == "1-0:0.2.0/2"
    assert ccee_words.question("parameters, running period") == "parâmetros, período atual"
    reading = {each.name for each in COMMANDS.values() if each.kind is not Kind.WRITE}
    assert reading - ccee_words.QUESTIONS == {"command 12 (meaning not established)"}

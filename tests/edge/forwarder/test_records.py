"""What is kept of connections: verdicts, failures in a row, the journal over a kill, self-tests, captures."""

import asyncio
import os
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EdgeError, LinkError, PreemptedError
from edge.forwarder import forward as forwards
from edge.forwarder import listening
from edge.forwarder.admission import Admission
from edge.forwarder.capture import RING, Capture
from edge.forwarder.listening import listen
from edge.forwarder.record import complete, cut_by_restart, judged
from edge.guardian import Exchange, Finding, Kind, Verdict
from edge.simulators.abnt.meter import Meter
from edge.simulators.abnt.server import TcpPort
from edge.simulators.abnt.setup import MeterSetup
from edge.simulators.faults import Fault, FaultKind
from edge.spool import Spool
from shared.wire import ForwardCapture, ForwardConnection, decode_item, encode
from tests.edge.forwarder.benches import bench
from tests.edge.simulators.rawreader import RawReader, command
from tests.ports import until

OPENED = ForwardConnection("m1", "m1", "shared", "10.0.0.1:5", "0.0.0.0:1", 1_795_000_000_000, 1_795_000_000_000)


def ended(verdict: str, mode: str = "shared", reason: str = "client") -> ForwardConnection:
    return msgspec.structs.replace(OPENED, verdict=verdict, mode=mode, close_reason=reason)


def test_the_second_failure_in_a_row_is_told_at_once() -> None:
    failures, kinds = 0, []
    for record in (
        ended("I14"), ended("I03"), ended("I03", "self_test"), ended("I00"), ended("I13", reason="preempted"),
        ended("I08"), ended("I13"), ended("I14"), ended("I04"),
        msgspec.structs.replace(ended("I04"), facts={"also": [["I14", "all came in the end"]]}), ended("I04"),
    ):  # fmt: skip
        failures, events = judged(record, failures)
        kinds.append([event.kind for event in events])
    one, two = ["ccee_failure"], ["ccee_failure", "ccee_repeated_failure"]
    assert kinds == [[], one, [], [], [], two, two, [], one, [], one]
    assert failures == 1


async def test_connections_of_one_millisecond_are_told_apart(spool_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journal and aggregator know a connection by its start: none may take another's name."""
    stopped = time.time()
    monkeypatch.setattr("edge.forwarder.forward.time", SimpleNamespace(time=lambda: stopped))
    async with TcpPort([Meter(MeterSetup("10000001", days=1))]) as port, bench(spool_path, port) as it:
        for _ in range(3):
            async with await RawReader.tcp(it.port) as ccee:
                await ccee.ask(0x21)
        starts = [record.started_ms for record in await it.records(3)]
    assert starts == [int(stopped * 1000) + i for i in range(3)]


async def test_two_failed_sessions_are_an_alarm_over_restarts_and_a_good_one_ends_it(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port:
        async with bench(spool_path, port, resume_seconds=0) as it:
            async with await RawReader.tcp(it.port) as ccee:
                await silence(ccee, port)
            (first,) = await it.records(1)
            assert first.verdict == "I03", first.reason
            assert len(await it.events("ccee_failure", 1)) == 1
        async with bench(spool_path, port, resume_seconds=0) as it:
            assert it.forward.state["failures"] == 1
            async with await RawReader.tcp(it.port) as ccee:
                await silence(ccee, port)
            await it.records(2)
            (event,) = await it.events("ccee_repeated_failure", 1)
            assert (event.detail["failures"], event.detail["verdict"]) == (2, "I03")
            assert it.forwarder.alarms()[0].startswith("ccee_repeated_failure: m1")
            async with await RawReader.tcp(it.port) as ccee:
                await ccee.ask(0x21)
                await ccee.ask_blocks(0x52)
            await it.records(3)
            assert it.forwarder.alarms() == []


async def silence(ccee: RawReader, port: TcpPort) -> None:
    """Ask, again and again, a meter that does not answer."""
    await ccee.enq()
    port.faults.set(Fault(FaultKind.SILENCE, 1.0, 30))
    for pause in (0.2, 3.2):  # as long as the guardian takes for no answer
        ccee.send(command(0x21))
        await asyncio.sleep(pause)
    port.faults.clear()


async def test_a_good_session_is_the_last_success_over_restarts(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port:
        async with bench(spool_path, port, resume_seconds=0) as it:
            async with await RawReader.tcp(it.port) as ccee:
                await ccee.ask(0x21)
                await ccee.ask_blocks(0x52)
            (record,) = await it.records(1)
            assert record.verdict == "I14", record.reason
            assert record.serial == "10000001"
            assert record.exchanges
            assert abs(it.forward.shown(None).last_ccee_ok - time.time()) < 10  # type: ignore[operator]
        async with bench(spool_path, port) as it:
            shown = it.forward.shown(1_700_000_000)
            assert shown.last_ccee_ok == record.ended_ms // 1000
            assert (shown.state, shown.last_own_ok) == ("listening", 1_700_000_000)


async def test_a_connection_that_a_kill_cut_has_its_record_once(spool_path: Path) -> None:
    async with Spool(spool_path, "gw1") as spool:
        await spool.connections.open(OPENED)
        assert await spool.connections.unfinished() == [OPENED]
    async with TcpPort([Meter(MeterSetup("10000001", days=1))]) as port:
        for _ in range(2):
            async with bench(spool_path, port) as it:
                (record,) = await it.records(1)
                assert (record.close_reason, record.verdict) == ("restart", "I13")
                assert record.started_ms == OPENED.started_ms
                assert await it.spool.connections.unfinished() == []
                assert it.forward.state["failures"] == 1


@pytest.mark.parametrize(
    "finding",
    [
        Finding("abnt", Verdict.GOOD, "a\0b"),
        Finding("", Verdict.GOOD, "", facts={"x": object()}),
        Finding("abnt", Verdict.GOOD, "", constants={"x": 1 << 70}),  # type: ignore[dict-item]
        Finding("abnt", Verdict.GOOD, "", range_start=-5),
        Finding("abnt", Verdict.GOOD, "", exchanges=[Exchange(0.0, "21", "x", Kind.OTHER, detail={"b": b"raw"})]),
    ],
)
def test_a_finding_that_cannot_travel_does_not_keep_the_record_back(finding: Finding) -> None:
    done = complete(OPENED, OPENED.started_ms + 5, finding, sent=7)
    assert decode_item(encode(done)) == done
    assert (done.sent, done.ended_ms, done.verdict) == (7, OPENED.started_ms + 5, "I00")
    assert "cannot be told" in done.reason


def test_many_exchanges_are_listed_up_to_a_number_and_counted() -> None:
    many = [Exchange(OPENED.started_ms / 1000 + n, "21", "x", Kind.OTHER) for n in range(600)]
    done = complete(OPENED, OPENED.started_ms, Finding("abnt", Verdict.GOOD, "", exchanges=many, more=3))
    assert (len(done.exchanges), done.more) == (512, 91)
    assert done.exchanges[2].at_ms == 2000


def test_a_restart_does_not_end_before_the_start() -> None:
    assert cut_by_restart(OPENED, 5).ended_ms == OPENED.started_ms


async def test_open_connections_are_in_the_journal_and_a_stop_writes_their_record(spool_path: Path) -> None:
    async with TcpPort([Meter(MeterSetup("10000001", days=1))]) as port:
        async with bench(spool_path, port) as it:
            ccee = await RawReader.tcp(it.port)
            await ccee.ask(0x21)
            while not (found := await it.spool.connections.unfinished()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            (opened,) = found
            assert opened.source.startswith("127.0.0.1:")
        ccee.writer.close()
        async with Spool(spool_path, "gw1") as spool:
            assert await spool.connections.unfinished() == []
        async with bench(spool_path, port) as it:
            (record,) = await it.records(1)
            assert (record.close_reason, record.started_ms) == ("stopped", opened.started_ms)


async def test_a_spool_without_room_holds_records_back_and_connections_up_not_at_all(spool_path: Path) -> None:
    async with TcpPort([Meter(MeterSetup("10000001", days=1))]) as port, bench(spool_path, port) as it:
        refused = it.spool.commit
        calls = 0

        async def full(visit: object) -> list[int]:
            nonlocal calls
            calls += 1
            if calls < 3:
                raise LinkError("no room")
            return await refused(visit)  # type: ignore[arg-type]

        it.spool.commit = full  # type: ignore[method-assign]
        from edge.forwarder import service

        service.AGAIN, before = 0.05, service.AGAIN  # type: ignore[misc]
        try:
            async with await RawReader.tcp(it.port) as ccee:
                await ccee.ask(0x21)
            assert await it.records(1)
            assert calls >= 3
        finally:
            service.AGAIN = before  # type: ignore[misc]


async def test_self_test_reads_over_the_same_port(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port, bench(spool_path, port, allow=[]) as it:  # nobody is let in but ourselves
        passed = await it.forwarder.test("m1")
        assert passed.serial == "10000001"
        assert abs(passed.drift) < 5
        assert passed.intervals >= 3
        (record,) = await it.records(1)
        assert (record.mode, record.verdict) == ("self_test", "I14"), record.reason
        assert it.forward.shown(None).last_own_ok is not None
        assert it.forward.shown(None).last_ccee_ok is None
        with pytest.raises(EdgeError, match="no forward here; there are: m1"):
            await it.forwarder.test("m2")


async def test_self_test_never_while_ccee_is_there_and_makes_way(spool_path: Path) -> None:
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port, bench(spool_path, port, resume_seconds=0) as it:
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)
            with pytest.raises(PreemptedError, match="is connected"):
                await it.forwarder.test("m1")
        await it.records(1)
        port.faults.set(Fault(FaultKind.SILENCE, 1.0, 2))
        testing = asyncio.create_task(it.forwarder.test("m1"))
        await until(lambda: it.forward.shown(None).state == "testing")
        port.faults.clear()
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)
            with pytest.raises(PreemptedError, match="made way"):
                await testing
        modes = {record.mode: record.close_reason for record in await it.records(3)}
        assert modes == {"shared": "client", "self_test": "preempted"}


async def test_a_failing_self_test_is_an_event(spool_path: Path, unused_port: int) -> None:
    async with bench(spool_path, unused_port, target=True) as it:
        with pytest.raises(EdgeError):
            await it.forwarder.test("m1")
        await it.records(1)
        (event,) = await it.events("forward_trouble", 1)
        assert event.detail["self_test"] is True


async def test_self_tests_come_by_themselves(spool_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwards, "FIRST_TEST", 1)
    meter = Meter(MeterSetup("10000001", days=1))
    async with TcpPort([meter]) as port, bench(spool_path, port, self_test_hours=1) as it:
        assert [record.mode for record in await it.records(1)] == ["self_test"]


async def test_a_port_in_use_is_named_and_tried_again(spool_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwards, "RETRY", 0.05)
    meter = Meter(MeterSetup("10000001", days=1))
    taken = listen("127.0.0.1", 0).sock
    number = taken.getsockname()[1]
    try:
        with pytest.raises(LinkError, match=f"port {number} is in use by another program"):
            listen("127.0.0.1", number)
        with pytest.raises(LinkError, match="there is no interface nowhere0"):
            listen("0.0.0.0", number, "nowhere0")
        with pytest.raises(LinkError, match="no interface has this address"):
            listen("192.0.2.7", number)
    finally:
        taken.close()
    assert listening._address_of("lo", "0.0.0.0") == "127.0.0.1"  # where a device may not be bound to
    on_lo = listen("0.0.0.0", 0, "lo")
    try:
        assert not on_lo.stale
        assert on_lo.device or on_lo.sock.getsockname()[0] == "127.0.0.1"
    finally:
        on_lo.sock.close()
    async with TcpPort([meter]) as port, bench(spool_path, port, interface="lo", listen="0.0.0.0") as it:
        async with await RawReader.tcp(it.port) as ccee:
            await ccee.ask(0x21)
        assert (await it.records(1))[0].sent
        if it.forward._listening is not None and it.forward._listening.device:
            assert (await it.forwarder.test("m1")).serial == "10000001"


@given(st.lists(st.floats(0, 2000), max_size=30))
def test_strangers_alarm_only_on_three_in_ten_minutes(times: list[float]) -> None:
    admission = Admission([])
    alarms = [now for now in sorted(times) if admission.refuse(now)]
    assert admission.refused == len(times)
    for now in alarms:
        assert sum(now - 600 <= other <= now for other in times) >= 3
    assert all(later - earlier >= 600 for earlier, later in pairwise(alarms))


@pytest.mark.parametrize(
    ("allow", "host", "let_in"),
    [
        (["10.20.0.0/24"], "10.20.0.9", True), (["10.20.0.0/24"], "10.20.1.9", False), ([], "127.0.0.1", False),
        (["10.20.0.7"], "::ffff:10.20.0.7", True), (["fd00::/8"], "fd00::1%eth0", True), (["0.0.0.0/0"], "::1", False),
    ],
)  # fmt: skip
def test_admission(allow: list[str], host: str, let_in: bool) -> None:
    assert Admission(allow).admits(host) is let_in


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 1), st.binary(min_size=1, max_size=40_000)), max_size=12))
def test_captures_hold_the_last_of_each_way_in_order(pieces: list[tuple[int, int, bytes]]) -> None:
    capture, at, all_of = Capture(), 0, [b"", b""]
    for step, side, data in pieces:
        at += step
        capture.add(at, side, data)
        all_of[side] += data
    items = capture.items("m1", 7)
    assert [item.part for item in items] == list(range(len(items)))
    held = [piece for item in items for piece in msgspec.msgpack.decode(item.data)]
    assert [ms for ms, _, _ in held] == sorted(ms for ms, _, _ in held)
    for side in (0, 1):
        kept = b"".join(data for _, which, data in held if which == side)
        assert all_of[side].endswith(kept)
        assert len(kept) <= RING
        assert len(kept) >= min(len(all_of[side]), RING - 20_000)


def test_a_capture_of_single_octets_stays_small() -> None:
    capture = Capture()
    for at in range(0, 400_000, 30):
        capture.add(at, 1, os.urandom(1))
    assert sum(len(item.data) for item in capture.items("m1", 7)) <= 2 * RING
    assert all(isinstance(item, ForwardCapture) for item in capture.items("m1", 7))

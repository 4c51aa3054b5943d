"""The audit channel tested: each trouble is named, and nothing healthy is accused."""

import asyncio
from typing import Any

import pytest

from edge.drivers.abnt.frames import Variant
from edge.field.audit import STEPS, Audit, Step, audit
from edge.field.folder import Folder
from edge.field.place import Options, parse
from edge.simulators.abnt.session import SessionSetup
from edge.simulators.faults import Fault, FaultKind, FaultPlan
from tests.edge.field.conftest import SERIAL, address, meter_port

pytestmark = pytest.mark.usefixtures("quick")


async def tried(folder: Folder, place: str, serial: str = SERIAL, **options: Any) -> Audit:
    told: list[Step] = []
    result = await audit(parse(place), folder, Options(serial=serial, **options), told.append)
    assert [step.name for step in result.steps] == list(STEPS)
    assert result.steps == told
    return result


def failed(result: Audit) -> list[str]:
    return [step.name for step in result.steps if step.ok is False]


@pytest.mark.parametrize("pty", [False, True], ids=["tcp", "pty"])
async def test_a_healthy_channel(folder: Folder, pty: bool) -> None:
    async with meter_port(pty=pty) as port:
        result = await tried(folder, address(port))
    assert (result.verdict, failed(result)) == ("I14", [])
    assert result.diagnosis.startswith("all well: ")
    assert result.serial == SERIAL
    assert "4 of 4 intervals of the last hour in 3 channels" in result.steps[-1].words


@pytest.mark.parametrize("variant", [Variant.HEADED, Variant.DIRECTIONAL])
async def test_other_wire_variants(folder: Folder, variant: Variant) -> None:
    async with meter_port(session=SessionSetup(variant=variant)) as port:
        result = await tried(folder, address(port))
    assert result.verdict == "I14"
    assert variant.value in result.steps[2].words


async def test_nobody_listens(folder: Folder, unused_port: int) -> None:
    result = await tried(folder, f"127.0.0.1:{unused_port}")
    assert (result.verdict, failed(result), result.connected) == ("", ["connect"], False)
    assert "no connection" in result.diagnosis
    assert "nothing listens" in result.diagnosis
    assert "VPN" in result.diagnosis
    assert [step.ok for step in result.steps[1:]] == [None] * 5


async def served(answer: Any) -> tuple[asyncio.Server, str]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_port_that_closes_at_once(folder: Folder) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server, place = await served(answer)
    async with server:
        result = await tried(folder, place)
    assert failed(result) == ["line"]
    assert "allow-list" in result.diagnosis


async def test_a_silent_line(folder: Folder) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server, place = await served(answer)
    async with server:
        result = await tried(folder, place)
    assert failed(result) == ["line"]
    assert result.diagnosis.startswith("connected, line silent: ")
    assert result.verdict in ("I03", "I00")
    assert "supply" in result.diagnosis or "not known" in result.diagnosis


async def test_a_meter_that_calls_and_does_not_answer(folder: Folder) -> None:
    async with meter_port(faults=FaultPlan(Fault(FaultKind.SILENCE, 1.0, 0.05))) as port:
        result = await tried(folder, address(port))
    assert result.diagnosis.startswith("connected, line answers, ")
    assert failed(result) == ["identification"]
    assert result.verdict != "I14"


async def test_noise(folder: Folder) -> None:
    async with meter_port(faults=FaultPlan(Fault(FaultKind.NOISE, 1.0, 5))) as port:
        result = await tried(folder, address(port))
    assert (result.verdict, failed(result)) == ("I04", ["identification"])
    assert result.diagnosis.startswith("connected, line answers, answers damaged: ")
    assert "noise" in result.diagnosis


async def test_a_refused_password(folder: Folder) -> None:
    async with meter_port(occurrence=(0x41, 0)) as port:
        result = await tried(folder, address(port))
    assert (result.verdict, failed(result)) == ("I06", ["identification"])
    assert result.diagnosis.startswith("connected, line answers, password refused: ")
    assert "do not repeat it in a loop" in result.diagnosis


async def test_another_meter(folder: Folder) -> None:
    async with meter_port("87654321") as port:
        result = await tried(folder, address(port))
    assert (result.verdict, failed(result), result.serial) == ("I05", ["serial"], "87654321")
    assert "update the register" in result.diagnosis


async def test_a_clock_that_is_off(folder: Folder) -> None:
    async with meter_port(offset=300.0) as port:
        result = await tried(folder, address(port))
    assert (result.verdict, failed(result)) == ("I09", ["clock"])
    assert "300 s fast" in result.diagnosis or "299 s fast" in result.diagnosis


async def test_constants_that_changed_since_the_last_good_test(folder: Folder) -> None:
    async with meter_port() as port:
        assert (await tried(folder, address(port))).ok
        known = folder.learnt(address(port))["audit_constants"]
        name = next(iter(known))
        folder.learn(address(port), audit_constants=known | {name: "1/7"})
        result = await tried(folder, address(port))
    assert result.verdict == "I10"
    assert "1/7" in result.diagnosis


async def test_a_connection_lost_in_the_middle(folder: Folder) -> None:
    plan = FaultPlan()
    plan.arm(FaultKind.DROP)
    async with meter_port(faults=plan) as port:
        result = await tried(folder, address(port))
    assert result.verdict not in ("I14", "")
    assert not result.ok
    assert failed(result)

"""A fake modem on a pseudo-terminal, ModemManager's JSON as mmcli prints it, and answers made of noise."""

import asyncio
import os
import pty
import tty
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config.model import Module
from edge.errors import LinkError
from edge.telemetry.modem import by_at, by_modemmanager, parse_cops, parse_csq
from edge.telemetry.modules import read_module
from shared.wire import ModuleTelemetry

ANSWERS = {
    b"ATE0": b"OK",
    b"AT+CSQ": b"+CSQ: 18,99\r\n\r\nOK",
    b"AT+COPS?": b'+COPS: 0,0,"Example Telecom",7\r\n\r\nOK',
    b"AT^CHIPTEMP?": b"^CHIPTEMP: 412,398,65535\r\n\r\nOK",
}


class FakeModem:
    """Answers AT commands on the master side of a pty, echoing them as modems do until ATE0."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self.master, False)
        self.answers = answers
        self.echo = True
        self.buffer = b""
        asyncio.get_running_loop().add_reader(self.master, self.serve)

    def serve(self) -> None:
        self.buffer += os.read(self.master, 1000)
        while b"\r" in self.buffer:
            command, _, self.buffer = self.buffer.partition(b"\r")
            answer = self.answers.get(command, b"ERROR")
            os.write(self.master, (command + b"\r" if self.echo else b"") + b"\r\n" + answer + b"\r\n")
            self.echo = self.echo and command != b"ATE0"

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)


@pytest.fixture
async def modem() -> AsyncIterator[FakeModem]:
    fake = FakeModem(dict(ANSWERS))
    yield fake
    fake.close()


def at_module(modem: FakeModem, **more: object) -> Module:
    return Module(name="gprs", kind="at", device=modem.port, **more)  # type: ignore[arg-type]


async def test_at_modem(modem: FakeModem) -> None:
    found = await by_at(at_module(modem, temperature_command="AT^CHIPTEMP?", temperature_scale=0.1))
    assert found == ModuleTelemetry("gprs", 41.2, -77.0, 58.1, "Example Telecom", "LTE")


async def test_modem_that_does_not_know_a_command_still_tells_the_rest(modem: FakeModem) -> None:
    del modem.answers[b"AT+COPS?"]
    found = await by_at(at_module(modem, temperature_command="AT+NOSUCH"))
    assert found == ModuleTelemetry("gprs", None, -77.0, 58.1)


async def test_silent_modem_is_named(modem: FakeModem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.telemetry.modem.ANSWER_TIMEOUT", 0.05)
    modem.answers[b"AT+CSQ"] = b""
    with pytest.raises(LinkError, match=r"does not answer AT\+CSQ"):
        await by_at(at_module(modem))
    found = await read_module(at_module(modem), 0.0)
    assert found.module == "gprs"
    assert found.signal_dbm is None


async def test_chattering_modem_is_cut_off(modem: FakeModem) -> None:
    modem.answers[b"AT+CSQ"] = b"x" * 5000
    with pytest.raises(LinkError, match="no OK"):
        await by_at(at_module(modem, temperature_command=""))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("+CSQ: 0,0", (-113.0, 0.0)),
        ("+CSQ: 31,99", (-51.0, 100.0)),
        ("+CSQ: 99,99", (None, None)),
        ("+CSQ:7", (-99.0, 22.6)),
        ("", (None, None)),
    ],
)
def test_csq(answer: str, expected: tuple[float | None, float | None]) -> None:
    assert parse_csq(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('+COPS: 0,0,"TIM BRASIL",2', ("TIM BRASIL", "UMTS")),
        ('+COPS: 0,2,"72402"', ("72402", "")),
        ("+COPS: 0", ("", "")),
        ('+COPS: 0,0,"X",77', ("X", "")),
    ],
)
def test_cops(answer: str, expected: tuple[str, str]) -> None:
    assert parse_cops(answer) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_parsed_without_error(text: str) -> None:
    dbm, _ = parse_csq("+CSQ: " + text)
    assert dbm is None or -113 <= dbm <= -51
    parse_cops("+COPS: " + text)


# output of `mmcli -J` 1.20 for an LTE modem, shortened
MODEM = """{"modem":{"3gpp":{"operator-code":"72411","operator-name":"VIVO"},
"generic":{"access-technologies":["lte"],"signal-quality":{"recent":"yes","value":"67"},"state":"connected"}}}"""
SIGNAL = """{"modem":{"signal":{"5g":{"rsrp":"--"},"lte":{"rsrp":"-96.00","rsrq":"-11.00","rssi":"-65.00","snr":"9.80"},
"gsm":{"rssi":"--"},"refresh":{"rate":"30"}}}}"""


async def test_modemmanager() -> None:
    asked: list[tuple[str, ...]] = []

    async def mmcli(*command: str) -> str | None:
        asked.append(command)
        return SIGNAL if "--signal-get" in command else MODEM

    module = Module(name="lte", kind="modemmanager", device="0")
    found = await by_modemmanager(module, mmcli)
    assert found == ModuleTelemetry("lte", None, -96.0, 67.0, "VIVO", "lte")
    assert all(command[:4] == ("mmcli", "-J", "-m", "0") for command in asked)


async def test_modemmanager_signal_polling_is_switched_on() -> None:
    asked: list[tuple[str, ...]] = []

    async def mmcli(*command: str) -> str | None:
        asked.append(command)
        return '{"modem":{"signal":{"lte":{"rsrp":"--"}}}}' if "--signal-get" in command else MODEM

    found = await by_modemmanager(Module(name="lte", kind="modemmanager"), mmcli)
    assert found is not None
    assert found.signal_dbm is None
    assert ("mmcli", "-m", "any", "--signal-setup=30") in asked


async def test_modemmanager_absent_or_talking_nonsense() -> None:
    async def absent(*command: str) -> str | None:
        return None

    async def nonsense(*command: str) -> str | None:
        return '["modem"]'

    assert await by_modemmanager(Module(name="lte", kind="modemmanager"), absent) is None
    assert await by_modemmanager(Module(name="lte", kind="modemmanager"), nonsense) is None


async def test_simulated_module_is_labelled_and_plausible() -> None:
    for minute in range(0, 86400, 600):
        found = await read_module(Module(name="demo", kind="simulated"), 1_700_000_000.0 + minute)
        assert found.operator == "simulated"
        assert found.temperature is not None
        assert 20 < found.temperature < 60
        assert found.signal_dbm is not None
        assert -113 < found.signal_dbm < -51
        assert found.signal_percent is not None
        assert 0 <= found.signal_percent <= 100

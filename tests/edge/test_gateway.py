"""The gateway as a process: simulated meters on TCP and a pseudo-terminal, a real broker, an aggregator's stand-in."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from array import array
from pathlib import Path

import pytest

from ext.profile import unpack
from shared.wire import (
    ApplyConfig,
    Command,
    GatewayConfig,
    GatewayState,
    GatewayTelemetry,
    Item,
    MeterEvent,
    ProfileBlock,
    ReadNow,
    RegisterReading,
    Result,
    decode,
    decode_item,
    encode,
)
from tests.brokers import Broker
from tests.edge.gateways import GatewayProcess, edge, meters, toml, until
from tests.edge.uplink.central import Central

CHANNELS = ("1.29.0", "5.29.0", "8.29.0")
#: Intervals in the memory of three days, less two that a quarter hour ending meanwhile may take.
DAYS = 3 * 96 - 2


def items(central: Central) -> list[Item]:
    return [decode_item(row) for _, row in sorted(central.rows.items())]


def profile(central: Central, meter: str) -> dict[tuple[str, int], int]:
    """(channel, start) -> count of everything delivered."""
    found: dict[tuple[str, int], int] = {}
    for item in items(central):
        if isinstance(item, ProfileBlock) and item.meter == meter:
            values: array[int] = unpack(item.data)[0]
            for index, value in enumerate(values):
                key = (item.channel, item.start + index * item.step)
                assert found.get(key, value) == value
                found[key] = value
    return found


def state(central: Central) -> GatewayState:
    return decode(central.retained["state"], GatewayState)


def command(action: ReadNow | ApplyConfig, name: str) -> bytes:
    return encode(Command(name, int(time.time()), int(time.time()) + 60, "test", action))


def result(central: Central, name: str) -> Result | None:
    return next((item for item in items(central) if isinstance(item, Result) and item.command == name), None)


@pytest.fixture
def config(tmp_path: Path, spool_path: Path) -> Path:
    """Where the test's configuration goes, beside an empty spool."""
    return tmp_path / "gateway.toml"


async def test_everything_in_the_meters_arrives(config: Path, broker: Broker) -> None:
    async with meters("tcp", "pty") as ports, Central(broker.port) as central:
        config.write_text(toml(config.parent, broker.port, ports))
        with GatewayProcess(config) as gateway:
            expected = {}
            for port in ports:
                meter = port.meters[0]
                begin, end = meter.memory()
                expected[f"m-{meter.serial}"] = (meter, (end - begin) // 900 - 2)
            await until(lambda: all(len(profile(central, m)) >= 3 * n for m, (_, n) in expected.items()), 45)
            for name, (meter, count) in expected.items():
                held = profile(central, name)
                assert len(held) >= 3 * count
                for (channel, start), value in held.items():
                    true = meter.recorded(CHANNELS.index(channel), start)
                    assert true in (value, None), (name, channel, start)  # None: overwritten by now
            await until(lambda: {type(i) for i in items(central)} >= {RegisterReading, GatewayTelemetry})
            await until(lambda: "conf" in central.retained and "state" in central.retained)
            shown = state(central)
            assert shown.online
            assert {line.line for line in shown.lines} == {"line0", "line1"}
            conf = decode(central.retained["conf"], GatewayConfig)
            assert "s3cret" not in conf.toml
            assert conf.hash == shown.config
            await central.publish("cmd", command(ReadNow("m-10000002", ["registers"]), "c1"))
            await central.publish("cmd", command(ReadNow("m-77", ["registers"]), "c2"))
            await until(lambda: result(central, "c1") and result(central, "c2"))
            first, second = result(central, "c1"), result(central, "c2")
            assert first is not None
            assert first.ok, first
            assert second is not None
            assert second.code == "unknown_meter"
            assert central.progress
            assert not central.changed
            assert gateway.stop() == 0
            assert "Traceback" not in gateway.log
            await until(lambda: not state(central).online)
    # all of it is still in the spool, and can be looked at
    out = edge("export", config, "--meter", "m-10000001")
    assert out.returncode == 0, out.stderr
    assert sum(",profile," in line for line in out.stdout.splitlines()) >= 3 * DAYS
    lines = [json.loads(line) for line in edge("export", config, "--format", "json").stdout.splitlines()]
    assert {line["type"] for line in lines} >= {"ProfileBlock", "RegisterReading", "GatewayTelemetry", "Result"}
    stopped = edge("status", config)
    assert stopped.returncode == 3
    assert "no gateway is running" in stopped.stderr
    assert "rows to deliver of" in stopped.stdout


async def test_a_second_start_reads_only_what_is_new(config: Path, broker: Broker) -> None:
    async with meters("tcp") as ports, Central(broker.port) as central:
        config.write_text(toml(config.parent, broker.port, ports))
        with GatewayProcess(config) as gateway:
            await until(lambda: len(profile(central, "m-10000001")) >= 3 * DAYS, 45)
            gateway.stop(signal.SIGKILL)
        before = [i for i in items(central) if isinstance(i, ProfileBlock)]
        with GatewayProcess(config) as gateway:
            await until(lambda: sum(isinstance(i, GatewayTelemetry) for i in items(central)) >= 2)
            await asyncio.sleep(1)
            assert gateway.stop() == 0
        after = [i for i in items(central) if isinstance(i, ProfileBlock)]
        again = sum(block.count for block in after) - sum(block.count for block in before)
        assert again <= 3 * 4, "an interval or two may have passed, or a visit was cut before its commit"


async def test_wrong_serial_is_an_event_a_state_and_a_line_in_the_log(config: Path, broker: Broker) -> None:
    async with meters("tcp") as ports, Central(broker.port) as central:
        config.write_text(toml(config.parent, broker.port, ports, serials={"10000001": "55555555"}))
        with GatewayProcess(config) as gateway:
            await until(lambda: any(isinstance(i, MeterEvent) and i.kind == "wrong_serial" for i in items(central)))
            assert not any(isinstance(i, ProfileBlock | RegisterReading) for i in items(central))
            await until(lambda: state(central).meters[0].state == "wrong_serial")
            assert "meter 10000001 answers where meter 55555555 is configured" in state(central).meters[0].error
            shown = await asyncio.to_thread(edge, "status", config, "--json")
            assert json.loads(shown.stdout)["state"]["meters"][0]["state"] == "wrong_serial"
            assert "wrong_serial" in (await asyncio.to_thread(edge, "status", config)).stdout
            read = await asyncio.to_thread(edge, "read", config, "m-10000001")
            assert read.returncode == 1
            assert "correct the serial" in read.stderr
            gateway.stop()
            assert "meter 10000001 answers where meter 55555555" in gateway.log


async def test_read_and_check_with_and_without_a_gateway(config: Path, broker: Broker) -> None:
    async with meters("tcp") as ports:
        config.write_text(toml(config.parent, broker.port, ports))
        good = await asyncio.to_thread(edge, "check", config, "--connect")
        assert good.returncode == 0, good.stdout + good.stderr
        assert "meter m-10000001: ABNT" in good.stdout
        alone = await asyncio.to_thread(edge, "read", config, "m-10000001", "--kind", "instantaneous", "--json")
        assert alone.returncode == 0, alone.stderr
        assert json.loads(alone.stdout)["items"][0]["type"] == "InstantSnapshot"
        with GatewayProcess(config) as gateway:
            socket_file = config.parent / "spool.db.sock"
            await until(lambda: socket_file.exists() and socket_file.stat().st_mode & 0o777 == 0o660)
            through = await asyncio.to_thread(
                edge, "read", config, "m-10000001", "--kind", "clock", "--kind", "registers"
            )
            assert through.returncode == 0, through.stderr
            assert "Active energy delivered" in through.stdout
            owned = await asyncio.to_thread(edge, "check", config, "--connect")
            assert owned.returncode == 2
            assert "owns its lines" in owned.stderr
            second = await asyncio.to_thread(edge, "run", config)
            assert second.returncode == 2
            assert "is in use by process" in second.stderr
            socket_file.unlink()
            refused = await asyncio.to_thread(edge, "read", config, "m-10000001")
            assert refused.returncode == 2
            assert f"process {gateway.running.pid}" in refused.stderr
            assert gateway.stop() == 0


async def test_apply_configuration_and_roll_back(config: Path, broker: Broker, unused_port: int) -> None:
    async with meters("tcp") as ports, Central(broker.port) as central:
        text = toml(config.parent, broker.port, ports, more='zone = "America/Sao_Paulo"')
        config.write_text(text)
        with GatewayProcess(config) as gateway:
            await until(lambda: "state" in central.retained and state(central).online)
            wrong = text.replace(f"port = {broker.port}", f"port = {unused_port}")
            await central.publish("cmd", command(ApplyConfig(wrong, state(central).config), "bad"))
            await until(lambda: result(central, "bad"), 30)
            bad = result(central, "bad")
            assert bad is not None
            assert (bad.ok, bad.code) == (False, "rolled_back")
            assert "refused" in bad.message
            assert config.read_text() == text
            good = text.replace("America/Sao_Paulo", "America/Manaus")
            await central.publish("cmd", command(ApplyConfig(good, state(central).config), "good"))
            await until(lambda: result(central, "good"), 30)
            answer = result(central, "good")
            assert answer is not None
            assert answer.ok
            assert config.read_text() == good
            await until(lambda: state(central).config == answer.data["hash"])
            assert not list(config.parent.glob("*.trial"))
            assert gateway.stop() == 0


async def test_killed_while_a_configuration_is_on_trial(config: Path, broker: Broker, unused_port: int) -> None:
    async with meters("tcp") as ports, Central(broker.port) as central:
        text = toml(config.parent, broker.port, ports)
        config.write_text(text)
        with GatewayProcess(config) as gateway:
            await until(lambda: "state" in central.retained and state(central).online)
            wrong = text.replace(f"port = {broker.port}", f"port = {unused_port}")
            await central.publish("cmd", command(ApplyConfig(wrong), "bad"))
            await until((config.parent / "gateway.toml.trial").exists)
            gateway.stop(signal.SIGKILL)
        with GatewayProcess(config) as gateway:
            await until(lambda: result(central, "bad"), 30)
            bad = result(central, "bad")
            assert bad is not None
            assert bad.code == "rolled_back"
            assert config.read_text() == text
            assert gateway.stop() == 0


async def test_broker_out_of_reach_is_said_and_readings_go_on(config: Path, unused_port: int) -> None:
    async with meters("tcp") as ports:
        config.write_text(toml(config.parent, unused_port, ports))
        with GatewayProcess(config) as gateway:
            await until((config.parent / "spool.db.sock").exists)
            await until(lambda: "not connected" in gateway.log)

            def shown() -> dict[str, object]:
                answer: dict[str, object] = json.loads(edge("status", config, "--json").stdout)
                return answer

            end = time.monotonic() + 30
            while time.monotonic() < end:
                answer = await asyncio.to_thread(shown)
                if answer["state"]["alarms"] and answer["state"]["spool_rows"] >= 6:  # type: ignore[index]
                    break
            alarm = answer["state"]["alarms"][0]  # type: ignore[index]
            assert alarm.startswith(f"uplink_unreachable: broker 127.0.0.1:{unused_port} out of reach (")
            said = await asyncio.to_thread(edge, "check", config)
            assert said.returncode == 0
            assert gateway.stop() == 0
        connect = await asyncio.to_thread(edge, "check", config, "--connect")
        assert connect.returncode == 1
        assert "wrong broker" in connect.stdout
        assert "check uplink.host" in connect.stdout


async def test_full_disk_is_said_everywhere_and_readings_wait_in_the_meters(config: Path, broker: Broker) -> None:
    async with meters("tcp") as ports, Central(broker.port) as central:
        text = toml(config.parent, broker.port, ports)
        config.write_text(text.replace('spool.db"', f'spool.db"\nfree_bytes = {1 << 60}'))  # as if the disk were full
        with GatewayProcess(config) as gateway:
            await until(lambda: "state" in central.retained and state(central).alarms)
            alarm = state(central).alarms[0]
            assert alarm.startswith("spool_full: ")
            assert "is full: readings pause and stay in the meters" in alarm
            await until(lambda: "is full" in gateway.log)
            assert "free space on the disk" in gateway.log
            shown = await asyncio.to_thread(edge, "status", config)
            assert "is full" in shown.stdout
            read = await asyncio.to_thread(edge, "read", config, "m-10000001")
            assert read.returncode == 1
            assert "raise spool.limit_bytes" in read.stderr
            assert not any(isinstance(item, ProfileBlock) for item in items(central))
            config.write_text(text)
            gateway.running.send_signal(signal.SIGHUP)  # there is room again
            await until(lambda: len(profile(central, "m-10000001")) >= 3 * DAYS, 30)
            assert gateway.stop() == 0


async def test_systemd_hears_of_it_and_sighup_reloads(config: Path, broker: Broker) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        address = str(config.parent / "notify")
        sock.bind(address)
        sock.settimeout(15)
        async with meters("tcp") as ports:
            config.write_text(toml(config.parent, broker.port, ports))
            with GatewayProcess(config, {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}) as gateway:

                async def heard(word: str) -> None:
                    while word not in (await asyncio.to_thread(sock.recv, 500)).decode():
                        pass

                await heard("READY=1")
                await heard("WATCHDOG=1")
                await heard("broker connected")
                config.write_text(config.read_text().replace("[remote]", "broken = [\n[remote]"))
                gateway.running.send_signal(signal.SIGHUP)
                await heard("READY=1")
                assert "the previous one stays in force" in gateway.log
                assert gateway.stop() == 0
                await heard("STOPPING=1")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("host =", "hots =", "did you mean 'host'?"),
        ('path = "', 'path = "/proc/no/such', "spool"),
        ("tls = false", 'tls = true\nca_file = "/no/such.pem"', "uplink.ca_file /no/such.pem"),
        ('password = "s3cret"', 'password_file = "/no/such"', "uplink.password_file /no/such cannot be read"),
    ],
)
def test_run_with_a_wrong_configuration(config: Path, old: str, new: str, text: str) -> None:
    config.write_text(toml(config.parent, 1883, []).replace(old, new))
    ended = edge("run", config)
    assert ended.returncode in (2, 3)
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_cli_on_unknown_things(config: Path) -> None:
    assert "does not exist" in edge("check", config).stderr
    config.write_text(toml(config.parent, 1883, []))
    ended = edge("read", config, "m-1")
    assert ended.returncode == 2
    assert "no meter 'm-1' in this configuration" in ended.stderr
    assert "simulate" in edge("--help").stdout
    assert "--fault" in edge("simulate", "--help").stdout


def test_imports_stay_light() -> None:
    """The command line alone loads neither drivers nor simulators; the gateway loads no simulator either."""
    code = "import sys; import edge.{}; print(*[m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code.format("cli")], capture_output=True, text=True, check=True)
    for heavy in ("rich", "aiomqtt", "edge.drivers", "edge.simulators", "serialx", "sqlite3"):
        assert heavy not in loaded.stdout.split(), heavy
    loaded = subprocess.run([sys.executable, "-c", code.format("gateway")], capture_output=True, text=True, check=True)
    for heavy in ("numpy", "edge.simulators", "serialx", "sqlite_utils", "click"):
        assert heavy not in loaded.stdout.split(), heavy

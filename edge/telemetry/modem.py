"""Signal and temperature of a modem, by ModemManager or by AT commands; both return None where nothing answers."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from edge.config.model import Module
from edge.errors import LinkError
from edge.lines.pipe import Pipe
from edge.lines.serial import SerialSettings, open_serial
from edge.telemetry.system import run
from shared.wire import ModuleTelemetry

Run = Callable[..., Awaitable[str | None]]

ANSWER_TIMEOUT: Final = 3.0  # s for one AT command
MAX_ANSWER: Final = 4096  # a modem that keeps talking is not answering us

#: +COPS access technology (3GPP TS 27.007 §7.3).
TECHNOLOGIES: Final = {
    0: "GSM", 1: "GSM", 2: "UMTS", 3: "EDGE", 4: "HSDPA", 5: "HSUPA", 6: "HSPA", 7: "LTE", 8: "EC-GSM", 9: "NB-IoT",
    10: "LTE", 11: "5G", 12: "5G", 13: "5G",
}  # fmt: skip


async def by_modemmanager(module: Module, run: Run = run) -> ModuleTelemetry | None:
    """Ask ModemManager through ``mmcli -J``; its signal polling is switched on when it is found off."""
    modem = module.device or "any"
    about = _json(await run("mmcli", "-J", "-m", modem))
    if about is None:
        return None
    generic = _at(about, "modem", "generic")
    signal = _json(await run("mmcli", "-J", "-m", modem, "--signal-get"))
    dbm = _strongest(_at(signal or {}, "modem", "signal"))
    if dbm is None:
        await run("mmcli", "-m", modem, "--signal-setup=30")
    technologies = generic.get("access-technologies")
    return ModuleTelemetry(
        module=module.name,
        signal_dbm=dbm,
        signal_percent=_number(_at(generic, "signal-quality").get("value")),
        operator=_known(_at(about, "modem", "3gpp").get("operator-name")),
        technology=" ".join(map(str, technologies)) if isinstance(technologies, list) else "",
    )


async def by_at(
    module: Module, open_port: Callable[[SerialSettings], Awaitable[Pipe]] = open_serial
) -> ModuleTelemetry:
    """Ask the modem on its own port: AT+CSQ, AT+COPS? and the configured temperature command; :class:`LinkError`."""
    pipe = await open_port(SerialSettings(module.device, module.baud))
    try:
        await _ask(pipe, "ATE0")
        dbm, percent = parse_csq(await _ask(pipe, "AT+CSQ"))
        operator, technology = parse_cops(await _ask(pipe, "AT+COPS?"))
        temperature = None
        if module.temperature_command:
            number = _first_number(await _ask(pipe, module.temperature_command))
            temperature = None if number is None else round(number * module.temperature_scale, 2)
    finally:
        await pipe.close()
    return ModuleTelemetry(module.name, temperature, dbm, percent, operator, technology)


def parse_csq(answer: str) -> tuple[float | None, float | None]:
    """(dBm, percent) of ``+CSQ: rssi,ber`` (3GPP TS 27.007 §8.5): 0..31 is -113..-51 dBm, 99 not known."""
    found = re.search(r"\+CSQ:\s*(\d{1,3})", answer)
    if found is None or int(found[1]) > 31:
        return None, None
    step = int(found[1])
    return -113.0 + 2.0 * step, round(step * 100.0 / 31.0, 1)


def parse_cops(answer: str) -> tuple[str, str]:
    """(operator, technology) of ``+COPS: mode,format,"operator",technology``; empty where absent."""
    found = re.search(r'\+COPS:\s*\d+(?:,\d+,"([^"\r\n]{0,40})"(?:,(\d{1,2}))?)?', answer)
    if found is None:
        return "", ""
    return found[1] or "", TECHNOLOGIES.get(int(found[2]), "") if found[2] else ""


async def _ask(pipe: Pipe, command: str) -> str:
    """Send one AT command; the text before its OK. An ERROR gives an empty text: the modem does not know it."""
    pipe.purge()
    await pipe.write(f"{command}\r".encode("ascii"))
    answer = b""
    while len(answer) < MAX_ANSWER:
        got = await pipe.read(512, ANSWER_TIMEOUT)
        if not got:
            raise LinkError(f"the modem on {pipe.name} does not answer {command}: is it the port for AT commands?")
        answer += got
        end = re.search(rb"(?:^|\r\n?|\n)(OK|ERROR|\+CM[ES] ERROR[^\r\n]*)\r?\n", answer)
        if end is not None:
            return answer[: end.start()].decode("ascii", "replace") if end[1] == b"OK" else ""
    raise LinkError(f"the modem on {pipe.name} answers {command} with more than {MAX_ANSWER} bytes and no OK")


def _first_number(answer: str) -> float | None:
    """The first number behind the command's own echo and name, such as 41 in ``^CHIPTEMP: 41,39``."""
    _, colon, tail = answer.rpartition(":")
    found = re.search(r"-?\d{1,4}(?:\.\d+)?", tail if colon else answer)
    return float(found[0]) if found else None


def _json(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None


def _at(data: dict[str, Any], *path: str) -> dict[str, Any]:
    for key in path:
        inner = data.get(key)
        data = inner if isinstance(inner, dict) else {}
    return data


def _strongest(signal: dict[str, Any]) -> float | None:
    """Best of the technologies' levels: rsrp (LTE, 5G), else rscp, rssi, in dBm."""
    for measure in ("rsrp", "rscp", "rssi"):
        levels = [_number(part.get(measure)) for part in signal.values() if isinstance(part, dict)]
        known = [level for level in levels if level is not None and -200.0 < level < 0.0]
        if known:
            return max(known)
    return None


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:  # ModemManager writes "--" for unknown
        return None


def _known(value: object) -> str:
    return value if isinstance(value, str) and value != "--" else ""

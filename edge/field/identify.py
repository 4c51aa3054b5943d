"""Who is at this place: NBR 14522 in all its dresses and at all likely speeds, others by their first answers."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from edge.drivers.abnt import commands
from edge.drivers.abnt.frames import Signal, Variant
from edge.drivers.abnt.session import Link, Session
from edge.drivers.abnt.timing import LINKS
from edge.errors import LinkError, NoiseError, RefusedError, SilenceError
from edge.field.bench import settle, wire
from edge.field.folder import Folder
from edge.field.place import DEFAULT_BAUD, Options, Place, settings_for, with_baud
from edge.field.probes import name_of, probes_for
from edge.guardian import contract
from edge.lines.contract import Transport

#: Speeds listened at beside 9600. A meter of NBR 14522 calls by itself (ENQ), so that listening is enough.
OTHER_BAUDS: Final = (19200, 38400, 4800, 2400, 1200, 115200)
#: ENQ comes every half second at the latest (§5.1).
LISTEN: Final = 1.5
#: Other protocols answer within so long.
PROBE_SECONDS: Final = 2.0
#: An answer is over after so long without an octet.
QUIET: Final = 0.4
#: Variants in the order in which they are asked; the addressed one needs a serial.
VARIANTS: Final = (Variant.PLAIN, Variant.HEADED, Variant.ADDRESSED, Variant.DIRECTIONAL)

Tell = Callable[[str], None]


@dataclass
class Found:
    """``protocol`` "" when nothing answered. ``attempts``: (what was tried, what came)."""

    place: str
    protocol: str = ""
    serial: str = ""
    model: str = ""
    baud: int = 0
    variant: str = ""
    readable: bool = False
    words: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    attempts: list[tuple[str, str]] = field(default_factory=list)


async def identify(place: Place, folder: Folder, options: Options, tell: Tell) -> Found:
    """Try until something answers. A line that cannot be opened raises :class:`LinkError`."""
    found = Found(place.text)

    def note(how: str, outcome: str) -> None:
        found.attempts.append((how, outcome))
        tell(f"{how}: {outcome}")

    rates = _rates(place, options)
    for number, baud in enumerate(rates):
        at = with_baud(place, baud) if place.is_serial else place
        if await _abnt(at, folder, options, found, note, baud if place.is_serial else 0, thorough=number == 0):
            break
    else:
        if place.config is None:
            await _others(place, folder, found, note)
    _conclude(found, folder, place)
    return found


def _rates(place: Place, options: Options) -> tuple[int, ...]:
    if not place.is_serial or place.config is not None:
        return (DEFAULT_BAUD,)
    return (options.baud,) if options.baud else (DEFAULT_BAUD, *OTHER_BAUDS)


async def _abnt(
    place: Place, folder: Folder, options: Options, found: Found, note: Callable[[str, str], None], baud: int,
    *, thorough: bool,
) -> bool:  # fmt: skip
    """Listen, then ask. Speeds but the first are only asked at where something was heard."""
    how = f"NBR 14522 at {baud} 8N1" if baud else "NBR 14522"
    async with wire(place, folder, "identify") as line:
        heard = await listen(line.claim.transport)
        calls = heard.count(Signal.ENQ)
        if calls and calls == len(heard):
            note(how, f"the meter calls (ENQ, {calls} times)")
        elif heard:
            note(how, f"{len(heard)} octets that are no ENQ: {heard[:8].hex(' ')}")
        else:
            note(how, "silence")
            if not thorough:
                return False
        wanted = settings_for(place, options)
        serial = str(wanted.get("serial", "")) or None
        for variant in VARIANTS:
            named = wanted.get("variant", "auto")
            if named not in ("auto", variant.value) or (variant is Variant.ADDRESSED and serial is None):
                continue
            link = Link(variant, serial=None if place.config is None else serial, link_timing=LINKS[wanted["link"]])
            if variant is Variant.ADDRESSED:
                link.serial = serial
            session = Session(line.claim, link, place.text)
            try:
                await session.ask(commands.PARAMETERS, transmissions=1 if calls else 2)
            except (SilenceError, NoiseError) as error:
                note(f"{how}, {variant.value}", str(error))
                continue
            except RefusedError as error:
                note(f"{how}, {variant.value}", str(error))
                found.words = f"It answers, and refuses: {error}."
            else:
                note(f"{how}, {variant.value}", "answered")
            found.protocol, found.serial = contract.ABNT, link.serial or ""
            found.baud, found.variant, found.readable = baud, variant.value, not found.words
            if found.readable:
                bench = await settle(line, place, replace(options, variant=variant.value), None)
                found.model, found.detail = bench.identity.model, bench.identity.detail
            return True
    return False


async def listen(transport: Transport) -> bytes:
    """What comes by itself within :data:`LISTEN` seconds."""
    heard = bytearray()
    end = time.monotonic() + LISTEN
    while (left := end - time.monotonic()) > 0 and len(heard) < 4096:
        heard += await transport.read(4096, left)
    return bytes(heard)


async def _others(place: Place, folder: Folder, found: Found, note: Callable[[str, str], None]) -> None:
    for probe in probes_for(place.line):
        try:
            async with wire(replace(place, line=probe.on(place.line)), folder, "identify") as line:
                transport = line.claim.transport
                transport.purge()
                await transport.write(probe.octets)
                octets = await _answer(transport, PROBE_SECONDS)
                said = line.verdict()
                if probe.goodbye and octets:
                    await transport.write(probe.goodbye)
                    await asyncio.sleep(0.1)
        except LinkError as error:
            note(probe.label, str(error))
            continue
        # our own question alone makes the guardian sure of the protocol: only an answer tells who is there
        if said.protocol == probe.protocol and any(exchange.answered for exchange in said.exchanges):
            note(probe.label, "answered")
            found.protocol, found.serial = probe.protocol, said.serial
            found.baud = probe.serial[0] if probe.serial and place.is_serial else 0
            return
        note(probe.label, f"{octets} octets that are not {name_of(probe.protocol)}" if octets else "silence")


async def _answer(transport: Transport, seconds: float) -> int:
    """Wait for an answer and its end; returns its octets."""
    octets, left = 0, seconds
    while left > 0 and octets < 4096 and (piece := await transport.read(4096, left)):
        octets += len(piece)
        left = QUIET
    return octets


def _conclude(found: Found, folder: Folder, place: Place) -> None:
    """Put it into words, and remember what helps the next visit."""
    if found.protocol == contract.ABNT and found.readable:
        found.words = (
            f"{found.model}, serial {found.serial}, wire variant {found.variant}: it can be read "
            f"(metergate field read {place.text})."
        )
        if place.config is None:
            folder.learn(place.text, baud=found.baud, variant=found.variant, serial=found.serial)
    elif found.protocol == contract.ABNT:
        found.words += " It was not asked again: a meter may lock after repeated refusals."
    elif found.protocol:
        found.words = (
            f"Something answers in {name_of(found.protocol)}. This tool recognises it and cannot read it: only NBR "
            "14522 has a driver so far."
        )
    elif any("octets that" in outcome or "damaged" in outcome for _, outcome in found.attempts):
        found.words = (
            "Something sends, and nothing of it is understood: check speed and parity, seat the probe anew, and look "
            "for a second reader on the line."
        )
    else:
        found.words = (
            "Nothing answers. Check the meter's supply, the probe's seat and direction, the cable, and that no other "
            "program has the port. A bus needs the meter's serial: --serial."
        )


def as_json(found: Found) -> dict[str, Any]:
    """The answer of ``identify --json``."""
    shown: dict[str, Any] = msgspec.to_builtins(found)
    shown["attempts"] = [{"tried": how, "came": came} for how, came in found.attempts]
    return shown

"""Nights of the CCEE at the seeded meters: good ones, and every trouble its pages have to show.

m-0001 is read every night; m-0002 failed in the last two nights (I11); nobody has come to m-0003 since the night
before yesterday (I01); at m-0004 another meter answers (I05); m-0005 needs a second try, and its clock is off; the
gateway of m-0006 is silent.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.ccee.models import CceeMeter
from central.ccee.store import store_captures, store_connections
from central.registry.models import Meter
from shared.intervals import day_range, day_start, local_date
from shared.wire import ForwardCapture, ForwardConnection, ForwardExchange, ForwardState

NIGHTS: Final = 15
WITH_FORWARD: Final = ("m-0001", "m-0002", "m-0003", "m-0004", "m-0005")
#: Tables of the forwards, as they stand in the configuration of their gateway.
TABLES: Final = "".join(
    f'\n[[meters]]\nid = "{key}"\nline = "rs485-1"\n[meters.forward]\nport = {40_590 + number}\n'
    'listen = "10.1.0.1"\nallow = ["10.20.0.0/24", "10.21.0.0/24"]\nflush_ms = 8\n'
    for number, key in enumerate(WITH_FORWARD, 1)
)
_SERIALS: Final = {"m-0004": "07408072"}
#: (code and name of the command, kind, octets asked and answered, ms)
_DIALOGUE: Final = (
    ("13 security string", "access", 66, 258, 190), ("14 read parameters, present", "parameters", 66, 258, 205),
    ("51 read clock", "clock", 66, 258, 180), ("20 registers, present", "registers", 66, 258, 240),
    ("22 registers, previous", "registers", 66, 258, 235), ("25 read outages", "audit", 66, 258, 310),
    ("52 load profile, whole", "memory", 66, 12_384, 21_400), ("28 change log", "audit", 66, 258, 260),
)  # fmt: skip


def states(now: int, gateway: int) -> list[ForwardState]:
    """What a gateway tells of its ports."""
    if gateway == 1:
        return [ForwardState("m-0006", "10.1.0.2:40590", "exclusive", "listening")]
    found = []
    for number, key in enumerate(WITH_FORWARD, 1):
        failures = 4 if key == "m-0002" else 1 if key == "m-0004" else 0
        state, source, error = "listening", "", ""
        if key == "m-0001":
            state, source = "connected", "10.20.0.9:51120"
        if key == "m-0004":
            state, error = "failed", "address 10.1.0.1 is on no interface of this machine"
        found.append(
            ForwardState(
                key, f"10.1.0.1:{40_590 + number}", "shared", state, source, (now - 40) * 1000, None, now - 300,
                failures, 3 if key == "m-0005" else 0, error,
            )
        )  # fmt: skip
    return found


async def seed_ccee(
    db: AsyncSession, tenant: Tenant, meters: Mapping[str, Meter], zone: ZoneInfo, now: int, nights: int = NIGHTS
) -> None:
    """Enter expectations, connections and a capture; alarms follow from them."""
    for key in (*WITH_FORWARD, "m-0006"):
        meter = meters[key]
        db.add(CceeMeter(meter_id=meter.id, tenant_id=tenant.id, forward_since=now - 40 * 86400))
    await db.flush()
    today = local_date(now, zone)
    for key in (*WITH_FORWARD, "m-0006"):
        meter = meters[key]
        found = [
            each for back in range(nights, -1, -1) for each in night(key, meter.serial, today, back, zone)
            if each.ended_ms < now * 1000
        ]  # fmt: skip
        assert meter.gateway_id is not None
        rows = [(tenant.id, meter.id, meter.gateway_id, each) for each in found]
        await store_connections(db, rows, now)
        captured = [each for each in found if each.started_ms > (now - 4 * 86400) * 1000]
        await store_captures(db, [(tenant.id, meter.id, capture(each)) for each in captured])


def night(key: str, serial: str, today: date, back: int, zone: ZoneInfo) -> Iterator[ForwardConnection]:
    """Sessions of one night, ``back`` nights ago."""
    day = today - timedelta(days=back)
    at = day_start(day, zone) + 3600 + 1260 * int(key[-1]) + back * 37
    before = day_range(day - timedelta(days=1), zone)
    if key == "m-0006" and back == 0:
        return  # its gateway is silent
    if key == "m-0003" and back < 2:
        return
    if key in ("m-0001", "m-0003"):
        yield session(key, at - 2400, "I14", before, serial, mode="self_test", seconds=14, turns=3)
    if key == "m-0002" and 0 < back < 3:
        yield session(key, at, "I03", before, "", seconds=58, turns=2, silent=True)
        yield session(key, at + 900, "I04", before, serial, seconds=41, turns=7, broken=True)
        return
    if key == "m-0002" and back == 0:
        yield session(key, at, "I06", before, serial, seconds=6, turns=1, denied=True)
        return
    if key == "m-0004" and back < 2:
        yield session(key, at, "I05", before, _SERIALS[key], seconds=31)
        return
    if key == "m-0005" and back < 2:
        yield session(key, at - 1800, "I08", before, serial, seconds=96, delivered=0.6, turns=7)
    code = "I09" if key == "m-0005" and back < 4 else "I12" if key == "m-0001" and back == 5 else "I14"
    yield session(
        key, at, code, before, serial, seconds=44 + 7 * int(key[-1]), offset=48_200 if code == "I09" else 1500
    )


def session(
    key: str, at: int, code: str, asked: Any, serial: str, *, mode: str = "shared", seconds: int = 40,
    delivered: float = 1.0, turns: int = len(_DIALOGUE), offset: int = 1500, silent: bool = False,
    broken: bool = False, denied: bool = False,
) -> ForwardConnection:  # fmt: skip
    """One connection and its conversation."""
    exchanges, passed = [], 140
    for command, kind, octets, answered, took in _DIALOGUE[:turns]:
        result = "ok"
        detail: dict[str, Any] = {"kind": kind}
        if silent:
            result, answered, took = "silent", 0, 9000
            detail |= {"repeats": 2}
        if denied:
            result, detail = "denied", {"kind": kind, "meaning": "wrong password", "refusal": "40/01/00"}
        if kind == "memory":
            detail |= {"blocks": int(48 * delivered), "expected_blocks": 48}
            if delivered < 1:
                result, detail = "partial", detail | {"interrupted": "block 31 came where 30 was due"}
            elif broken:
                result = "broken"
        exchanges.append(ForwardExchange(passed, command, result, octets, answered, took, detail))
        passed += took + (6200 if kind == "audit" else 420)
    failed = silent or broken or denied or code == "I05"
    length = max(seconds, passed // 1000 + 1)
    got = asked.start if failed else asked.start + int((asked.end - asked.start) * delivered) // 900 * 900
    known: dict[str, Any] = {}
    if not (silent or denied):  # else nothing of the meter came to light
        known = {
            "clock_offset_ms": offset, "range_start": asked.start, "range_end": asked.end, "delivered_end": got,
            "constants": {"ke": "3/250", "rtc": "600", "rtp": "120"},
        }  # fmt: skip
    return ForwardConnection(
        meter=key, forward=key, mode=mode, source="127.0.0.1:0" if mode == "self_test" else "10.20.0.9:51120",
        listen=f"10.1.0.1:{40_590 + int(key[-1])}", started_ms=at * 1000, ended_ms=(at + length) * 1000,
        sent=sum(each.asked for each in exchanges), received=sum(each.answered for each in exchanges),
        first_byte_ms=None if silent else 210, longest_silence_ms=20_000 if silent else 6200,
        close_reason="idle" if silent else "client", protocol="abnt", verdict=code, reason=REASONS.get(code, ""),
        serial=serial, exchanges=exchanges, facts={"also": [["I09", REASONS["I09"]]]} if code == "I08" else {}, **known,
    )  # fmt: skip


def capture(item: ForwardConnection) -> ForwardCapture:
    """Octets of a connection, as far as they matter here."""
    octets: list[list[Any]] = []
    for each in item.exchanges:
        code = bytes.fromhex(each.command[:2])
        octets.append([each.at_ms, 0, code + bytes(65)])
        if each.answered:
            octets.append([each.at_ms + each.took_ms, 1, code + bytes(257)])
    return ForwardCapture(item.meter, item.started_ms, 0, 1, msgspec.msgpack.encode(sorted(octets)))


#: What the guardian says.
REASONS: Final = {
    "I03": "The meter does not answer: 13 security string brought no octet back. Check line, supply, speed and "
    "address.",
    "I04": "3 of 52 frames arrived damaged (6 %): look for noise, a bad cable or probe, or a second master on the "
    "line.",
    "I05": "Meter 07408072 answered where 07408071 is registered: if the meter was exchanged, update the register at "
    "the CCEE and here; else check the wiring and the port.",
    "I06": "The meter refused 13 security string: wrong password. Check the password registered at the CCEE against "
    "the meter's; do not repeat it in a loop, meters lock.",
    "I09": "The meter's clock is 48 s fast: set it, and check its battery and synchronisation.",
    "I08": "52 load profile, whole was not delivered whole (28 blocks of 48): read the missing part again; connection "
    "closed by client.",
    "I14": "All that was asked was delivered (8 different requests).",
}

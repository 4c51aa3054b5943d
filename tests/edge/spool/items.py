"""Items for tests."""

from shared.wire import InstantSnapshot, Item, MeterEvent, ProfileBlock, RegisterReading, RegisterValue


def event(number: int, meter: str = "m1") -> MeterEvent:
    return MeterEvent(meter, 1_700_000_000 + number, "outage", detail={"n": number})


def profile(number: int, meter: str = "m1", size: int = 40) -> ProfileBlock:
    return ProfileBlock(meter, "1.29.0", 1_700_000_000 + 900 * number, 900, 4, bytes([number % 256]) * size)


def registers(number: int, meter: str = "m1") -> RegisterReading:
    at = 1_700_000_000 + number
    return RegisterReading(meter, at, at, 0, [RegisterValue("1.8.0", number)])


def snapshot(number: int, meter: str = "m1") -> InstantSnapshot:
    return InstantSnapshot(meter, 1_700_000_000 + number, ["32.7.0"], b"\0\0\x80\x3f")


def mixed(number: int) -> Item:
    return (event, profile, registers, snapshot)[number % 4](number)

"""What a check on the spot says of a meter's clock."""

import pytest

from edge import check
from edge.config.model import Config, Schedule, Spool, Uplink
from tests.edge.fakes import FakeDriver, make_unit, mute_line


@pytest.mark.parametrize(("tolerance", "off"), [(60, True), (200, False)])
async def test_the_clock_is_off_beyond_the_configured_tolerance(
    monkeypatch: pytest.MonkeyPatch, tolerance: int, off: bool
) -> None:
    async with mute_line() as line:
        driver = FakeDriver(drift=100.0)
        monkeypatch.setattr(check, "open_driver", lambda *settings: driver)
        monkeypatch.setattr(check, "driver_settings", lambda *settings: None)
        config = Config(
            "gw1", "t", Uplink(host="127.0.0.1"), Spool(path="spool.db"), schedule=Schedule(clock_tolerance=tolerance)
        )
        found = await check.try_meter(config, make_unit(line, driver).config, line)
    assert found.ok
    assert ("off: set it" in found.text) is off

"""The configuration check at a place: ask the meter, then compare (``edge.field.check``)."""

from edge.field.bench import ready, settle, wire
from edge.field.check import Point, compare
from edge.field.expected import Expectation, as_found
from edge.field.folder import Folder
from edge.field.place import Options, Place, settings_for


async def check(place: Place, folder: Folder, options: Options, wanted: Expectation) -> tuple[list[Point], Expectation]:
    """Return every point, and what the meter says now as an expectation. Which meter answers is part of the check."""
    if settings_for(place, options).get("variant") != "addressed":
        options = Options(**{**vars(options), "serial": ""})
    async with wire(ready(place, folder, options), folder, "check") as line:
        bench = await settle(line, place, options, None)
        clock = await bench.driver.read_clock(line.claim)
    return list(compare(bench.identity, clock, wanted)), as_found(bench.identity, wanted.meter or bench.name)

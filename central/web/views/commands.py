"""The list of commands on a page, and the newest one while it matters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from central.fleet.models import FleetCommand
from central.fleet.service import CommandView
from central.web.views.outcome import outcome
from shared.wire import Progress

#: A command that has ended is shown above the page for so long.
_RECENT: Final = 60  # s
_OPEN: Final = ("queued", "sent")


@dataclass(frozen=True, slots=True)
class CommandLine:
    """``words`` say what became of it; ``link`` leads to more where there is more."""

    row: FleetCommand
    meter: str
    words: str
    link: str
    open: bool
    progress: Progress | None


def listing(commands: Sequence[CommandView], url: str, progress: Mapping[str, Progress], now: int) -> dict[str, Any]:
    """What the templates of the list need; ``url`` is where the list refreshes itself from.

    ``problem`` None leaves a refusal shown before where it is, "" takes it away.
    """
    lines = [
        CommandLine(
            command.row, command.meter or "", outcome(command).line,
            f"/gateways/{command.gateway}/config/{command.row.id}" if command.row.kind == "apply_config" else "",
            command.row.status in _OPEN, progress.get(command.row.id),
        )
        for command in commands
    ]  # fmt: skip
    latest = lines[0] if lines else None
    if latest is not None and not latest.open and now - (latest.row.finished_at or latest.row.issued_at) > _RECENT:
        latest = None
    return {
        "commands": lines,
        "commands_open": any(line.open for line in lines),
        "commands_url": url,
        "latest": latest,
        "problem": None,
    }

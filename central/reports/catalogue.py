"""The reports there are, in the order of the page."""

from typing import Final

from central.errors import NotFound
from central.reports import (
    availability,
    billing,
    consumption,
    events,
    modules,
    profile,
    registers_last,
    registers_meter,
)
from central.reports.table import Report

REPORTS: Final[dict[str, Report]] = {
    report.key: report
    for report in (
        registers_last.REPORT, registers_meter.REPORT, consumption.REPORT, billing.REPORT, availability.AVAILABILITY,
        availability.DAYS, modules.TEMPERATURE, modules.SIGNAL, profile.REPORT, events.REPORT,
    )
}  # fmt: skip


def report_of(key: str) -> Report:
    """The report of a key; raises :class:`NotFound`."""
    found = REPORTS.get(key)
    if found is None:
        raise NotFound("report", key)
    return found

"""Who asks for reports, with the utility's rules."""

from typing import Final

from central.accounts.principal import Principal
from central.reports.excess import Rules
from central.reports.table import Scope
from central.settings import ReportSettings

_FROM: Final = {"23:30": 84_600, "00:00": 0, "00:30": 1800}


def scope_of(principal: Principal, settings: ReportSettings, now: int) -> Scope:
    """The scope of whoever asks."""
    rules = Rules(
        _FROM[settings.capacitive_from], zero_active=settings.zero_active, reverse=settings.reverse,
        direction=settings.direction,
    )  # fmt: skip
    return Scope(principal.tenant_id, principal.zone, now, rules)

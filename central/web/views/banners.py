"""What is wrong, said first: notices above a meter and above a gateway."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from central.registry.service import GatewayView, MeterView
from central.web import labels
from central.web.i18n import current, gettext
from central.web.told import told


@dataclass(frozen=True, slots=True)
class Banner:
    """``colour`` danger, warning or info."""

    colour: str
    icon: str
    title: str
    words: str = ""


def meter_state(view: MeterView) -> str:
    """State code of a meter for people: what its gateway says, unless that gateway is silent."""
    if view.live is None:
        return "unknown"
    return view.live.state if view.online else "offline"


def of_meter(view: MeterView, zone: ZoneInfo) -> list[Banner]:
    """Notices of one meter."""
    found = []
    live = view.live
    if live and live.state == "wrong_serial":
        found.append(
            Banner(
                "danger",
                "alert-triangle",
                gettext("Another meter answers at this place"),
                gettext(
                    "Expected serial %(serial)s. Nothing that it says is stored. Check the wiring or enter the exchange"
                    " of the meter. %(error)s"
                )
                % {"serial": view.meter.serial, "error": told(live.error)},
            )
        )
    if live and live.state == "unreconciled":
        found.append(
            Banner(
                "warning",
                "alert-circle",
                gettext("The profile does not agree with the registers yet"),
                gettext(
                    "Its intervals are kept and marked, and never used for billing. It usually settles with the next"
                    " complete reading of the registers."
                ),
            )
        )
    if live and live.state == "unreachable" and view.online:
        since = current().instant(live.last_ok, zone) if live.last_ok else gettext("never")
        found.append(
            Banner(
                "danger",
                "plug-connected-x",
                gettext("The meter does not answer"),
                gettext("Last good reading: %(since)s. Line %(line)s: %(error)s")
                % {"since": since, "line": live.line, "error": told(live.error) or gettext("no answer")},
            )
        )
    if view.gateway and not view.online:
        found.append(
            Banner(
                "warning",
                "wifi",
                gettext("Its gateway %(name)s is offline") % {"name": view.gateway.name or view.gateway.key},
                gettext("It goes on reading and delivers when it is back: nothing is lost meanwhile."),
            )
        )
    if not view.meter.registered:
        found.append(
            Banner(
                "info",
                "info-circle",
                gettext("This meter is not registered yet"),
                gettext("It came with its gateway. Its data are kept; give it a customer and a metering point."),
            )
        )
    if not view.gateway:
        found.append(
            Banner(
                "info",
                "router",
                gettext("No gateway reads this meter"),
                gettext("Enter it into a gateway's configuration; its first reading connects them."),
            )
        )
    return found


def of_gateway(view: GatewayView, zone: ZoneInfo) -> list[Banner]:
    """Notices of one gateway: silence, alarms, lines and meters in trouble."""
    found = []
    if view.live is None:
        found.append(
            Banner(
                "info",
                "router",
                gettext("This gateway has not been seen yet"),
                gettext("Check its broker address and certificate."),
            )
        )
        return found
    if not view.online:
        since = view.live.changed_at or view.live.contact_at
        found.append(
            Banner(
                "danger",
                "plug-connected-x",
                gettext("Offline since %(since)s") % {"since": current().instant(since, zone)},
                gettext("It goes on reading and delivers when it is back: nothing is lost meanwhile."),
            )
        )
    summary = view.summary
    if summary:
        for alarm in summary.alarms:
            words, advice, icon, colour = labels.alarm(alarm)
            found.append(Banner(colour, icon, words, advice))
    if summary and view.online:
        found += [
            Banner(
                "warning",
                "alert-circle",
                gettext("Line %(line)s does not work") % {"line": line.line},
                told(line.error),
            )
            for line in summary.lines
            if line.state == "backing_off"
        ]
    return found

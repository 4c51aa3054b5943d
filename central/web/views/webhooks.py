"""Webhooks in words: kinds of events, and what became of a message."""

from dataclasses import dataclass

import msgspec

from central.web.i18n import gettext
from central.webhooks.kinds import PING, Kind
from central.webhooks.models import WebhookDelivery


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A message as it is listed."""

    row: WebhookDelivery
    words: str
    state: str
    colour: str
    body: str
    waiting: bool


def kind_words() -> dict[str, str]:
    """Every kind with its name."""
    return {
        Kind.ALARM_OPENED: gettext("Alarm opened"),
        Kind.ALARM_CLOSED: gettext("Alarm closed"),
        Kind.GATEWAY_ONLINE: gettext("Gateway online"),
        Kind.GATEWAY_OFFLINE: gettext("Gateway offline"),
        Kind.METER_EVENT: gettext("Event of a meter"),
        Kind.REGISTRY_CREATED: gettext("Entered in the registry"),
        Kind.REGISTRY_CHANGED: gettext("Changed in the registry"),
        Kind.REGISTRY_DELETED: gettext("Deleted from the registry"),
        Kind.REPORT_FINISHED: gettext("Report finished"),
    }


def delivery_line(row: WebhookDelivery) -> DeliveryLine:
    """One message with its state in words."""
    state, colour = {
        "sent": (gettext("taken"), "green"),
        "failed": (gettext("given up"), "red"),
    }.get(row.state, (gettext("tried again"), "yellow") if row.tries else (gettext("waits"), "azure"))
    words = gettext("Test message") if row.kind == PING else kind_words().get(row.kind, row.kind)
    body = msgspec.json.format(row.body, indent=2)
    return DeliveryLine(row, words, state, colour, body, row.state == "queued")

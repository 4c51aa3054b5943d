"""What programs can be told of."""

from enum import StrEnum


class Kind(StrEnum):
    """Kinds of events. A webhook names those it wants, or none for all."""

    ALARM_OPENED = "alarm.opened"
    ALARM_CLOSED = "alarm.closed"
    GATEWAY_ONLINE = "gateway.online"
    GATEWAY_OFFLINE = "gateway.offline"
    METER_EVENT = "meter.event"
    REGISTRY_CREATED = "registry.created"
    REGISTRY_CHANGED = "registry.changed"
    REGISTRY_DELETED = "registry.deleted"
    REPORT_FINISHED = "report.finished"


#: Sent when somebody tries a webhook out; whatever kinds it wants.
PING = "ping"

"""Shapes of alarms and subscriptions."""

from typing import Annotated, Literal

from msgspec import Meta

from central.alarms.models import AlarmSubscription
from central.alarms.service import AlarmView
from central.alarms.severity import Severity
from central.api.query import instant_text, optional_text
from central.api.schemas import Input, NoteText, Output

SeverityWord = Literal["notice", "warning", "serious", "critical"]


class AlarmOut(Output):
    """An alarm; ``state``: open, acknowledged, closed. ``withdrawn``: what it rested on turned out otherwise."""

    id: int
    source: str
    code: str
    meter: str
    meter_name: str
    severity: str
    state: str
    text: str
    opened_at: str
    raised_at: str
    closed_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str
    note: str
    withdrawn: bool

    @classmethod
    def of(cls, view: AlarmView) -> "AlarmOut":
        return cls(
            id=view.id, source=view.source, code=view.code, meter=view.meter, meter_name=view.meter_name,
            severity=view.severity.word, state=view.state, text=view.text, opened_at=instant_text(view.opened_at),
            raised_at=instant_text(view.raised_at), closed_at=optional_text(view.closed_at),
            acknowledged_at=optional_text(view.acknowledged_at), acknowledged_by=view.acknowledged_by,
            note=view.note, withdrawn=view.withdrawn,
        )  # fmt: skip


class AcknowledgeIn(Input):
    """What is being done about it."""

    note: NoteText = ""


class SubscriptionIn(Input):
    """Tell an e-mail address or a URL of alarms from severity ``least`` on."""

    kind: Literal["email", "webhook"]
    target: Annotated[str, Meta(min_length=1, max_length=500)]
    least: SeverityWord = "serious"


class SubscriptionOut(Output):
    """A subscription; its secret is not among it."""

    id: int
    kind: str
    target: str
    least: str
    created_at: str
    created_by: str

    @classmethod
    def of(cls, row: AlarmSubscription) -> "SubscriptionOut":
        return cls(row.id, row.kind, row.target, Severity(row.least).word, instant_text(row.created_at), row.created_by)


class NewSubscriptionOut(Output):
    """A subscription just made; ``secret`` (webhooks) is shown this once: it signs what is sent."""

    subscription: SubscriptionOut
    secret: str

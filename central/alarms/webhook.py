"""Alarms to programs: JSON of :class:`Body`, posted and signed as all messages are (``central.webhooks.http``)."""

import msgspec

from central.alarms.notices import Notice, NotSent
from central.webhooks.http import NotTaken, post


class Body(msgspec.Struct):
    """What is posted; instants are UTC seconds."""

    delivery: int
    event: str  # opened, closed
    alarm: int
    source: str
    code: str
    severity: str
    meter: str
    meter_name: str
    text: str
    opened_at: int
    closed_at: int | None


async def send(notice: Notice, *, local: bool) -> None:
    """Send one message; raises :class:`NotSent`. ``local``: to this machine too."""
    body = msgspec.json.encode(
        Body(
            notice.id, notice.what, notice.alarm_id, notice.source, notice.code, notice.severity.word, notice.meter,
            notice.meter_name, notice.text, notice.opened_at, notice.closed_at,
        )
    )  # fmt: skip
    try:
        await post(notice.target, notice.secret, notice.id, body, local=local)
    except NotTaken as error:
        raise NotSent(str(error)) from error

"""Shapes of webhooks in the API."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from central.api.query import instant_text, optional_text
from central.api.schemas import Input, Output
from central.webhooks.kinds import Kind
from central.webhooks.models import Webhook, WebhookDelivery

Url = Annotated[str, Meta(min_length=1, max_length=500, description="http or https, without a password in it")]
Kinds = Annotated[list[Kind], Meta(description="What it is told of; empty: everything", max_length=len(Kind))]


class WebhookIn(Input):
    """A program to be told."""

    url: Url
    kinds: Kinds = []
    enabled: bool = True


class WebhookPatch(Input):
    """What is to be changed of a webhook."""

    url: Url | UnsetType = UNSET
    kinds: Kinds | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class WebhookOut(Output):
    """A webhook without its secret."""

    id: int
    url: str
    kinds: list[str]
    enabled: bool
    created_at: str
    created_by: str

    @classmethod
    def of(cls, row: Webhook) -> "WebhookOut":
        return cls(row.id, row.url, row.kinds.split(), row.enabled, instant_text(row.created_at), row.created_by)


class NewWebhookOut(Output):
    """A webhook with the secret that signs what it is sent; shown this once."""

    secret: str
    about: WebhookOut


class DeliveryOut(Output):
    """One message to one webhook. ``state``: queued, sent, failed (given up); ``body`` is what is posted."""

    id: int
    kind: str
    state: str
    tries: int
    next_at: str | None
    sent_at: str | None
    status: int | None
    error: str
    body: dict[str, Any]

    @classmethod
    def of(cls, row: WebhookDelivery) -> "DeliveryOut":
        return cls(
            id=row.id, kind=row.kind, state=row.state, tries=row.tries,
            next_at=instant_text(row.next_at) if row.state == "queued" else None, sent_at=optional_text(row.sent_at),
            status=row.status, error=row.error, body=msgspec.json.decode(row.body),
        )  # fmt: skip

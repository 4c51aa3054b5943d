"""Webhooks in the API; for those who set up the whole tenant."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.idempotency import SECRET
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, answer, decode_number
from central.api.query import parse_choice
from central.api.schemas import Page
from central.webhooks import service
from central.webhooks.schemas import DeliveryOut, NewWebhookOut, WebhookIn, WebhookOut, WebhookPatch

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
NEEDS = may(Permission.SETTINGS)


class WebhookController(Controller):
    """Programs that are told what happens, and the messages to them."""

    path = "/webhooks"
    tags = ("webhooks",)
    opt = NEEDS

    @get()
    async def list_webhooks(self, db: Db, principal: Who) -> Page[WebhookOut]:
        """List webhooks, oldest first."""
        return Page([WebhookOut.of(row) for row in await service.webhooks(db, principal)])

    @post(opt=NEEDS | SECRET)
    async def create_webhook(self, db: Db, principal: Who, data: JSONBody[WebhookIn]) -> Response[NewWebhookOut]:
        """Tell a program from now on (201). Messages are signed with the secret answered here, this once."""
        row = await service.create(db, principal, data.url, data.kinds, enabled=data.enabled)
        return Response(
            NewWebhookOut(row.secret, WebhookOut.of(row)), status_code=201,
            headers={"Location": f"/api/v1/webhooks/{row.id}"},
        )  # fmt: skip

    @get("/{webhook_id:int}")
    async def get_webhook(self, db: Db, principal: Who, webhook_id: FromPath[int]) -> WebhookOut:
        """Return one webhook."""
        return WebhookOut.of(await service.get(db, principal, webhook_id))

    @patch("/{webhook_id:int}")
    async def patch_webhook(
        self, db: Db, principal: Who, webhook_id: FromPath[int], data: JSONBody[WebhookPatch]
    ) -> WebhookOut:
        """Change the given fields of a webhook; ``enabled`` false keeps what waits until it is true again."""
        given = {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not UNSET}
        return WebhookOut.of(await service.change(db, principal, webhook_id, **given))

    @delete("/{webhook_id:int}")
    async def delete_webhook(self, db: Db, principal: Who, webhook_id: FromPath[int]) -> None:
        """Tell a program no more; what was on its way to it is gone."""
        await service.remove(db, principal, webhook_id)

    @post("/{webhook_id:int}/secret", opt=NEEDS | SECRET, status_code=200)
    async def rotate_webhook_secret(self, db: Db, principal: Who, webhook_id: FromPath[int]) -> NewWebhookOut:
        """Give a webhook a new secret, in force at once; it is in this answer and never again."""
        row = await service.rotate(db, principal, webhook_id)
        return NewWebhookOut(row.secret, WebhookOut.of(row))

    @post("/{webhook_id:int}/ping")
    async def ping_webhook(self, db: Db, principal: Who, webhook_id: FromPath[int]) -> Response[DeliveryOut]:
        """Queue a message of kind ``ping`` (201); its delivery tells whether it was taken."""
        row = await service.ping(db, principal, webhook_id)
        where = f"/api/v1/webhooks/{row.webhook_id}/deliveries/{row.id}"
        return Response(DeliveryOut.of(row), status_code=201, headers={"Location": where})

    @get("/{webhook_id:int}/deliveries")
    async def list_deliveries(
        self,
        request: Request[Any, Any, Any],
        db: Db,
        principal: Who,
        webhook_id: FromPath[int],
        wanted: Annotated[str | None, QueryParameter(name="state", description=", ".join(service.STATES))] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[DeliveryOut]]:
        """List what was and is to be sent to a webhook, newest first; kept for a month."""
        if wanted is not None:
            parse_choice(wanted, "state", service.STATES)
        rows = await service.deliveries(
            db, principal, webhook_id, state=wanted, after=decode_number(cursor), limit=limit
        )
        return answer(request, rows, DeliveryOut.of)

    @get("/{webhook_id:int}/deliveries/{delivery_id:int}")
    async def get_delivery(
        self, db: Db, principal: Who, webhook_id: FromPath[int], delivery_id: FromPath[int]
    ) -> DeliveryOut:
        """Return one delivery."""
        return DeliveryOut.of(await service.get_delivery(db, principal, webhook_id, delivery_id))

    @post("/{webhook_id:int}/deliveries/{delivery_id:int}/redelivery", status_code=200)
    async def redeliver(
        self, db: Db, principal: Who, webhook_id: FromPath[int], delivery_id: FromPath[int]
    ) -> DeliveryOut:
        """Send a message again, whatever became of it."""
        return DeliveryOut.of(await service.redeliver(db, principal, webhook_id, delivery_id))

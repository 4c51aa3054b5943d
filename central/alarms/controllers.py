"""Alarms in the API: lists, acknowledgement, and who is told."""

import time
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.alarms import service, subscriptions
from central.alarms.schemas import AcknowledgeIn, AlarmOut, NewSubscriptionOut, SubscriptionIn, SubscriptionOut
from central.alarms.severity import Severity
from central.api.idempotency import SECRET
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, about_cursor, answer, decode
from central.api.query import parse_choice
from central.api.schemas import Page
from central.errors import Refused
from central.registry import entry
from central.registry.models import Meter

Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
Asked = Request[Any, Any, Any]
_SEVERITIES = [each.word for each in Severity]


class AlarmController(Controller):
    """Alarms of all sources."""

    path = "/alarms"
    tags = ("alarms",)

    @get()
    async def list_alarms(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        wanted: Annotated[
            str | None,
            QueryParameter(name="state", description="open, acknowledged, closed; active: not closed"),
        ] = None,
        severity: Annotated[str | None, QueryParameter(description="The least: " + ", ".join(_SEVERITIES))] = None,
        code: Annotated[str | None, QueryParameter(description="Such as I11", max_length=32)] = None,
        meter: Annotated[str | None, QueryParameter(description="Key of a meter")] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[AlarmOut]]:
        """List alarms, newest first."""
        if wanted is not None:
            parse_choice(wanted, "state", (*service.STATES, service.ACTIVE))
        least = Severity[parse_choice(severity, "severity", _SEVERITIES).upper()] if severity else Severity.NOTICE
        meter_id = await entry.refer(db, principal.tenant_id, Meter, meter, "meter")
        try:
            rows = await service.alarms(
                db, principal.tenant_id, state=wanted, code=code, meter_id=meter_id, least=least,
                after=decode(cursor), limit=limit,
            )  # fmt: skip
        except Refused as error:
            raise about_cursor(error) from error
        return answer(request, rows, AlarmOut.of)

    @get("/{alarm_id:int}")
    async def get_alarm(self, db: Db, principal: Who, alarm_id: FromPath[int]) -> AlarmOut:
        """Return one alarm."""
        return AlarmOut.of(await service.get_alarm(db, principal.tenant_id, alarm_id))

    @post("/{alarm_id:int}/acknowledgement", opt=may(Permission.ALARMS), status_code=200)
    async def acknowledge_alarm(
        self, db: Db, principal: Who, alarm_id: FromPath[int], data: JSONBody[AcknowledgeIn]
    ) -> AlarmOut:
        """Say that somebody takes care of an open alarm; 409 when somebody does already."""
        view = await service.acknowledge(db, principal, alarm_id, note=data.note, now=int(time.time()))
        return AlarmOut.of(view)

    @get("/subscriptions", opt=may(Permission.SETTINGS))
    async def list_subscriptions(self, db: Db, principal: Who) -> Page[SubscriptionOut]:
        """List who is told of alarms (administrators)."""
        return Page([SubscriptionOut.of(row) for row in await subscriptions.subscriptions(db, principal.tenant_id)])

    @post("/subscriptions", opt=may(Permission.SETTINGS) | SECRET)
    async def create_subscription(
        self, db: Db, principal: Who, data: JSONBody[SubscriptionIn]
    ) -> Response[NewSubscriptionOut]:
        """Tell an address of alarms (administrators). What is posted to a URL is signed with the secret answered here.

        ``Metergate-Signature`` is ``sha256=`` and the hex HMAC-SHA256 of the body; ``Metergate-Delivery`` numbers it.
        """
        row = await subscriptions.subscribe(
            db, principal, data.kind, data.target, Severity[data.least.upper()], now=int(time.time())
        )
        return Response(NewSubscriptionOut(SubscriptionOut.of(row), row.secret), status_code=201)

    @delete("/subscriptions/{subscription_id:int}", opt=may(Permission.SETTINGS))
    async def delete_subscription(self, db: Db, principal: Who, subscription_id: FromPath[int]) -> None:
        """Tell an address no more (administrators)."""
        await subscriptions.unsubscribe(db, principal, subscription_id)

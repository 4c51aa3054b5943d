"""Enrolment in the API: for gateways without a login, and for those who let them in."""

from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.permissions import Permission, may
from central.accounts.principal import Principal
from central.api.idempotency import SECRET
from central.api.paging import DEFAULT_LIMIT, Cursor, Limit, answer, decode_number
from central.api.query import instant_text, parse_choice
from central.api.schemas import Page
from central.enrolment import device, service
from central.enrolment.command import enrol_command, issuer_of, reserved_names
from central.enrolment.schemas import (
    AskedOut,
    AskIn,
    CertificateIn,
    CodeFor,
    CodeIn,
    EnrolmentIn,
    EnrolmentOut,
    NewEnrolmentOut,
    RefusalIn,
)
from central.enrolment.states import STATES

Asked = Request[Any, Any, Any]
Db = NamedDependency[AsyncSession]
Who = NamedDependency[Principal]
NEEDS = may(Permission.ENROLMENT)
_STATES: Final = (*STATES, "expired")
_SECRET = Annotated[
    str, HeaderParameter(name="X-Enrolment-Secret", max_length=100, description="The secret that was sent when asking")
]


def _address(request: Asked) -> str:
    return request.client.host if request.client else ""


class DeviceController(Controller):
    """For gateways that have nothing yet but a code; no login. Wrong codes count as failed logins of the address do."""

    path = "/enrolment"
    tags = ("enrolment",)
    opt = {"public": True}
    security = ({},)

    @post("/code", status_code=200)
    async def look_at_code(self, request: Asked, data: JSONBody[CodeIn]) -> CodeFor:
        """Say which gateway a code is for; it stays unused."""
        state = request.app.state
        view = await device.look_at(state.database, state.gate, data.code, _address(request))
        return CodeFor(view.gateway, instant_text(view.row.expires_at))

    @post()
    async def ask_enrolment(self, request: Asked, data: JSONBody[AskIn]) -> Response[AskedOut]:
        """Ask for a certificate with a code (201). The same code, secret and key again find the same request."""
        state = request.app.state
        view = await device.ask(state.database, state.gate, data.code, data.secret, data.csr, _address(request))
        where = f"/api/v1/enrolment/{view.row.id}"
        return Response(AskedOut.of(view), status_code=201, headers={"Location": where})

    @get("/{enrolment_id:int}")
    async def get_asked(self, request: Asked, enrolment_id: FromPath[int], secret: _SECRET) -> AskedOut:
        """Return how a request stands, for who knows its secret; 404 for everybody else."""
        return AskedOut.of(await device.look(request.app.state.database, enrolment_id, secret))


class EnrolmentController(Controller):
    """For those who let gateways in."""

    path = "/enrolments"
    tags = ("enrolment",)
    opt = NEEDS

    @get()
    async def list_enrolments(
        self,
        request: Asked,
        db: Db,
        principal: Who,
        wanted: Annotated[str | None, QueryParameter(name="state", description=", ".join(_STATES))] = None,
        gateway: Annotated[str | None, QueryParameter(description="Key of a gateway")] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Response[Page[EnrolmentOut]]:
        """List enrolments, newest first."""
        states = (parse_choice(wanted, "state", _STATES),) if wanted is not None else ()
        rows = await service.enrolments(
            db, principal, states=states, gateway=gateway, after=decode_number(cursor), limit=limit
        )
        return answer(request, rows, EnrolmentOut.of)

    @post(opt=NEEDS | SECRET)
    async def create_enrolment(
        self, request: Asked, db: Db, principal: Who, data: JSONBody[EnrolmentIn]
    ) -> Response[NewEnrolmentOut]:
        """Make a code for a gateway (201); it is in this answer and never again."""
        hours, command = request.app.state.settings.enrolment.code_hours, enrol_command(request)
        reserved = reserved_names(request)
        made = await service.make_code(db, principal, data.gateway, hours, new=data.new, reserved=reserved)
        body = NewEnrolmentOut(made.text, command(made.text), EnrolmentOut.of(made.view))
        where = f"/api/v1/enrolments/{made.view.row.id}"
        return Response(body, status_code=201, headers={"Location": where})

    @get("/{enrolment_id:int}")
    async def get_enrolment(self, db: Db, principal: Who, enrolment_id: FromPath[int]) -> EnrolmentOut:
        """Return one enrolment, with the request and the certificate as far as they are there."""
        return EnrolmentOut.of(await service.get(db, principal, enrolment_id))

    @delete("/{enrolment_id:int}", status_code=200)
    async def revoke_enrolment(self, db: Db, principal: Who, enrolment_id: FromPath[int]) -> EnrolmentOut:
        """Make a code void that nobody has used."""
        return EnrolmentOut.of(await service.revoke(db, principal, enrolment_id))

    @post("/{enrolment_id:int}/approval", status_code=200)
    async def approve_enrolment(
        self, request: Asked, db: Db, principal: Who, enrolment_id: FromPath[int]
    ) -> EnrolmentOut:
        """Let the gateway in; compare the fingerprint first. Signed at once where central has an issuer."""
        return EnrolmentOut.of(await service.approve(db, principal, enrolment_id, issuer_of(request)))

    @post("/{enrolment_id:int}/refusal", status_code=200)
    async def refuse_enrolment(
        self, db: Db, principal: Who, enrolment_id: FromPath[int], data: JSONBody[RefusalIn]
    ) -> EnrolmentOut:
        """Turn a request down, or take its approval back before it is signed."""
        return EnrolmentOut.of(await service.refuse(db, principal, enrolment_id, data.reason))

    @put("/{enrolment_id:int}/certificate")
    async def put_certificate(
        self, db: Db, principal: Who, enrolment_id: FromPath[int], data: JSONBody[CertificateIn]
    ) -> EnrolmentOut:
        """Bring the certificate of an approved request; its key has to be the request's, its name the gateway's."""
        view = await service.bring(db, principal, enrolment_id, data.certificate, data.chain)
        return EnrolmentOut.of(view)

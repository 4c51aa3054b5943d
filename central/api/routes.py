"""The router of /api/v1."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from central.accounts.controllers import KeyController, me
from central.accounts.user_controllers import RoleController, SessionController, UserController
from central.alarms.controllers import AlarmController
from central.api.checks import check_request
from central.api.exchange import watch
from central.api.index import index
from central.api.openapi import PATH
from central.audit.controllers import AuditController
from central.ccee.controllers import CceeController
from central.enrolment.controllers import DeviceController, EnrolmentController
from central.fleet.controllers import CommandController, GatewayController
from central.metering.bill_controllers import BillController
from central.metering.controllers import ReadingController
from central.registry.controllers import GroupCreation, MeterController, routers
from central.registry.file_controllers import ExportController, ImportController
from central.registry.relation_controllers import InstallationController, SupplyController, search_registry
from central.reports.controllers import ReportController
from central.webhooks.controllers import WebhookController

CONTROLLERS: tuple[ControllerRouterHandler, ...] = (
    me, KeyController, MeterController, ReadingController, GatewayController, CommandController, CceeController,
    AlarmController,
    GroupCreation, *routers(), InstallationController, SupplyController, search_registry, ImportController,
    ExportController,
    UserController, RoleController, SessionController, AuditController,
    DeviceController, EnrolmentController, WebhookController, BillController, ReportController, index,
)  # fmt: skip


def api_router() -> Router:
    """Everything a program can ask or tell."""
    return Router(path=PATH, route_handlers=list(CONTROLLERS), before_request=check_request, after_request=watch)

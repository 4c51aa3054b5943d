"""The router of /api/v1."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from central.accounts.controllers import KeyController, me
from central.alarms.controllers import AlarmController
from central.api.checks import check_request
from central.api.exchange import watch
from central.api.index import index
from central.api.openapi import PATH
from central.ccee.controllers import CceeController
from central.fleet.controllers import CommandController, GatewayController
from central.metering.controllers import ReadingController
from central.registry.controllers import (
    CustomerController,
    GroupController,
    InstallationController,
    LotController,
    MeterController,
    ModelController,
    ModuleController,
    PointController,
)
from central.webhooks.controllers import WebhookController

CONTROLLERS: tuple[ControllerRouterHandler, ...] = (
    me, KeyController, MeterController, ReadingController, GatewayController, CommandController, ModuleController,
    CustomerController, PointController, GroupController, LotController, ModelController, InstallationController,
    CceeController, AlarmController,
    WebhookController, index,
)  # fmt: skip


def api_router() -> Router:
    """Everything a program can ask or tell."""
    return Router(path=PATH, route_handlers=list(CONTROLLERS), before_request=check_request, after_request=watch)

"""All handlers of the pages, and the page shown for an error."""

from typing import Any

from litestar import Router
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from central.web import i18n
from central.web.forms import Web
from central.web.i18n import gettext
from central.web.pages import (
    access,
    account,
    alarms,
    audit,
    ccee,
    config,
    connections,
    customer,
    enrolment,
    fleet_data,
    forwards,
    gateways,
    groups,
    meter,
    meter_data,
    meter_tabs,
    meters,
    navigation,
    overview,
    provider,
    registry,
    registry_import,
    registry_relations,
    report_jobs,
    reports,
    roles,
    second_factor,
    users,
    webhooks,
)
from central.web.render import page, static_router, viewer

_HANDLERS: tuple[ControllerRouterHandler, ...] = (
    access.login_page, access.login, access.setup_page, access.setup, access.logout, access.language,
    account.profile, account.save_language, account.save_password, account.list_keys, account.make_key,
    account.revoke_key,
    overview.overview,
    fleet_data.fleet_consumption, fleet_data.fleet_availability, fleet_data.gateway_health, fleet_data.gateway_clock,
    meters.meters, meters.meters_data, meters.meters_csv,
    meter.meter_status, meter.meter_now, meter.meter_registers, meter.meter_commands,
    meter.read_now, meter.set_clock, meter.reread, meter.close_bill,
    meter_data.profile_data, meter_data.consumption_data, meter_data.demand_data, meter_data.module_data,
    gateways.gateways, gateways.gateways_list, gateways.gateway, gateways.gateway_live, gateways.gateway_progress,
    gateways.gateway_commands,
    ccee.ccee, ccee.ccee_night,
    connections.connections, connections.connections_csv, connections.connection, connections.capture,
    forwards.forwards, forwards.forwards_plan, forwards.forwards_commands, forwards.open_forward, forwards.save_new,
    forwards.change, forwards.save, forwards.close, forwards.test_forward,
    alarms.alarms, alarms.acknowledge, alarms.alarms_count, alarms.alarm_subscriptions, alarms.subscribe,
    alarms.unsubscribe,
    config.edit, config.check, config.apply, config.applied, config.applied_state,
    access.login_code, provider.away, provider.back,
    account.end_others, account.end_session,
    second_factor.set_up, second_factor.turn_on, second_factor.turn_off, second_factor.renew,
    users.list_users, users.new_user, users.add_user, users.user, users.save_user, users.disable, users.enable,
    users.unlock, users.reset_password, users.reset_second_factor, users.end_sessions, users.end_session, users.give,
    users.take,
    roles.list_roles, roles.create, roles.save, roles.remove,
    audit.audit, audit.audit_csv,
    navigation.communication_tree, navigation.business_tree, navigation.tree_states, navigation.find,
    navigation.module,
    meter_tabs.meter, meter_tabs.readings, meter_tabs.billing, meter_tabs.registration_tab, meter_tabs.reports,
    meter_data.billing_consumption, meter_data.billing_demand, customer.customer,
    registry.registry, registry.registry_list, registry.registry_pick, registry.registry_export, registry.registry_new,
    registry.registry_create, registry.registry_one, registry.registry_form, registry.registry_save,
    registry.registry_delete, registry.registry_end_meter, registry.registry_members,
    registry_relations.exchange_meter, registry_relations.change_customer, registry_relations.place_meter,
    registry_relations.correct_relation,
    registry_import.registry_import, registry_import.registry_template, registry_import.registry_bring,
    registry_import.registry_preview, registry_import.registry_refused, registry_import.registry_apply,
    groups.groups, groups.group, groups.group_map, groups.group_largest, groups.candidates, groups.add_member,
    groups.remove_member,
    overview.widget, overview.frame, overview.offered_gateways, overview.choose, overview.arrange, overview.reset,
    reports.reports, reports.report, reports.report_data, reports.report_chart, reports.report_totals,
    reports.report_export, reports.report_meters,
    report_jobs.report_jobs, report_jobs.report_job_file, report_jobs.order_report, report_jobs.cancel_report,
    report_jobs.remove_report, report_jobs.schedule_report, report_jobs.switch_schedule, report_jobs.remove_schedule,
    report_jobs.save_view, report_jobs.remove_view,
    enrolment.enrolments, enrolment.enrolments_list, enrolment.make_code, enrolment.enrolment,
    enrolment.enrolment_state, enrolment.approve, enrolment.refuse, enrolment.revoke,
    webhooks.webhooks, webhooks.add_webhook, webhooks.webhook, webhooks.webhook_deliveries, webhooks.change_webhook,
    webhooks.ping_webhook, webhooks.rotate_webhook, webhooks.remove_webhook, webhooks.redeliver_webhook,
)  # fmt: skip


def web_routes() -> list[ControllerRouterHandler]:
    """Pages and static files, to be mounted at the root."""
    pages = Router(path="/", route_handlers=list(_HANDLERS), before_request=choose_language, include_in_schema=False)
    return [pages, static_router()]


async def choose_language(request: Web) -> None:
    """Before each page: the user's language, else the cookie's, else the browser's."""
    _activate(request)


def _activate(request: Web) -> None:
    principal = viewer(request)
    wanted = (principal.language if principal else None, request.cookies.get(i18n.COOKIE))
    i18n.activate(i18n.choose(wanted, request.headers.get("accept-language", "")))


def error_page(request: Web, status: int, detail: str) -> Response[Any]:
    """The page for a refusal or a fault; ``detail`` is shown only where there are no better words."""
    _activate(request)
    known = {
        403: (
            gettext("Not allowed"),
            gettext("You may not do this, or the page has become old: load it again and repeat."),
        ),
        404: (
            gettext("Nothing here"),
            gettext("There is no such page, meter or gateway, or it belongs to somebody else."),
        ),
        500: (
            gettext("Something went wrong"),
            gettext("The fault is ours; the server's log has the details. Try again in a moment."),
        ),
        503: (
            gettext("Not available now"),
            gettext("The database does not answer. Try again in a moment."),
        ),
    }
    title, words = known.get(status, (gettext("That did not work"), detail))
    return page(request, "error.html", status, status=status, title=title, words=words)

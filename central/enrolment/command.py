"""The command that a person types at the gateway, and how central knows what stands in it."""

from collections.abc import Callable
from typing import Any

from litestar import Request

from central.enrolment.certificates import Issuer, own_names, server_pin
from central.enrolment.service import CannotSign
from central.errors import Conflict
from central.settings import EnrolmentSettings, SettingsError


def server_address(request: Request[Any, Any, Any]) -> str:
    """Where gateways reach central: ``web.base_url``, else the address this request came to."""
    return str(request.app.state.settings.web.base_url or request.base_url).rstrip("/")


def enrol_command(request: Request[Any, Any, Any]) -> Callable[[str], str]:
    """What makes the whole command of a code, with the server's pin where its certificate is known here.

    :class:`Conflict` when that cannot be read: before a code is made that nobody would see.
    """
    settings: EnrolmentSettings = request.app.state.settings.enrolment
    try:
        pin = server_pin(settings.server_cert)
    except SettingsError as error:
        raise Conflict(f"The code cannot be shown with the server's key: {error}.") from error
    begin, end = f"metergate edge enrol --server {server_address(request)} --code", f" --pin {pin}" if pin else ""
    return lambda code: f"{begin} {code}{end}"


def reserved_names(request: Request[Any, Any, Any]) -> frozenset[str]:
    """Names that no gateway may have; :class:`Conflict` when they cannot be found out."""
    try:
        return own_names(request.app.state.settings.broker)
    except SettingsError as error:
        raise Conflict(f"No code can be made: {error}.") from error


def issuer_of(request: Request[Any, Any, Any]) -> Issuer | None:
    """Central's issuer, None without one; :class:`CannotSign` when it cannot be used."""
    try:
        return Issuer.load(request.app.state.settings.enrolment)
    except SettingsError as error:
        raise CannotSign(error) from error


def grouped(fingerprint: str) -> str:
    """The part of a fingerprint that people compare: 16 digits in groups of four."""
    return " ".join(fingerprint[at : at + 4] for at in range(0, 16, 4))

"""Look at what central needs and say how it stands, in plain words."""

from typing import NamedTuple

import aiomqtt
from sqlalchemy.exc import SQLAlchemyError

from central import mqtt
from central.enrolment.certificates import Issuer, server_pin
from central.settings import Settings, SettingsError
from central.store.engine import open_database
from central.store.faults import reason_of
from central.store.migrate import SchemaError, SchemaState, head, state


class Finding(NamedTuple):
    """One thing that was looked at."""

    good: bool
    what: str
    text: str


async def check_all(settings: Settings) -> list[Finding]:
    """Look at settings, database and broker; settings were checked when they were read."""
    name = f"tenant {settings.tenant!r}, zone {settings.zone}, data in {settings.data_dir!r}"
    return [Finding(True, "settings", name), await _database(settings), _enrolment(settings), await _broker(settings)]


def _enrolment(settings: Settings) -> Finding:
    try:
        issuer, pin = Issuer.load(settings.enrolment), server_pin(settings.enrolment.server_cert)
    except SettingsError as error:
        return Finding(False, "enrolment", str(error))
    how = f"signed here, until {issuer.cert.not_valid_after_utc:%Y-%m-%d}" if issuer else "signed by the authority"
    return Finding(True, "enrolment", f"certificates of gateways are {how}; server's key {pin or 'not told'}")


async def _database(settings: Settings) -> Finding:
    try:
        database = open_database(settings)
        try:
            found = await state(database)
        finally:
            await database.close()
    except (SettingsError, SchemaError) as error:
        return Finding(False, "database", str(error))
    except (SQLAlchemyError, OSError) as error:
        return Finding(False, "database", f"cannot be reached: {reason_of(error)}")
    if found is not SchemaState.CURRENT:
        return Finding(False, "database", f"is {found.value}: run 'metergate central migrate'")
    return Finding(True, "database", f"{database.dialect}, schema {head()}")


async def _broker(settings: Settings) -> Finding:
    place = f"{settings.broker.host}:{settings.broker.port}"
    try:
        async with mqtt.client(settings.broker, suffix="-check"):
            return Finding(True, "broker", f"{place} accepts us")
    except SettingsError as error:
        return Finding(False, "broker", str(error))
    except aiomqtt.MqttError as error:
        return Finding(False, "broker", f"{place} cannot be used: {error}; is it running, and is broker.host right?")

"""Drivers by protocol; a protocol's modules are imported when its first meter is opened."""

from importlib import import_module
from typing import Any, Final, cast

import msgspec

from edge.drivers.contract import Driver
from edge.errors import ConfigError

#: Protocol: (module, driver class, settings module, settings struct).
_PROTOCOLS: Final[dict[str, tuple[str, str, str, str]]] = {
    "abnt": ("edge.drivers.abnt.driver", "AbntDriver", "edge.drivers.abnt.settings", "AbntSettings"),
}

PROTOCOLS: Final = tuple(_PROTOCOLS)


def settings_type(protocol: str) -> type[msgspec.Struct]:
    """Return the struct that holds a protocol's own settings; an unknown protocol raises :class:`ConfigError`."""
    module, name = _entry(protocol)[2:]
    return cast("type[msgspec.Struct]", getattr(import_module(module), name))


def open_driver(protocol: str, meter_id: str, settings: dict[str, Any] | msgspec.Struct) -> Driver:
    """Make the driver of one meter; ``settings`` as a struct of :func:`settings_type` or as a mapping.

    Unknown keys and values out of bounds raise :class:`ConfigError` naming the path.
    """
    kind = settings_type(protocol)
    if not isinstance(settings, kind):
        try:
            settings = msgspec.convert(settings, kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"meter {meter_id}: settings of protocol {protocol}: {error}") from error
    module, name = _entry(protocol)[:2]
    return cast("Driver", getattr(import_module(module), name)(meter_id, settings))


def _entry(protocol: str) -> tuple[str, str, str, str]:
    try:
        return _PROTOCOLS[protocol]
    except KeyError:
        raise ConfigError(f"protocol {protocol!r} is unknown: {', '.join(PROTOCOLS)}") from None

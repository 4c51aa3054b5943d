"""Gateways from central's registry: what each told to be its configuration, else the meters entered for it."""

import tomllib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from edge.config.mask import MASK
from metergate.provision.central_api import CentralApi
from metergate.provision.errors import ProvisionError
from metergate.provision.inventory import GatewayHost

#: Tables of a gateway's configuration that are variables of its role; the rest is the role's business.
_TABLES: Final = ("zone", "schedule", "permissions", "modules", "lines", "meters")


def gateways(api: CentralApi, step: Callable[[int, int], None]) -> tuple[list[GatewayHost], list[str]]:
    """All gateways the key reaches, and remarks for the person; ``step`` hears (done, of how many)."""
    keys = [str(each["key"]) for each in api.items("/gateways")]
    found, remarks = [], []
    for done, key in enumerate(keys):
        step(done, len(keys))
        variables, said = _variables(api, key)
        found.append(GatewayHost(key, variables=variables))
        remarks += said
    step(len(keys), len(keys))
    return found, remarks


def _variables(api: CentralApi, key: str) -> tuple[dict[str, Any], list[str]]:
    text = str(api.get(f"/gateways/{quote(key, safe='')}/configuration")["toml"])
    if text:
        try:
            config = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ProvisionError(f"the configuration of {key} that central holds is no TOML: {error}") from error
        data = {f"gateway_{name}": config[name] for name in _TABLES if name in config}
        masked = _unmasked(data)
        said = [f"{key}: secrets are masked and were left out: {', '.join(masked)}"] if masked else []
        return data, said
    meters = [{"id": each["key"], "serial": each["serial"]} for each in api.items("/meters", gateway=key)]
    if not meters:
        return {}, [f"{key}: no configuration was told yet and no meter is entered"]
    said = [f"{key}: no configuration was told yet; gateway_lines and each meter's line are yours to write"]
    return {"gateway_meters": meters}, said


def _unmasked(data: Any, path: str = "") -> list[str]:
    """Take masked secrets out; returns where they stood."""
    gone = []
    items = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    for key, value in items:
        where = f"{path}.{key}".lstrip(".")
        if isinstance(value, str) and value.startswith(MASK) and isinstance(data, dict):
            del data[key]
            gone.append(where)
        else:
            gone += _unmasked(value, where)
    return gone

"""Tests that our playbooks ask in Jinja."""

import ipaddress
from collections.abc import Callable


def inside(pair: str) -> bool:
    """Whether the address of ``"ADDRESS NETWORK"`` lies in the network."""
    address, network = pair.split()
    return ipaddress.ip_address(address.partition("%")[0]) in ipaddress.ip_network(network, strict=False)


class TestModule:
    """What Ansible looks for."""

    def tests(self) -> dict[str, Callable[[str], bool]]:
        return {"metergate_inside": inside}

"""Names that travel: tenants, gateways, meters, MQTT topics, spool ids (design §5)."""

import re
from typing import Final, Literal, NamedTuple, get_args

PROTOCOL_VERSION: Final = 1

#: A tenant, gateway or meter id: it is an MQTT topic level, a certificate name and a file name at once.
ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,47}$"
_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")

SPOOL_ID_BYTES: Final = 16

Kind = Literal["up", "ack", "cmd", "res", "state", "conf"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class IdError(ValueError):
    """A name that cannot be a tenant, gateway or meter id."""


def check_id(value: str, what: str = "id") -> str:
    """Return ``value`` if it can be an id, else raise :class:`IdError` naming it."""
    if _ID.match(value) is None:
        raise IdError(
            f"{what} {value!r} is not usable: 1 to 48 of letters, digits, '_', '.' and '-', a letter or digit first"
        )
    return value


class Topic(NamedTuple):
    """One topic ``mg/1/{tenant}/{gateway}/{kind}``.

    up: batches from the gateway. ack: cursor to the gateway (retained). cmd: commands to it. res: live progress from
    it (not kept). state: its state (retained, last will). conf: its configuration in force (retained).
    """

    tenant: str
    gateway: str
    kind: Kind

    def __str__(self) -> str:
        return f"mg/{PROTOCOL_VERSION}/{self.tenant}/{self.gateway}/{self.kind}"

    @classmethod
    def parse(cls, text: str) -> "Topic":
        """Parse a topic name; anything else than the five levels of ours raises :class:`IdError`."""
        parts = text.split("/")
        if len(parts) != 5 or parts[0] != "mg" or parts[1] != str(PROTOCOL_VERSION) or parts[4] not in KINDS:
            raise IdError(f"topic {text!r} is not mg/{PROTOCOL_VERSION}/tenant/gateway/({'|'.join(KINDS)})")
        return cls(check_id(parts[2], "tenant"), check_id(parts[3], "gateway"), parts[4])


def topic_filter(kind: Kind, tenant: str = "+", share: str | None = None) -> str:
    """Subscription filter for one kind from all gateways; ``share`` makes it a shared subscription of that group."""
    plain = f"mg/{PROTOCOL_VERSION}/{tenant}/+/{kind}"
    return f"$share/{share}/{plain}" if share else plain

"""Names on the wire -> ids in the database. Unknown gateways, meters and modules are entered, not yet registered.

Ids made within a transaction are remembered only when it has been committed.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from central.accounts.models import Tenant
from central.registry.models import CommunicationModule, Gateway, Meter
from central.registry.words import enter_keys
from central.store.chunks import chunks
from central.store.upsert import upsert

#: Names remembered; beyond it everything is forgotten and looked up anew.
MAX_NAMES: Final = 500_000
#: Names are looked up again after this long, s.
REFRESH: Final = 60.0
#: Names in one query.
_MOST_KEYS: Final = 1000


class TenantEntry(NamedTuple):
    id: int
    zone: str


@dataclass
class Names:
    """What is known of a set of names."""

    tenants: dict[str, TenantEntry] = field(default_factory=dict)
    gateways: dict[tuple[int, str], int] = field(default_factory=dict)
    meters: dict[tuple[int, str], int] = field(default_factory=dict)
    modules: dict[tuple[int, str], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tenants) + len(self.gateways) + len(self.meters) + len(self.modules)


class Directory:
    """The names one process knows; ``lookup()`` begins what one transaction adds."""

    def __init__(self) -> None:
        self.known = Names()
        self._since = time.monotonic()

    def lookup(self, session: AsyncSession, now: int) -> "Lookup":
        if len(self.known) > MAX_NAMES or time.monotonic() - self._since > REFRESH:
            self.known, self._since = Names(), time.monotonic()
        return Lookup(self.known, session, now)


class Lookup:
    """Names of one transaction; call :meth:`keep` after its commit."""

    def __init__(self, known: Names, session: AsyncSession, now: int) -> None:
        self._known = known
        self._new = Names()
        self._session = session
        self._now = now

    def keep(self) -> None:
        self._known.tenants |= self._new.tenants
        self._known.gateways |= self._new.gateways
        self._known.meters |= self._new.meters
        self._known.modules |= self._new.modules

    async def tenant(self, key: str) -> TenantEntry | None:
        """The tenant of a topic; None: there is none, and none is made."""
        found = self._known.tenants.get(key) or self._new.tenants.get(key)
        if found is None:
            row = (await self._session.execute(select(Tenant.id, Tenant.zone).where(Tenant.key == key))).one_or_none()
            if row is None:
                return None
            found = self._new.tenants[key] = TenantEntry(row[0], row[1])
        return found

    async def gateways(self, tenant: TenantEntry, keys: Iterable[str]) -> dict[str, int]:
        """The ids of gateways, entered when unknown."""
        wanted = sorted(keys)
        unknown = [key for key in wanted if self._known_gateway(tenant, key) is None]
        await self._find_gateways(tenant, unknown)
        fresh = [key for key in unknown if self._known_gateway(tenant, key) is None]
        if fresh:
            rows = [
                {"tenant_id": tenant.id, "key": key, "name": key, "place": "", "created_at": self._now} for key in fresh
            ]
            await self._session.execute(upsert(self._session, Gateway, keys=("tenant_id", "key")), rows)
            await self._find_gateways(tenant, fresh)
            ids = {key: self._new.gateways[(tenant.id, key)] for key in fresh}
            await enter_keys(self._session, tenant.id, Gateway, ids)
        return {key: found for key in wanted if (found := self._known_gateway(tenant, key)) is not None}

    def _known_gateway(self, tenant: TenantEntry, key: str) -> int | None:
        return self._known.gateways.get((tenant.id, key)) or self._new.gateways.get((tenant.id, key))

    async def _find_gateways(self, tenant: TenantEntry, keys: Sequence[str]) -> None:
        for some in chunks(keys, _MOST_KEYS):
            query = select(Gateway.key, Gateway.id).where(Gateway.tenant_id == tenant.id, Gateway.key.in_(some))
            self._new.gateways |= {(tenant.id, key): found for key, found in await self._session.execute(query)}

    def known_meter(self, tenant: TenantEntry, key: str) -> int | None:
        """The id of a meter that :meth:`meters` has been asked for."""
        return self._known.meters.get((tenant.id, key)) or self._new.meters.get((tenant.id, key))

    async def meters(self, tenant: TenantEntry, read_by: Mapping[str, int]) -> None:
        """Make meters known, entering those that nobody has entered yet, with the gateway that reads each."""
        wanted = {key for key in read_by if self.known_meter(tenant, key) is None}
        await self._find_meters(tenant, wanted)
        fresh = sorted(key for key in wanted if self.known_meter(tenant, key) is None)
        if fresh:
            rows = [
                {
                    "tenant_id": tenant.id, "key": key, "serial": key, "name": "", "gateway_id": read_by[key],
                    "zone": "", "multiplier_num": 1, "multiplier_den": 1, "monitored": True, "calendar": "",
                    "registered": False, "created_at": self._now,
                }
                for key in fresh
            ]  # fmt: skip
            await self._session.execute(upsert(self._session, Meter, keys=("tenant_id", "key")), rows)
            await self._find_meters(tenant, set(fresh))
            ids = {key: self._new.meters[(tenant.id, key)] for key in fresh}
            await enter_keys(self._session, tenant.id, Meter, ids)

    async def is_meter(self, tenant: TenantEntry, key: str) -> bool:
        """Whether a meter of this name has been entered; none is made."""
        await self._find_meters(tenant, {key} if self.known_meter(tenant, key) is None else set())
        return self.known_meter(tenant, key) is not None

    async def module(self, tenant: TenantEntry, gateway_id: int, key: str) -> int:
        """The id of a communication module, entered when unknown."""
        place = (tenant.id, key)
        found = self._known.modules.get(place) or self._new.modules.get(place)
        if found is None:
            row = {"tenant_id": tenant.id, "key": key, "name": key, "gateway_id": gateway_id, "created_at": self._now}
            await self._session.execute(upsert(self._session, CommunicationModule, keys=("tenant_id", "key")), [row])
            query = select(CommunicationModule.id).where(
                CommunicationModule.tenant_id == tenant.id, CommunicationModule.key == key
            )
            found = self._new.modules[place] = (await self._session.execute(query)).scalar_one()
            await enter_keys(self._session, tenant.id, CommunicationModule, {key: found})
        return found

    async def _find_meters(self, tenant: TenantEntry, keys: set[str]) -> None:
        for some in chunks(sorted(keys), _MOST_KEYS):
            query = select(Meter.key, Meter.id).where(Meter.tenant_id == tenant.id, Meter.key.in_(some))
            self._new.meters |= {(tenant.id, key): found for key, found in await self._session.execute(query)}

"""First run: while there is no user, /setup creates the first administrator with a code that only the log shows."""

import asyncio
import hmac
import secrets

from central.accounts.errors import SetupRefused
from central.accounts.models import User
from central.accounts.service import TenantOf, count_users, create_user
from central.accounts.throttle import LoginGate
from central.store.engine import Database


class Setup:
    """State of the first run in this process; ``code`` is None once there is a user."""

    def __init__(self) -> None:
        self.code: str | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def open(self) -> bool:
        """Whether the first administrator is still to be made."""
        return self.code is not None

    async def look(self, database: Database) -> bool:
        """The same, after a look whether another process has made a user meanwhile."""
        if self.code is not None:
            async with database.read() as db:
                if await count_users(db):
                    self.code = None
        return self.open

    async def prepare(self, database: Database) -> str | None:
        """Make the code when there is no user yet; returns it for the log."""
        async with database.read() as db:
            self.code = None if await count_users(db) else secrets.token_hex(8)
        return self.code

    async def create_first_admin(
        self, database: Database, gate: LoginGate, tenant: TenantOf, code: str, login: str, name: str, password: str, *,
        address: str, now: int,
    ) -> User:  # fmt: skip
        """Create tenant and administrator, once; raises :class:`SetupRefused` and what ``create_user`` raises."""
        gate.check_address(address, now)
        async with self._one_at_a_time:
            async with database.read() as db:
                if self.code is None or await count_users(db):
                    self.code = None
                    raise SetupRefused("The first administrator exists already. Log in instead.")
            if not hmac.compare_digest(self.code.encode(), code.strip().lower().encode()):
                gate.addresses.failed(address, now)
                raise SetupRefused("The setup code is wrong. It stands in the server's log of its last start.")
            user = await create_user(
                database, tenant, login, name, password, role="administrator", now=now, author="first run",
                address=address,
            )  # fmt: skip
            self.code = None
            return user

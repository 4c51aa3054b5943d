"""Passwords are hashed cheaply here: what is tested is what is done with the result."""

import pytest
from argon2 import PasswordHasher

from central.accounts import passwords


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    passwords._decoy.cache_clear()

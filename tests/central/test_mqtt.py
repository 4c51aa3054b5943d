"""The aggregator's connection to the broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from central.mqtt import keep_connected


async def test_a_cancellation_that_meets_the_answer_of_the_broker_is_not_lost() -> None:
    """Python 3.11's ``wait_for``, by which aiomqtt waits, returns the result when both come at once."""
    answered = asyncio.Event()
    used = False

    @asynccontextmanager
    async def connecting() -> AsyncIterator[Any]:
        with contextlib.suppress(asyncio.CancelledError):  # what wait_for does
            await answered.wait()
        yield None

    async def use(connection: Any) -> None:
        nonlocal used
        used = True

    task = asyncio.create_task(keep_connected(cast("Any", connecting), use, "test"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert not used

"""A cancellation that meets an answer."""

import asyncio

import pytest

from shared.waiting import answered


async def test_an_end_that_meets_the_brokers_answer_is_kept() -> None:
    """Python 3.11's wait_for returns the answer and forgets that it was cancelled."""
    came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def ask() -> str:
        return await asyncio.wait_for(came, 5)  # as aiomqtt does

    task = asyncio.create_task(answered(ask()))
    await asyncio.sleep(0)
    came.set_result("granted")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()

"""What Python 3.11's ``wait_for`` loses, by which aiomqtt waits: a cancellation that meets the broker's answer."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


def cancellations() -> int:
    """How often this task was asked to end. A task group in it may leave its own asking behind, so only more counts."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def give_way(asked: int) -> None:
    """End here if the task was asked to end since :func:`cancellations` returned ``asked``."""
    if cancellations() > asked:
        raise asyncio.CancelledError


async def answered(answer: Awaitable[T]) -> T:
    """Await an answer of the broker, and end here if that was asked for meanwhile."""
    asked = cancellations()
    result = await answer
    give_way(asked)
    return result

"""What asyncio's tasks need that several callers wait for."""

from __future__ import annotations

import asyncio
from typing import Any


def consume_exception(task: asyncio.Future[Any]) -> None:
    """Retrieve a task's exception, so that asyncio does not log it if no caller waits any more."""
    if not task.cancelled():
        task.exception()

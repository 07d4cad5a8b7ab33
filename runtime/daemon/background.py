"""Work that no request waits for, with its errors reported: asyncio alone would forget both."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from runtime.daemon.containerd_client import GRPCError
from runtime.daemon.errors import ApiError

log = logging.getLogger("daemon")


class Background:
    """Holds on to tasks until they are done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin some work; an error in it is logged."""
        task = asyncio.ensure_future(_reported(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Give everything up that is not done."""
        for task in self._tasks:
            task.cancel()


async def _reported(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except (GRPCError, ApiError, OSError) as error:
        log.error("%s", error)
    except Exception:
        # A mistake of ours: the daemon goes on, and whoever reports it needs to know where.
        log.exception("work in the background failed")

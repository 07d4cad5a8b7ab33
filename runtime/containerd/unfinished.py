"""Work that is not given up when the client that asked for it goes away: half of it would be nobody's.

Real counterpart: contexts that containerd does not pass on (`context.Background()` with the namespace copied).
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
_unfinished: set[asyncio.Task[Any]] = set()
"""The event loop keeps only weak references to tasks."""


async def to_the_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Await the work; a caller that is cancelled meanwhile leaves it going on."""
    task = asyncio.ensure_future(work)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    return await asyncio.shield(task)

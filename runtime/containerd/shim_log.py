"""The FIFO `log` in a bundle: a shim's own messages, copied to containerd's stderr.

Real counterpart: containerd `runtime/v2/shim_unix.go` (openShimLog) and the copying goroutine in `binary.go`.
"""

import asyncio
import os

_CHUNK = 65536


class ShimLog:
    """Copies one shim's log for as long as it is open."""

    def __init__(self, bundle_path: str) -> None:
        path = os.path.join(bundle_path, "log")
        try:
            os.mkfifo(path, 0o700)
        except FileExistsError:
            pass  # made by the containerd before this one
        # Opened for writing too, so that the FIFO never ends: the shim, its helpers and its heirs open and close it
        # at will.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._fd, self._copy)

    def _copy(self) -> None:
        try:
            os.write(2, os.read(self._fd, _CHUNK))
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Copy what is left, and stop."""
        if self._fd >= 0:
            self._copy()
            asyncio.get_running_loop().remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

"""Where a containerd lives: what its command line says."""

from typing import NamedTuple


class Settings(NamedTuple):
    """Where this containerd lives, and what its shims are told to run to report events without ttrpc."""

    root: str
    state: str
    address: str
    publish_binary: str

    @property
    def ttrpc_address(self) -> str:
        """Where shims report events."""
        return f"{self.address}.ttrpc"

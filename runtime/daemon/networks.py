"""The networks a container can be in: bridge, host, none, another container's (moby: daemon/network.go, libnetwork)."""

from typing import Any

from runtime.daemon.container import Container


class Networks:
    """The three networks that always exist."""

    def verify_ports(self, host: dict[str, Any]) -> None:
        """Refuse what is not there yet."""

    names = ("bridge", "host", "none")

    def host_warnings(self) -> list[str]:
        return []

    def find(self, name: str) -> str:
        return name

    def view(self, name: str, containers: list[Container]) -> dict[str, Any]:
        return {}

    def warnings(self, container: Container) -> list[str]:
        """What the user should know about the container's network."""
        return []

    async def attach(self, container: Container, pid: int) -> None:
        """Furnish the network namespace of a process that waits to be started."""

    async def detach(self, container: Container) -> None:
        """Take back what attach made."""

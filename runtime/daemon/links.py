"""`--link CONTAINER:ALIAS`: what one container is told of another on the default bridge (moby: daemon/links.go, links).

The forerunner of networks that have names. Who links finds the other under the alias in its /etc/hosts, and the
other's address, ports and environment in variables of its own. On a network of the user's own the CLI sends links with
the network's settings instead, and there they are nothing but names (name_servers.py).
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from runtime.daemon import etc_files, port_bindings
from runtime.daemon.container import Container, Link
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import ConflictError, InvalidParameterError, NotFoundError, ServerError
from runtime.daemon.network import PREDEFINED

_BRIDGE = "bridge"


def link_words(text: str) -> tuple[str, str]:
    """The container and the alias of `NAME[:ALIAS]`; what inspect shows, `/NAME:/PARENT/ALIAS`, is read as well."""
    name, colon, alias = text.partition(":")
    if ":" in alias:
        raise InvalidParameterError(f"bad format for links: {text}")
    return name.removeprefix("/"), alias.rpartition("/")[2] if colon else name.removeprefix("/")


class Links:
    """Makes links, tells both ends of them, takes them away."""

    def __init__(self, containers: ContainerStore) -> None:
        self._containers = containers

    def resolve(self, host: dict[str, Any]) -> list[Link]:
        """The links that a create request asks for; takes them out of HostConfig, where names could get stale."""
        asked, host["Links"] = host["Links"] or [], None
        if host["NetworkMode"].partition(":")[0] not in ("default", "container", *PREDEFINED):
            return []  # a network of the user's own: its settings say the same
        for mode, kind in (("host", "host type networking"), ("container:", "container type network")):
            if asked and host["NetworkMode"].startswith(mode):
                raise InvalidParameterError(_undefined(kind))
        return [self._resolve(*link_words(text)) for text in asked]

    def _resolve(self, name: str, alias: str) -> Link:
        try:
            child = self._containers.find(name)
            passed = set()
            while child.host_config["NetworkMode"].startswith("container:"):
                if child.id in passed:  # its network is a matter of names, which may go round
                    raise InvalidParameterError(f"could not get container for {name}: it shares its own network")
                passed.add(child.id)
                child = self._containers.find(child.host_config["NetworkMode"].partition(":")[2])
        except NotFoundError as error:
            raise InvalidParameterError(f"could not get container for {name}: {error.message}") from error
        if child.host_config["NetworkMode"] == "host":
            raise InvalidParameterError(_undefined("host type networking"))
        return Link(child.id, child.name, alias)

    def view(self, container: Container) -> list[str] | None:
        """HostConfig.Links as inspect shows it: `/CHILD:/PARENT/ALIAS`, with today's names."""
        links = [f"/{self._name(link)}:/{container.name}/{link.alias}" for link in container.links]
        return sorted(links) or None

    def names(self) -> Mapping[str, list[str]]:
        """What linked containers are called by others, by their IDs: `/PARENT/ALIAS`, for the names in `docker ps`."""
        names = defaultdict[str, list[str]](list)
        for parent in self._containers.all():
            for link in parent.links:
                names[link.child_id].append(f"/{parent.name}/{link.alias}")
        return names

    def environment(self, container: Container) -> list[str]:
        """The variables about every linked container. Raises ServerError if one of them does not run."""
        entries: list[str] = []
        for link, child, address in self._linked(container):
            entries += _variables(f"/{container.name}/{link.alias}", child, address)
        return entries

    def write_hosts(self, container: Container) -> None:
        """Write /etc/hosts with the linked containers in it."""
        container.linked_hosts = [_hosts_line(*linked) for linked in self._linked(container)]
        etc_files.write_hosts(container)

    def tell_parents(self, child: Container) -> None:
        """A container has begun to run, maybe at another address than before: write it down where it is linked."""
        for parent, link in self._to(child):
            address = _address(child)
            if parent.state.running and parent.linked_hosts and address:
                parent.linked_hosts[parent.links.index(link)] = _hosts_line(link, child, address)
                etc_files.write_hosts(parent)
                self._containers.save(parent)

    def remove(self, path: str) -> None:
        """`docker rm --link PARENT/ALIAS`."""
        parent_name, _, alias = path.removeprefix("/").partition("/")
        parent = self._containers.find(parent_name)
        if not alias:
            raise ConflictError("Conflict, cannot remove the default link name of the container")
        link = next((link for link in parent.links if link.alias == alias), None)
        if link is None:
            raise NotFoundError(f"No such container: {path}")
        place = parent.links.index(link)
        del parent.links[place], parent.linked_hosts[place : place + 1]
        self._containers.save(parent)

    def _linked(self, container: Container) -> list[tuple[Link, Container, str]]:
        """Those that a container on the default bridge links to, with their addresses there."""
        if _BRIDGE not in container.networking:
            return []
        found = []
        for link in container.links:
            child = self._containers.get(link.child_id)
            if child is None or not child.state.running:
                raise ServerError(
                    f"Cannot link to a non running container: /{self._name(link)} AS /{container.name}/{link.alias}"
                )
            address = _address(child)
            if not address:
                raise ServerError(f"Cannot link to /{child.name}, as it does not belong to the default network")
            found.append((link, child, address))
        return found

    def _to(self, child: Container) -> list[tuple[Container, Link]]:
        return [(one, link) for one in self._containers.all() for link in one.links if link.child_id == child.id]

    def _name(self, link: Link) -> str:
        child = self._containers.get(link.child_id)
        return child.name if child else link.child_name


def _address(child: Container) -> str:
    return next((endpoint.address for endpoint in child.endpoints if endpoint.network == _BRIDGE), "")


def _hosts_line(link: Link, child: Container, address: str) -> str:
    return f"{address}\t{link.alias} {child.hostname}" + (f" {child.name}" if child.name != link.alias else "")


def _undefined(kind: str) -> str:
    return f"conflicting options: {kind} can't be used with links. This would result in undefined behavior"


def _variables(name: str, child: Container, address: str) -> list[str]:
    """ALIAS_PORT_80_TCP_ADDR and the like, for every port that the child exposes; ALIAS_ENV_X for its own X."""
    alias = name.rpartition("/")[2].upper().replace("-", "_")
    ports = sorted(
        (port_bindings.exposed_port(text) for text in child.config.get("ExposedPorts") or {}),
        key=lambda port: (port[0], port[1] != "tcp"),
    )
    entries = [f"{alias}_PORT={ports[0][1]}://{address}:{ports[0][0]}"] if ports else []
    for first, last in _ranges(ports):
        prefix = f"{alias}_PORT_{first[0]}_{first[1].upper()}"
        entries += [
            f"{prefix}_START={first[1]}://{address}:{first[0]}",
            f"{prefix}_PORT_START={first[0]}",
            f"{prefix}_END={last[1]}://{address}:{last[0]}",
            f"{prefix}_PORT_END={last[0]}",
        ]
    for number, protocol in ports:
        prefix = f"{alias}_PORT_{number}_{protocol.upper()}"
        entries += [
            f"{prefix}={protocol}://{address}:{number}",
            f"{prefix}_ADDR={address}",
            f"{prefix}_PORT={number}",
            f"{prefix}_PROTO={protocol}",
        ]
    entries.append(f"{alias}_NAME={name}")
    for entry in child.config["Env"]:
        key, equals, value = entry.partition("=")
        if equals and key not in ("HOME", "PATH"):
            entries.append(f"{alias}_ENV_{key}={value}")
    return entries


def _ranges(ports: list[tuple[int, str]]) -> list[tuple[tuple[int, str], tuple[int, str]]]:
    """The first and the last of every three or more ports in a row."""
    found = []
    start = 0
    for index in range(1, len(ports) + 1):
        if index == len(ports) or ports[index][0] > ports[index - 1][0] + 1:
            if index - start > 2:
                found.append((ports[start], ports[index - 1]))
            start = index
    return found

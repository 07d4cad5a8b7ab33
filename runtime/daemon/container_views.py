"""How a container looks in `docker ps` and `docker inspect` (moby: container/view.go, daemon/inspect.go)."""

import os
import time
from collections.abc import Callable
from typing import Any

from runtime.daemon import port_bindings
from runtime.daemon.container import Container, Endpoint
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.errors import InvalidParameterError, NotFoundError
from runtime.daemon.filters import has_labels, is_like, refuse_unknown, truth
from runtime.daemon.mount_points import MountPoint
from runtime.daemon.network_requests import aliases
from runtime.daemon.timestamps import ZERO, from_rfc3339, human_duration

_LIST_FILTERS = [
    "name",
    "id",
    "status",
    "label",
    "exited",
    "ancestor",
    "since",
    "before",
    "network",
    "volume",
    "health",
    "is-task",
    "expose",
    "publish",
    "isolation",
]


def inspect(
    container: Container, links: list[str] | None = None, sizes: tuple[int, int] | None = None
) -> dict[str, Any]:
    """GET /containers/ID/json; `links` are its HostConfig.Links."""
    state, directory = container.state, container.directory
    view: dict[str, Any] = {
        "Id": container.id,
        "Created": container.created,
        "Path": container.path,
        "Args": container.args,
        "State": {
            "Status": "removing" if container.removing else state.status,
            "Running": state.running,
            "Paused": state.paused,
            "Restarting": state.restarting,
            "OOMKilled": state.oom_killed,
            "Dead": False,
            "Pid": state.pid if state.running else 0,
            "ExitCode": state.exit_code,
            "Error": state.error,
            "StartedAt": state.started_at,
            "FinishedAt": state.finished_at,
        },
        "Image": container.image_id,
        "ResolvConfPath": os.path.join(directory, "resolv.conf"),
        "HostnamePath": os.path.join(directory, "hostname"),
        "HostsPath": os.path.join(directory, "hosts"),
        "LogPath": container.log.path,
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": container.snapshotter,
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": container.apparmor_profile,
        "ExecIDs": [key for key, session in container.execs.items() if session.running] or None,
        "HostConfig": container.host_config | {"Links": links},
        "GraphDriver": {"Data": _graph_data(container), "Name": container.snapshotter},
        "Mounts": [mount_view(point) for point in container.mount_points if point.type != "tmpfs"],
        "Config": container.config,
        "NetworkSettings": _network_settings(container),
    }
    if sizes is not None:
        view["SizeRw"], view["SizeRootFs"] = sizes
    return view


def _graph_data(container: Container) -> dict[str, str]:
    """Where the layers are, in the words of docker's overlay2 driver."""
    if not container.rootfs:
        return {}
    options = dict(option.partition("=")[::2] for option in container.rootfs[0].options)
    named = {"LowerDir": "lowerdir", "UpperDir": "upperdir", "WorkDir": "workdir"}
    return {key: options[word] for key, word in named.items() if word in options}


def mount_view(point: MountPoint) -> dict[str, Any]:
    """One entry of Mounts."""
    view: dict[str, Any] = {"Type": point.type}
    if point.volume:
        view["Name"] = point.volume
    view |= {"Source": point.source, "Destination": point.destination}
    if point.volume:
        view["Driver"] = "local"
    return view | {"Mode": point.mode, "RW": not point.read_only, "Propagation": point.propagation}


def endpoint_view(endpoint: Endpoint, settings: dict[str, Any]) -> dict[str, Any]:
    """One network of a container, with the settings that were asked for there."""
    return {
        "IPAMConfig": settings.get("IPAMConfig"),
        "Links": settings.get("Links"),
        "Aliases": endpoint.aliases or None,
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.endpoint_id,
        "Gateway": endpoint.gateway,
        "IPAddress": endpoint.address,
        "IPPrefixLen": endpoint.prefix_length,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": endpoint.mac_address,
        "DriverOpts": settings.get("DriverOpts"),
    }


def networks_view(container: Container) -> dict[str, Any]:
    """All networks of a container by name; while it does not run, those it will be in."""
    live = {endpoint.network: endpoint for endpoint in container.endpoints}
    return {
        name: endpoint_view(live.get(name) or Endpoint(name, aliases=aliases(container, name, settings)), settings)
        for name, settings in container.networking.items()
    }


def _network_settings(container: Container) -> dict[str, Any]:
    endpoint = next((e for e in container.endpoints if e.network == "bridge"), Endpoint("bridge"))
    view = endpoint_view(endpoint, {})
    live = container.state.running and any(one.interface for one in container.endpoints)
    return {
        "Bridge": "",
        "SandboxID": next((one.endpoint_id for one in container.endpoints), ""),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": port_bindings.inspect_view(container.config, container.ports) if live else {},
        "SandboxKey": f"/proc/{container.state.pid}/ns/net" if container.state.running else "",
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": endpoint.endpoint_id,
        **{key: view[key] for key in ("Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress")},
        **{key: view[key] for key in ("IPPrefixLen", "IPv6Gateway", "MacAddress")},
        "Networks": networks_view(container),
    }


def _network_ports(container: Container) -> list[dict[str, Any]]:
    running = container.state.running and any(endpoint.interface for endpoint in container.endpoints)
    return port_bindings.list_view(container.config, container.ports) if running else []


def status_text(container: Container) -> str:
    """`Up 5 minutes`, `Exited (0) 2 seconds ago`."""
    state, now = container.state, time.time_ns()

    def since(text: str) -> str:
        return human_duration((now - from_rfc3339(text)) / 1e9)

    if container.removing:
        return "Removal In Progress"
    if state.restarting:
        return f"Restarting ({state.exit_code}) {since(state.finished_at)} ago"
    if state.running:
        return f"Up {since(state.started_at)}{' (Paused)' if state.paused else ''}"
    if state.started_at == ZERO:
        return "Created"
    return f"Exited ({state.exit_code}) {since(state.finished_at)} ago"


def list_item(
    container: Container,
    image_of_name: dict[str, str],
    linked_as: list[str],
    sizes: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """One entry of GET /containers/json.

    Args:
        container: whichever.
        image_of_name: the IDs that names of images stand for by now. A container whose image's name has gone, or has
            gone to another image, is shown with the ID.
        linked_as: what those call it who link to it.
        sizes: bytes of its own layer and of the whole root, where they are asked for.

    """
    words = [container.path, *container.args]
    item: dict[str, Any] = {
        "Id": container.id,
        "Names": [f"/{container.name}", *linked_as],
        "Image": container.image_name
        if image_of_name.get(container.image_name) == container.image_id
        else container.image_id,
        "ImageID": container.image_id,
        "Command": " ".join(f"'{word}'" if " " in word else word for word in words),
        "Created": container.created_ns // 10**9,
        "Ports": _network_ports(container),
    }
    if sizes is not None:
        item["SizeRw"], item["SizeRootFs"] = sizes
    return item | {
        "Labels": container.config.get("Labels") or {},
        "State": container.state.status,
        "Status": status_text(container),
        "HostConfig": {"NetworkMode": container.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": networks_view(container)},
        "Mounts": [mount_view(point) for point in container.mount_points if point.type != "tmpfs"],
    }


def select(
    store: ContainerStore, everything: bool, limit: int, filters: dict[str, list[str]], ancestors: set[str]
) -> list[Container]:
    """The containers that a list request asks for, newest first. `ancestors` are the image IDs of that filter."""
    refuse_unknown(filters, _LIST_FILTERS)
    _verify_values(filters)
    for name in (*filters.get("since", []), *filters.get("before", [])):
        _created(store, name)
    everything = everything or limit > 0 or bool(filters.get("status") or filters.get("exited"))
    found = [
        container
        for container in store.all()
        if (everything or container.state.running) and _matches(container, store, filters, ancestors)
    ]
    return found[:limit] if limit > 0 else found


def _verify_values(filters: dict[str, list[str]]) -> None:
    for status in filters.get("status", []):
        if status not in ("created", "running", "paused", "restarting", "removing", "exited", "dead"):
            raise InvalidParameterError(f"Invalid filter 'status={status}'")
    for code in filters.get("exited", []):
        if not code.removeprefix("-").isdigit():
            raise InvalidParameterError(f'strconv.Atoi: parsing "{code}": invalid syntax')
    for health in filters.get("health", []):
        if health not in ("none", "starting", "healthy", "unhealthy"):
            raise InvalidParameterError(f"Unrecognised filter value for health: {health}")
    for key in ("publish", "expose"):
        for value in filters.get(key, []):
            port_bindings.verify_filter(key, value)
    truth("is-task", filters.get("is-task", []), digits=False)


def _matches(container: Container, store: ContainerStore, filters: dict[str, list[str]], ancestors: set[str]) -> bool:
    tests: dict[str, Callable[[str], bool]] = {
        "name": lambda value: is_like(container.name, value) or is_like(f"/{container.name}", value),
        "id": container.id.startswith,
        "status": lambda value: container.state.status == value,
        "exited": lambda value: container.state.status == "exited" and str(container.state.exit_code) == value,
        "ancestor": lambda _: container.image_id in ancestors,
        "network": lambda value: (
            value in container.networking
            or any(value and endpoint.network_id.startswith(value) for endpoint in container.endpoints)
        ),
        "volume": lambda value: any(value in (p.volume, p.destination) for p in container.mount_points),
        "since": lambda value: container.created_ns > _created(store, value),
        "before": lambda value: container.created_ns < _created(store, value),
        "health": lambda value: value == "none",
        "publish": lambda value: port_bindings.matches_filter(
            value, [(port.host_port, port.protocol) for port in container.ports]
        ),
        "expose": lambda value: port_bindings.matches_filter(
            value, [port_bindings.exposed_port(text) for text in container.config.get("ExposedPorts") or {}]
        ),
        "isolation": lambda _: True,  # a matter of Windows, left unread elsewhere
    }
    for key, values in filters.items():
        if key == "label":
            if not has_labels(container.config.get("Labels"), values):
                return False
        elif key == "is-task":
            if truth(key, values, digits=False):  # none is one: tasks are a swarm's
                return False
        elif values and not any(tests[key](value) for value in values if key in tests):
            return False
    return True


def _created(store: ContainerStore, name: str) -> int:
    try:
        return store.find(name).created_ns
    except NotFoundError as error:
        raise NotFoundError(f"no such container {name}") from error

"""POST /containers/create: from a request to a container that could be started (moby: daemon/create.go).

    check what was sent -> find the image -> take the name -> prepare the layer -> fill new volumes -> write the record

Nothing runs yet.
"""

import os
import secrets
import shutil
import time
from typing import Any

from runtime.daemon import (
    host_config,
    limits,
    mount_points,
    name_generator,
    platforms,
    security_options,
    writable_layer,
)
from runtime.daemon.container import Container, Link
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.containerd_client import Containerd
from runtime.daemon.errors import InvalidParameterError, NotFoundError, NotModeledError, ServerError
from runtime.daemon.events import EventLog
from runtime.daemon.images import Image, ImageStore
from runtime.daemon.json_types import INT, check_types
from runtime.daemon.links import Links
from runtime.daemon.mount_points import MountPoint
from runtime.daemon.network_requests import initial_networks, verify_network_mode
from runtime.daemon.networks import Networks
from runtime.daemon.options import DaemonOptions
from runtime.daemon.rootfs_files import RootfsFiles
from runtime.daemon.signals import parse_signal
from runtime.daemon.spec import HostFacts
from runtime.daemon.volumes import VolumeStore

_CONFIG_TYPES: dict[str, Any] = (
    dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir", "StopSignal", "MacAddress"), str)
    | {"Env": [str], "Cmd": ([str], str), "Entrypoint": ([str], str), "Labels": {str: str}}
    | dict.fromkeys(("Volumes", "ExposedPorts", "HostConfig", "NetworkingConfig", "Healthcheck"), dict)
    | dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), bool)
    | {"StopTimeout": INT}
)


class Creator:
    """Makes containers."""

    def __init__(
        self,
        options: DaemonOptions,
        facts: HostFacts,
        containerd: Containerd,
        containers: ContainerStore,
        images: ImageStore,
        volumes: VolumeStore,
        networks: Networks,
        links: Links,
        events: EventLog,
    ) -> None:
        self._options = options
        self._facts = facts
        self._containerd = containerd
        self._containers = containers
        self._images = images
        self._volumes = volumes
        self._networks = networks
        self._links = links
        self._events = events

    async def create(self, body: dict[str, Any], name: str, platform: str) -> tuple[Container, list[str]]:
        """Make a container; returns it and what its user should know. `platform` is empty where any will do."""
        check_types("ContainerConfigWrapper", body, _CONFIG_TYPES)
        if not body:
            raise InvalidParameterError("Config cannot be empty in order to create a container")
        if not body.get("Image"):
            raise InvalidParameterError("No command specified" if not body.get("Cmd") else "image must be specified")
        host = host_config.complete(body.get("HostConfig") or {}, self._options.default_runtime, self._facts.cgroup_v2)
        warnings = host_config.discard_unsupported(host, self._facts.limits)
        host_config.verify(host, self._options.runtimes)
        self._verify_host(host)
        self._name_lenders(host)
        links = self._links.resolve(host)
        image = await self._images.find(body["Image"])
        if platform:
            platforms.require(image.config, platform, body["Image"])
        new_id = secrets.token_hex(32)
        config = _complete_config(body, image.run_config, new_id, host)
        verify_network_mode(config, host)
        path, args = _command(config)
        points = mount_points.parse(config, host, self._borrowed(host["VolumesFrom"] or []))
        taken = self._containers.reserve_name(name or name_generator.generate(self._containers.is_taken), new_id)
        try:
            container = await self._make(
                new_id,
                taken,
                body["Image"],
                image,
                config,
                host,
                (path, args),
                points,
                initial_networks(host, body.get("NetworkingConfig") or {}),
                links,
            )
        except BaseException:
            self._containers.release_name(taken)
            raise
        self._events.container("create", container)
        return container, warnings + self._warnings(container)

    def _borrowed(self, volumes_from: list[str]) -> list[MountPoint]:
        """What `--volumes-from NAME[:ro]` takes from other containers."""
        points = []
        for text in volumes_from:
            name, _, mode = text.partition(":")
            if mode not in ("", "ro", "rw", "z", "Z"):
                raise InvalidParameterError(f"invalid mode: {mode}")
            try:
                lender = self._containers.find(name)
            except NotFoundError as error:
                raise InvalidParameterError(error.message) from error  # a 404 would mean the image, and be pulled for
            points += [point.lent(mode == "ro") for point in lender.mount_points]
        return points

    def _name_lenders(self, host: dict[str, Any]) -> None:
        """Put IDs for the names of containers whose namespaces are shared: a name may mean another one tomorrow."""
        for key in ("PidMode", "IpcMode", "NetworkMode"):
            mode, _, name = host[key].partition(":")
            if mode != "container" or not name:
                continue
            try:
                host[key] = f"container:{self._containers.find(name).id}"
            except NotFoundError as error:
                if key != "NetworkMode":  # a network's is asked for at start only, as in dockerd
                    raise InvalidParameterError(error.message) from error  # a 404 would mean the image

    def _verify_host(self, host: dict[str, Any]) -> None:
        if host.get("Init") and not self._facts.init_binary:
            raise InvalidParameterError("--init needs docker-init, which is not installed on this host")
        security_options.words(host, strict=True)
        for asked in host["Ulimits"]:
            if asked["Soft"] > asked["Hard"] != -1:
                raise InvalidParameterError(
                    f"ulimit soft limit must be less than or equal to hard limit: {asked['Soft']} > {asked['Hard']}"
                )

    async def _make(
        self,
        id: str,
        name: str,
        image_name: str,
        image: Image,
        config: dict[str, Any],
        host: dict[str, Any],
        command: tuple[str, list[str]],
        points: list[MountPoint],
        networking: dict[str, Any],
        links: list[Link],
    ) -> Container:
        snapshotter, directory = self._options.snapshotter, self._containers.directory(id)
        rootfs = await writable_layer.prepare(self._containerd, snapshotter, id, image.chain_id)
        os.makedirs(directory, mode=0o710)
        container = Container(
            id=id,
            name=name,
            created_ns=time.time_ns(),
            image_id=image.id,
            image_name=image_name,
            path=command[0],
            args=command[1],
            config=config,
            host_config=host,
            networking=networking,
            links=links,
            mount_points=[],
            rootfs=rootfs,
            snapshotter=snapshotter,
            directory=directory,
            apparmor_profile=security_options.apparmor_profile(host, self._facts.apparmor),
        )
        try:
            _refuse_file_as_directory(config["WorkingDir"], RootfsFiles(rootfs))
            for point in points:
                container.mount_points.append(self._volumes.provide(point))
            await self._fill_volumes(container)
        except BaseException:
            shutil.rmtree(directory)
            self._volumes.remove_anonymous(container.mount_points, ())
            await writable_layer.remove(self._containerd, snapshotter, id)
            raise
        self._containers.add(container)
        return container

    async def _fill_volumes(self, container: Container) -> None:
        """Let new volumes begin with the image's files."""
        copies = writable_layer.volumes_to_fill(container)
        if copies:
            with self._volumes.used(container):
                await writable_layer.fill_volumes(container, copies)

    def _warnings(self, container: Container) -> list[str]:
        host = container.host_config
        warnings = self._networks.warnings(container)
        if self._facts.rootless:
            warnings += limits.warnings(host, host["CgroupParent"] or self._options.cgroup_parent)
        if host["OomKillDisable"] and not host["Memory"]:
            warnings.append(
                "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
                "running out of resources."
            )
        return warnings


def _complete_config(body: dict[str, Any], image: dict[str, Any], id: str, host: dict[str, Any]) -> dict[str, Any]:
    """The request's Config with what it leaves to the image (moby: image/cache merge)."""
    config: dict[str, Any] = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": [],
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": {},
    }
    apart = ("HostConfig", "NetworkingConfig")
    config.update({key: value for key, value in body.items() if key not in apart and value is not None})
    for key in ("Cmd", "Entrypoint"):
        if isinstance(config[key], str):
            config[key] = [config[key]]
    # An entrypoint of the request's own makes the image's Cmd meaningless; `--entrypoint ""` ([""]) clears it.
    if not config["Entrypoint"]:
        config["Cmd"] = config["Cmd"] or image.get("Cmd")
        config["Entrypoint"] = image.get("Entrypoint")
    elif config["Entrypoint"] == [""]:
        config["Entrypoint"] = None
    of_request = {entry.partition("=")[0] for entry in config["Env"]}
    inherited = [entry for entry in image.get("Env") or [] if entry.partition("=")[0] not in of_request]
    config["Env"] = config["Env"] + inherited
    config["Labels"] = {**(image.get("Labels") or {}), **config["Labels"]}
    for key in ("User", "WorkingDir", "StopSignal"):
        if not config.get(key) and image.get(key):
            config[key] = image[key]
    for key in ("Volumes", "ExposedPorts"):
        if image.get(key):
            config[key] = {**image[key], **(config.get(key) or {})}
    config["Volumes"] = config["Volumes"] or None
    _check_config(config)
    if not config["Hostname"]:
        config["Hostname"] = os.uname().nodename if "host" in (host["UTSMode"], host["NetworkMode"]) else id[:12]
    if body.get("Hostname") and host["UTSMode"] == "host":
        raise InvalidParameterError("conflicting options: hostname and the UTS mode")
    if body.get("Hostname") and host["NetworkMode"].startswith("container:"):
        raise InvalidParameterError("conflicting options: hostname and the network mode")
    return config


def _check_config(config: dict[str, Any]) -> None:
    for entry in config["Env"]:
        if not isinstance(entry, str) or not entry.partition("=")[0]:
            raise InvalidParameterError(f"invalid environment variable: {entry}")
    if config["WorkingDir"]:
        if not config["WorkingDir"].startswith("/"):
            raise InvalidParameterError(
                f"the working directory '{config['WorkingDir']}' is invalid, it needs to be an absolute path"
            )
        config["WorkingDir"] = os.path.normpath(config["WorkingDir"])
    if config.get("StopSignal"):
        parse_signal(config["StopSignal"])
    if (config.get("Healthcheck") or {}).get("Test", ["NONE"])[:1] != ["NONE"]:
        raise NotModeledError("health checks: not modelled by the glassbottom daemon; leave --health-cmd away")


def _refuse_file_as_directory(path: str, files: RootfsFiles) -> None:
    """Refuse a working directory that is a file of the image, or in one (moby: Container.SetupWorkingDirectory).

    dockerd makes a missing one here, in the mounted root; ours is made by the OCI runtime when the container starts.
    """
    parts = path.split("/")
    for count in range(2, len(parts) + 1):
        inside = files.resolve("/".join(parts[:count]))
        found = None if inside is None else files.locate(inside)
        if found is None:
            return
        if not os.path.isdir(found):
            whole = count == len(parts)
            raise ServerError(f"Cannot mkdir: {path} is not a directory" if whole else f"lstat {path}: not a directory")


def _command(config: dict[str, Any]) -> tuple[str, list[str]]:
    words = [*(config["Entrypoint"] or []), *(config["Cmd"] or [])]
    if not words:
        raise InvalidParameterError("No command specified")
    return words[0], words[1:]

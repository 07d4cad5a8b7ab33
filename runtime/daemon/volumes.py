"""Named and anonymous volumes: directories that outlive containers (moby: volume/local, volume/service).

A volume is DATA_ROOT/volumes/NAME/_data and a record beside it; the disk is the only list. What a new one begins with
is copied by `writable_layer`; volumes that are mounted, by `volume_options`. Left out: other drivers.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from runtime.daemon import volume_options
from runtime.daemon.container import Container
from runtime.daemon.errors import ConflictError, InvalidParameterError, NotFoundError, ServerError
from runtime.daemon.events import EventLog
from runtime.daemon.mount_calls import is_mounted, unmount
from runtime.daemon.mount_points import MountPoint
from runtime.daemon.timestamps import utc_offset_free_date
from runtime.daemon.volume_options import VolumeMounts

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class VolumeStore:
    """Makes, lists and removes volumes."""

    def __init__(self, data_root: str, events: EventLog) -> None:
        self._root = os.path.join(data_root, "volumes")
        self._events = events
        self._mounts = VolumeMounts()
        os.makedirs(self._root, mode=0o701, exist_ok=True)

    def provide(self, point: MountPoint) -> MountPoint:
        """Make sure that a mount point has a source: a volume is made, so is a missing directory of `-v`."""
        if point.type == "volume":
            name = point.volume or secrets.token_hex(32)
            if not os.path.isdir(self._data(name)):
                self.create(name, point.labels, point.driver, point.driver_options)
            return replace(point, volume=name, source=self._data(name))
        if point.type == "bind" and point.make_source and not os.path.exists(point.source):
            os.makedirs(point.source, mode=0o755)
        return point

    def create(
        self,
        name: str,
        labels: dict[str, str] | None,
        driver: str = "local",
        options: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Make a volume, or find the one of that name."""
        name = name or secrets.token_hex(32)
        if driver not in ("", "local"):
            raise NotFoundError(f'create {name}: error looking up volume plugin {driver}: plugin "{driver}" not found')
        if len(name) == 1:
            raise InvalidParameterError(
                f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
            )
        if not _NAME.fullmatch(name):
            raise InvalidParameterError(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
            )
        if not os.path.isdir(self._data(name)):
            volume_options.verify(name, options or {})
            record = {"created_ns": time.time_ns(), "labels": labels, "options": options or None}
            # The record first: it is the directory that says that there is a volume, and without its options it
            # would be another one.
            folder = os.path.join(self._root, name)
            os.makedirs(folder, mode=0o755, exist_ok=True)
            with open(os.path.join(folder, "opts.json"), "w", encoding="utf-8") as file:
                json.dump(record, file)
            os.mkdir(self._data(name), mode=0o755)
            self._events.publish("volume", "create", name, {"driver": "local"})
        return self.inspect(name)

    def all(self) -> list[dict[str, Any]]:
        """Every volume."""
        return [self.inspect(name) for name in sorted(os.listdir(self._root)) if os.path.isdir(self._data(name))]

    def inspect(self, name: str) -> dict[str, Any]:
        """One volume as the API shows it."""
        if "/" in name or not os.path.isdir(self._data(name)):
            raise NotFoundError(f"get {name}: no such volume")
        return {
            "CreatedAt": utc_offset_free_date(int(self._record(name).get("created_ns", 0))),
            "Driver": "local",
            "Labels": self._record(name).get("labels"),
            "Mountpoint": self._data(name),
            "Name": name,
            "Options": self._record(name).get("options"),
            "Scope": "local",
        }

    def remove(self, name: str, users: list[str]) -> None:
        """Delete a volume that no container uses."""
        self.inspect(name)
        if users:
            raise ConflictError(f"remove {name}: volume is in use - [{', '.join(users)}]")
        self._unmount(name)
        shutil.rmtree(os.path.join(self._root, name))
        self._events.publish("volume", "destroy", name, {"driver": "local"})

    def _unmount(self, name: str) -> None:
        """Take off what a daemon that was killed has left mounted: it is not the volume's to delete."""
        data = self._data(name)
        unmount(data)
        if is_mounted(data):
            raise ConflictError(f"remove {name}: something is mounted on {data}; umount it first")

    def remove_anonymous(self, points: Iterable[MountPoint], others: Iterable[MountPoint]) -> None:
        """Delete the volumes that go with a container, but for those that others have borrowed from it."""
        borrowed = {point.volume for point in others}
        for point in points:
            if point.anonymous and point.volume not in borrowed:
                self.remove(point.volume, [])

    @contextlib.contextmanager
    def used(self, container: Container) -> Iterator[None]:
        """Mount them for as long as their files are looked at from outside."""
        user = f"{container.id} {secrets.token_hex(8)}"
        mounted = self._with_options(container)
        try:
            for directory, options in mounted:
                self._mounts.use(directory, options, user)
            yield
        finally:
            for directory, _ in mounted:
                self._mounts.leave(directory, user)

    def use(self, container: Container) -> None:
        """Mount those of a container's volumes that have options; ServerError if the kernel refuses."""
        for directory, options in self._with_options(container):
            try:
                self._mounts.use(directory, options, container.id)
            except ServerError as error:
                raise ServerError(f"error while mounting volume '{directory}': {error.message}") from error

    def keep(self, container: Container) -> None:
        """Go on with those that an earlier daemon has mounted for a container that still runs."""
        for directory, _ in self._with_options(container):
            self._mounts.keep(directory, container.id)

    def leave(self, container: Container) -> None:
        """Unmount those that only this container used."""
        for directory, _ in self._with_options(container):
            self._mounts.leave(directory, container.id)

    def _with_options(self, container: Container) -> list[tuple[str, dict[str, str]]]:
        named = dict.fromkeys(point.volume for point in container.mount_points if point.volume)
        recorded = [(name, self._record(name).get("options")) for name in named]
        return [(self._data(name), options) for name, options in recorded if options]

    def _record(self, name: str) -> dict[str, Any]:
        try:
            with open(os.path.join(self._root, name, "opts.json"), encoding="utf-8") as file:
                record: dict[str, Any] = json.load(file)
        except (OSError, ValueError):
            return {}
        return record

    def _data(self, name: str) -> str:
        return os.path.join(self._root, name, "_data")

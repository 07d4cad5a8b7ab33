"""Named and anonymous volumes: directories that outlive containers (moby: volume/local, volume/service).

A volume is DATA_ROOT/volumes/NAME/_data and a record beside it; the disk is the only list. What a new one begins with
is copied by `writable_layer`. Left out: other drivers, and the local driver's options.
"""

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from runtime.daemon.errors import ConflictError, InvalidParameterError, NotFoundError
from runtime.daemon.events import EventLog
from runtime.daemon.mount_points import MountPoint
from runtime.daemon.timestamps import utc_offset_free_date

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


class VolumeStore:
    """Makes, lists and removes volumes."""

    def __init__(self, data_root: str, events: EventLog) -> None:
        self._root = os.path.join(data_root, "volumes")
        self._events = events
        os.makedirs(self._root, mode=0o701, exist_ok=True)

    def provide(self, point: MountPoint) -> MountPoint:
        """Make sure that a mount point has a source: a volume is made, so is a missing directory of `-v`."""
        if point.type == "volume":
            name = point.volume or secrets.token_hex(32)
            if not os.path.isdir(self._data(name)):
                self.create(name, point.labels, point.driver)
            return replace(point, volume=name, source=self._data(name))
        if point.type == "bind" and point.make_source and not os.path.exists(point.source):
            os.makedirs(point.source, mode=0o755)
        return point

    def create(self, name: str, labels: dict[str, str] | None, driver: str = "local") -> dict[str, Any]:
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
            os.makedirs(self._data(name), mode=0o755)
            record = {"created_ns": time.time_ns(), "labels": labels}
            with open(os.path.join(self._root, name, "opts.json"), "w", encoding="utf-8") as file:
                json.dump(record, file)
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
            "Options": None,
            "Scope": "local",
        }

    def remove(self, name: str, users: list[str]) -> None:
        """Delete a volume that no container uses."""
        self.inspect(name)
        if users:
            raise ConflictError(f"remove {name}: volume is in use - [{', '.join(users)}]")
        shutil.rmtree(os.path.join(self._root, name))
        self._events.publish("volume", "destroy", name, {"driver": "local"})

    def remove_anonymous(self, points: Iterable[MountPoint], others: Iterable[MountPoint]) -> None:
        """Delete the volumes that go with a container, but for those that others have borrowed from it."""
        borrowed = {point.volume for point in others}
        for point in points:
            if point.anonymous and point.volume not in borrowed:
                self.remove(point.volume, [])

    def _record(self, name: str) -> dict[str, Any]:
        try:
            with open(os.path.join(self._root, name, "opts.json"), encoding="utf-8") as file:
                record: dict[str, Any] = json.load(file)
        except (OSError, ValueError):
            return {}
        return record

    def _data(self, name: str) -> str:
        return os.path.join(self._root, name, "_data")

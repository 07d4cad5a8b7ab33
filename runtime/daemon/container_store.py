"""All containers, in memory and on disk (moby: container/memory_store.go, daemon/names.go).

Each has a directory DATA_ROOT/containers/ID with its record `config.v2.json`, its log and the files that are mounted
over /etc/hosts, /etc/hostname and /etc/resolv.conf. A record is replaced by rename, so a daemon that is killed while it
writes leaves the old one whole. There is no fsync: what must be survived is the daemon's death, not the host's.
"""

import json
import os
import re
import shutil

from runtime.daemon.container import Container
from runtime.daemon.errors import ConflictError, InvalidParameterError, NotFoundError

_VALID_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_RECORD = "config.v2.json"


class ContainerStore:
    """Finds containers by what people call them."""

    def __init__(self, data_root: str) -> None:
        self._root = os.path.join(data_root, "containers")
        os.makedirs(self._root, mode=0o710, exist_ok=True)
        self._by_id: dict[str, Container] = {}
        self._reserved: dict[str, str] = {}
        """Name -> ID, from the moment a create request has asked for it."""

    def load(self) -> list[str]:
        """Read what an earlier daemon wrote; returns a sentence for each directory that holds no readable record."""
        complaints = []
        for known_id in sorted(os.listdir(self._root)):
            directory = self.directory(known_id)
            try:
                with open(os.path.join(directory, _RECORD), encoding="utf-8") as file:
                    container = Container.from_json(json.load(file), directory)
            except FileNotFoundError:
                # Killed between mkdir and the first record: the container never was.
                shutil.rmtree(directory, ignore_errors=True)
            except (ValueError, TypeError, KeyError) as error:
                complaints.append(f"container {known_id}: unreadable record: {error}")
            else:
                self._by_id[container.id] = container
                self._reserved[container.name] = container.id
        return complaints

    def directory(self, id: str) -> str:
        """Where a container's files are."""
        return os.path.join(self._root, id)

    def save(self, container: Container) -> None:
        """Write its record."""
        path = os.path.join(container.directory, _RECORD)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(container.to_json(), file, separators=(",", ":"))
        os.replace(f"{path}.new", path)

    def add(self, container: Container) -> None:
        """From now on it can be found."""
        self._by_id[container.id] = container
        self.save(container)

    def discard(self, container: Container) -> None:
        """Forget it and delete its files."""
        self._by_id.pop(container.id, None)
        self.release_name(container.name)
        shutil.rmtree(container.directory, ignore_errors=True)

    def all(self) -> list[Container]:
        """Every container, newest first."""
        return sorted(self._by_id.values(), key=lambda container: container.created_ns, reverse=True)

    def find(self, name: str) -> Container:
        """By ID, name, /name, or the unique beginning of an ID."""
        wanted = name.removeprefix("/")
        if wanted in self._by_id:
            return self._by_id[wanted]
        if (known_id := self._reserved.get(wanted)) in self._by_id:
            return self._by_id[str(known_id)]
        found = [container for known_id, container in self._by_id.items() if wanted and known_id.startswith(wanted)]
        if len(found) > 1:
            raise InvalidParameterError(f"Multiple IDs found with provided prefix: {wanted}")
        if not found:
            raise NotFoundError(f"No such container: {name}")
        return found[0]

    def get(self, id: str) -> Container | None:
        """By full ID only."""
        return self._by_id.get(id)

    def owns(self, id: str) -> bool:
        """Whether a container has this ID: one that is being created, or whose record cannot be read, as well."""
        return id in self._by_id or id in self._reserved.values() or os.path.isdir(self.directory(id))

    # Names -----------------------------------------------------------------------------------------------

    def reserve_name(self, name: str, id: str) -> str:
        """Take a name for a container, or refuse in dockerd's words."""
        wanted = name.removeprefix("/")
        if not _VALID_NAME.fullmatch(wanted):
            raise InvalidParameterError(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        if wanted in self._reserved:
            raise ConflictError(
                f'Conflict. The container name "/{wanted}" is already in use by container "{self._reserved[wanted]}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        self._reserved[wanted] = id
        return wanted

    def release_name(self, name: str) -> None:
        """Let somebody else have it."""
        self._reserved.pop(name, None)

    def is_taken(self, name: str) -> bool:
        """Whether a container has the name."""
        return name in self._reserved

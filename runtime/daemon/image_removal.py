"""`docker rmi`: what may go, what goes with it (moby: daemon/images/image_delete.go).

A name is only a name: removing one untags. The image itself goes with its last tag, or when it is meant by its ID:

    who is in the way                                by its last name               by its ID
    a running container                              refused; forced: untagged      refused, forced or not
    a stopped container                              refused; forced: removed       refused; forced: removed
    tags in several repositories                     (not its last name)            refused; forced: removed

Names with a digest (`alpine@sha256:...`) go with the last tag of their repository.
"""

from dataclasses import dataclass

from runtime.api.containerd import snapshots_pb2
from runtime.daemon.container import Container
from runtime.daemon.container_store import ContainerStore
from runtime.daemon.containerd_client import Containerd, GRPCError, Status
from runtime.daemon.errors import ConflictError
from runtime.daemon.events import EventLog
from runtime.daemon.image_names import ImageNames
from runtime.daemon.images import Image, ImageStore, chain_ids
from runtime.daemon.references import familiar, parse


@dataclass(frozen=True)
class ImageRemoval:
    """Takes names and images away."""

    containerd: Containerd
    snapshotter: str
    store: ImageStore
    names: ImageNames
    containers: ContainerStore
    events: EventLog

    async def remove(self, asked: str, force: bool) -> list[dict[str, str]]:
        """Remove what was asked for; returns what was done as the API lists it. Raises ConflictError."""
        image = await self.store.with_all_names(await self.store.find(asked))
        users = [container for container in self.containers.all() if container.image_id == image.id]
        if by_id(asked, image):
            going = image.names
            self._check(image, users, force, one_repository=is_one_reference(going))
            untagged = going if is_one_reference(going) or force else []
            return await self._go(image, untagged, list(image.targets))
        name = str(parse(asked))
        if not force and users and is_one_reference(image.names):
            raise ConflictError(
                f'conflict: unable to remove repository reference "{asked}" (must force) - container '
                f"{users[0].id[:12]} is using its referenced image {image.id[7:19]}"
            )
        untagged = [name, *_orphaned(name, image.names)]
        if set(untagged) != set(image.names):
            return await self._go(image, untagged, untagged)
        if any(user.state.running for user in users):
            await self.names.take(image, untagged, keep=True)
            return self._report(image, untagged)
        return await self._go(image, untagged, list(image.targets))

    def _check(self, image: Image, users: list[Container], force: bool, one_repository: bool) -> None:
        running = next((user for user in users if user.state.running), None)
        short = image.id[7:19]
        if running:
            raise ConflictError(
                f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container "
                f"{running.id[:12]}"
            )
        why = "" if one_repository else "image is referenced in multiple repositories"
        if users and not why:
            why = f"image is being used by stopped container {users[0].id[:12]}"
        if why and not force:
            raise ConflictError(f"conflict: unable to delete {short} (must be forced) - {why}")

    async def _go(self, image: Image, untagged: list[str], going: list[str]) -> list[dict[str, str]]:
        await self.names.take(image, going, keep=False)
        report = self._report(image, untagged)
        if set(going) == set(image.targets):
            self.events.publish("image", "delete", image.id, {"name": image.id})
            report.append({"Deleted": image.id})
            report += [{"Deleted": chain_id} for chain_id in await self._removed_layers(image)]
        return report

    def _report(self, image: Image, untagged: list[str]) -> list[dict[str, str]]:
        for _ in untagged:
            self.events.publish("image", "untag", image.id, {"name": image.id})
        return [{"Untagged": familiar(name)} for name in untagged]

    async def _removed_layers(self, image: Image) -> list[str]:
        """Which layers have gone with the image, the highest first; others still have a use."""
        removed = []
        for chain_id in reversed(chain_ids(image.diff_ids)):
            request = snapshots_pb2.StatSnapshotRequest(snapshotter=self.snapshotter, key=chain_id)
            try:
                await self.containerd.snapshots.call("Stat", request)
                break
            except GRPCError as error:
                if error.status is not Status.NOT_FOUND:
                    raise
                removed.append(chain_id)
        return removed


def by_id(asked: str, image: Image) -> bool:
    """Whether the image was asked for by its ID rather than by a name."""
    return image.id.startswith(asked) or image.id.removeprefix("sha256:").startswith(asked)


def is_one_reference(names: list[str]) -> bool:
    """Whether an image has at most one tag, and a digest at most of the same repository."""
    tags = [name for name in names if "@" not in name]
    repositories = {name.partition("@")[0] for name in names if "@" in name}
    if len(names) <= 1:
        return True
    of_tag = {parse(tag).repository for tag in tags}
    return len(tags) <= 1 and len(repositories) == 1 and (not tags or of_tag == repositories)


def _orphaned(name: str, names: list[str]) -> list[str]:
    """The names by digest that are left alone when the last tag of their repository goes."""
    gone = parse(name)
    if gone.digest:
        return []
    same = [other for other in names if other != name and parse(other).repository == gone.repository]
    return same if all("@" in other for other in same) else []

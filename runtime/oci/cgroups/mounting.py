"""The mount of type "cgroup" in a container: its own view of the hierarchies.

With a cgroup namespace (cgroup_namespaces(7)) the kernel's own mount shows only what is below the container's group.
Without one, the container's group is bind-mounted from the host's tree, to the same effect.
On v1 that is a tmpfs with one mount per hierarchy and links for controllers that share one, as on a host.
"""

import os

from runtime.oci import in_root
from runtime.oci import syscalls as sc
from runtime.oci.cgroups import probe


def in_user_namespace() -> bool:
    """Whether we are root only inside a user namespace: then devices, cgroups and sysfs may be out of reach."""
    with open("/proc/self/uid_map") as file:
        return file.read().split() != ["0", "0", "4294967295"]


class Mounter:
    """Mounts the cgroup tree below one target."""

    def __init__(self, *, own_namespace: bool) -> None:
        self.own_namespace = own_namespace
        self.hierarchies = probe.probe()

    def mount(self, root: str, target: str, flags: int) -> None:
        """Fill the target, which exists and was judged: from here on no link is taken to it."""
        if self.hierarchies.v1:
            with in_root.Opened(root, target, links=False) as path:
                # writable for now: the directories of the hierarchies are made in it
                sc.mount("tmpfs", path, "tmpfs", flags & ~sc.MS_RDONLY, "mode=755")
            self._mount_v1(root, target, flags)
        elif self.hierarchies.unified:
            self._mount_one([""], root, target, "cgroup2", self.hierarchies.unified, flags)

    def _mount_v1(self, root: str, target: str, flags: int) -> None:
        together: dict[str, list[str]] = {}
        for controller, mount_point in self.hierarchies.v1.items():
            together.setdefault(mount_point, []).append(controller)
        for mount_point, controllers in together.items():
            name = os.path.basename(mount_point)
            place = f"{target}/{name}"
            with in_root.Opened(root, target, links=False) as path:
                os.makedirs(os.path.join(path, name), 0o755, exist_ok=True)
            self._mount_one(controllers, root, place, "cgroup", mount_point, flags)
            for controller in controllers:
                if controller != name and not controller.startswith("name="):
                    with in_root.Opened(root, target, links=False) as path:
                        os.symlink(name, os.path.join(path, controller))

    def _mount_one(
        self, controllers: list[str], root: str, place: str, filesystem_type: str, host_mount: str, flags: int
    ) -> None:
        """One hierarchy; controllers that share one can only be mounted together."""
        with in_root.Opened(root, place, links=False) as path:
            if self.own_namespace:
                try:
                    sc.mount("cgroup", path, filesystem_type, flags, ",".join(controllers))
                    return
                except PermissionError:
                    pass  # a user namespace that does not own the cgroup namespace: show what the host shows
            own = self.hierarchies.own.get(controllers[0], "/")
            sc.mount(os.path.join(host_mount, own.lstrip("/")), path, "", sc.MS_BIND | sc.MS_REC)
        # opened anew, for the fd above leads under the new mount
        with in_root.Opened(root, place, links=False) as path:
            sc.mount("", path, "", sc.MS_REMOUNT | sc.MS_BIND | flags)

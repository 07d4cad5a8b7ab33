"""Which cgroup hierarchies this host has, from /proc/self/mountinfo and /proc/self/cgroup.

    v1       one mount per controller (or a few joined, "cpu,cpuacct")
    v2       one "unified" mount of type cgroup2
    hybrid   v1 mounts, and a cgroup2 mount beside them that has the leftover controllers, often none

On a hybrid host limits go to v1, and the container's processes are put in the unified tree as well, so that systemd
and others who look there find them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

V1_CONTROLLERS = frozenset(
    {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"}
    | {"hugetlb", "net_cls", "net_prio", "perf_event", "rdma", "misc"}
)


class Hierarchies:
    """Where the hierarchies are mounted and which group we are in ourselves."""

    __slots__ = ("own", "unified", "v1")

    def __init__(self) -> None:
        self.v1: dict[str, str] = {}
        """Controller (or name=systemd) -> mount point."""
        self.unified = ""
        """Mount point of cgroup2, "" without one."""
        self.own: dict[str, str] = {}
        """Controller -> our own group as seen from the mount point; "" for the unified one."""

    @property
    def layout(self) -> str:
        """v1, v2, hybrid or none."""
        if self.v1:
            return "hybrid" if self.unified else "v1"
        return "v2" if self.unified else "none"


def probe() -> Hierarchies:
    """Look at this host."""
    with open("/proc/self/mountinfo") as mountinfo, open("/proc/self/cgroup") as cgroup:
        return parse(mountinfo, cgroup)


def parse(mountinfo: "Iterable[str]", cgroup: "Iterable[str]") -> Hierarchies:
    """Pure part: the lines of the two files (proc_pid_mountinfo(5), cgroups(7))."""
    found = Hierarchies()
    mount_roots: dict[str, str] = {}
    for line in mountinfo:
        left, _, right = line.rstrip("\n").partition(" - ")
        fields, (filesystem_type, _, super_options) = left.split(" "), right.split(" ")[:3]
        mount_root, mount_point = fields[3], fields[4]
        if filesystem_type == "cgroup2" and not found.unified:
            found.unified = mount_point
            mount_roots[""] = mount_root
        elif filesystem_type == "cgroup":
            for option in super_options.split(","):
                if (option in V1_CONTROLLERS or option.startswith("name=")) and option not in found.v1:
                    found.v1[option] = mount_point
                    mount_roots[option] = mount_root
    for line in cgroup:
        _, controllers, path = line.rstrip("\n").split(":", 2)
        for controller in controllers.split(","):
            # a mount inside a container may begin at the container's own group
            root = mount_roots.get(controller, "/").rstrip("/")
            found.own[controller] = path[len(root) :] or "/" if root and (path + "/").startswith(root + "/") else path
    return found


def paths(found: Hierarchies, cgroups_path: str, container_id: str) -> dict[str, str]:
    """The directory of a container's group in every hierarchy ("" for the unified one).

    An absolute linux.cgroupsPath counts from the mount points; a relative one, or none, from the group we are in.
    """
    mounts = dict(found.v1)
    if found.unified:
        mounts[""] = found.unified
    result = {}
    for controller, mount_point in mounts.items():
        if cgroups_path.startswith("/"):
            inner = cgroups_path
        else:
            base = found.own.get(controller, "/")
            if controller == "" and found.layout == "v2" and base != "/":
                # on v2 a group with processes may not give controllers to its children: be a sibling, not a child
                base = base.rpartition("/")[0] or "/"
            inner = base.rstrip("/") + "/" + (cgroups_path or container_id)
        parts = [part for part in inner.split("/") if part not in ("", ".", "..")]
        result[controller] = "/".join([mount_point.rstrip("/"), *parts])
    return result

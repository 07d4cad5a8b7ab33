"""The container's mounts: planned from config.json as a list of named calls, then applied (mount(2), mount_setattr(2)).

Counterpart: runc's libcontainer/rootfs_linux.go `mountToRootfs`. `plan` is pure: what it returns can be printed, tested
and compared without root. A target is written as the container will see it; `apply` resolves it inside the root file
system with openat2(RESOLVE_IN_ROOT) and mounts on /proc/self/fd/N, so that no symbolic link in the image can lead a
mount out of the container (CVE-2019-19921, CVE-2021-30465: a path that is checked first and used later can change
between).

Why some take several calls: the kernel ignores every flag but MS_REC when it makes a bind mount, and takes propagation
only in a call of its own. So: bind, then remount with the flags, then propagation.
"""

import os
import stat

from runtime.oci import id_maps, in_root, mount_options, mount_targets
from runtime.oci import syscalls as sc
from runtime.oci.errors import ConfigError, OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Step:
    """One call of the plan: its name, where, and the rest of its arguments by name."""

    __slots__ = ("arguments", "call", "target")

    def __init__(self, call: str, target: str, **arguments: "Any") -> None:
        self.call = call
        self.target = target
        self.arguments = arguments

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and repr(self) == repr(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        words = [repr(self.target), *(f"{name}={value!r}" for name, value in self.arguments.items())]
        return f"{self.call}({', '.join(words)})"


KEPT_BY_REMOUNT = sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC | sc.MS_RDONLY
"""In a user namespace a remount may add flags but not take away these, once the host has set them (they are locked)."""


def plan(
    config: "dict[str, Any]", *, bundle: str = "", user_namespace: bool = False, terminal_gid: int = 5
) -> list[Step]:
    """The calls that bring about config.json's `mounts`, in the order of the list (later ones may cover earlier)."""
    steps: list[Step] = []
    for index, mount in enumerate(config.get("mounts", [])):
        field = f"mounts[{index}]"
        target = os.path.normpath("/" + mount["destination"].lstrip("/"))
        options = mount_options.parse(mount.get("options", []), f"{field}.options")
        filesystem_type = mount.get("type", "")
        if filesystem_type == "bind" and not options.is_bind:
            options.flags |= sc.MS_BIND
        if options.is_bind:
            filesystem_type = "bind"
        mount_targets.check(target, filesystem_type, field)
        if filesystem_type == "bind":
            steps += _plan_bind(mount.get("source", ""), target, options, bundle, field)
        elif filesystem_type == "cgroup":
            steps.append(Step("mount_cgroup", target, flags=options.flags))
            if options.flags & sc.MS_RDONLY:
                steps.append(Step("seal_cgroup", target, flags=options.flags))
        elif filesystem_type:
            steps += _plan_filesystem(mount.get("source", filesystem_type), target, filesystem_type, options)
        else:
            raise ConfigError(f"{field}.type", "is required unless the mount is a bind mount")
        if options.recursive_set or options.recursive_clear:
            steps.append(Step("mount_setattr", target, set=options.recursive_set, clear=options.recursive_clear))
        steps += [Step("propagate", target, flags=flags) for flags in options.propagation]
    return steps


def _plan_bind(source: str, target: str, options: mount_options.Options, bundle: str, field: str) -> list[Step]:
    if not source:
        raise ConfigError(f"{field}.source", "a bind mount needs a source")
    source = os.path.join(bundle, source)
    recursive = options.flags & sc.MS_REC
    steps = [Step("mount", target, source=source, type="", flags=sc.MS_BIND | recursive, data="")]
    attributes = options.flags & ~(sc.MS_BIND | sc.MS_REC | sc.MS_REMOUNT)
    if attributes or options.clear:
        steps.append(Step("remount_bind", target, set=attributes, clear=options.clear))
    return steps


def _plan_filesystem(source: str, target: str, filesystem_type: str, options: mount_options.Options) -> list[Step]:
    data = ",".join(options.data)
    flags = options.flags
    if filesystem_type == "tmpfs" and "tmpcopyup" in options.extensions:
        # the copy needs a writable tmpfs, so read-only comes after it
        steps = [
            Step("mount_copy_up", target, source=source, type="tmpfs", flags=flags & ~sc.MS_RDONLY, data=data),
        ]
        if flags & sc.MS_RDONLY:
            steps.append(Step("remount", target, flags=flags, data=data))
        return steps
    if filesystem_type == "tmpfs" and target == "/dev" and flags & sc.MS_RDONLY:
        # devices are still to be made in it: rootfs.py seals it afterwards
        flags &= ~sc.MS_RDONLY
    return [Step("mount", target, source=source, type=filesystem_type, flags=flags, data=data)]


class Applier:
    """Carries out the steps against one root file system."""

    def __init__(
        self, root: str, warn: "Callable[[str], None]", *, user_namespace: bool, cgroup_mounter: "Any" = None
    ) -> None:
        self.root = root
        self.warn = warn
        self.user_namespace = user_namespace
        self.cgroup_mounter = cgroup_mounter
        """Mounts the cgroup tree on a path: differs between v1 and v2, see cgroups/mounting.py."""
        self.resolved: dict[str, str] = {}
        """Where the targets turned out to be: later steps go there, and not where a link leads by then."""
        self.type_at: dict[str, str] = {}
        """Which type lies on a place; what a later mount has covered is not in it."""

    def apply(self, steps: list[Step]) -> None:
        """Make the calls in order; an error names the target as the container would see it."""
        for step in steps:
            try:
                getattr(self, step.call)(step.target, **step.arguments)
            except OSError as error:
                why = reason(error)
                origin = step.arguments.get("source", "")
                origin = f"{origin} to " if origin else ""
                raise OCIError(f'error mounting {origin}rootfs at "{step.target}": {step.call}: {why}') from None

    def mount(self, target: str, source: str, type: str, flags: int, data: str) -> None:
        """Mount on the target, which is made if the image lacks it."""
        kind = stat.S_IFDIR
        if flags & sc.MS_BIND:
            kind = stat.S_IFDIR if os.path.isdir(source) else stat.S_IFREG
            os.stat(source)  # a missing source is an error about the source, not about the target
        fd = self._open_target(target, "bind" if flags & sc.MS_BIND else type, kind, source)
        try:
            self._mount_on(fd, source, type, flags, self._mapped_owners(target, data))
        finally:
            os.close(fd)

    def _open_target(self, target: str, type: str, kind: int, source: str = "") -> int:
        """Open the target, and judge the place that it really is: the image's links may lead into /proc."""
        fd = in_root.open_or_create(self.root, target, kind)
        try:
            place = in_root.where(self.root, fd)
            problem = mount_targets.problem_of_place(target, place, type, source)
            if problem:
                raise OCIError(f'error mounting {source or type} to rootfs at "{target}": {problem}')
        except BaseException:
            os.close(fd)
            raise
        self.resolved[target] = place
        self.type_at = {at: of for at, of in self.type_at.items() if not at.startswith(place + "/")}
        self.type_at[place] = type
        return fd

    def dev_is_bind(self) -> bool:
        """Whether /dev, wherever the image's links lead it, shows a directory of the host: no place for our nodes."""
        try:
            fd = in_root.open_path(self.root, "/dev")
        except FileNotFoundError:
            return False  # still to be made, in the image
        try:
            place = in_root.where(self.root, fd)
        finally:
            os.close(fd)
        while place not in self.type_at and place != "/":
            place = os.path.dirname(place)
        return self.type_at.get(place) == "bind"

    def _again(self, target: str) -> in_root.Opened:
        """The top mount of a target that was mounted before."""
        return in_root.Opened(self.root, self.resolved[target], links=False)

    def _mapped_owners(self, target: str, data: str) -> str:
        """Leave out uid= and gid= of ids that our user namespace does not have: the kernel would say EINVAL."""
        words = data.split(",") if data else []
        kept = []
        for word in words:
            name, _, number = word.partition("=")
            if self.user_namespace and name in ("uid", "gid") and not id_maps.is_mapped(f"{name}_map", number):
                self.warn(f"mount {target}: {word} given up: this user namespace does not map it")
            else:
                kept.append(word)
        return ",".join(kept)

    def _mount_on(self, fd: int, source: str, type: str, flags: int, data: str) -> None:
        path = f"/proc/self/fd/{fd}"
        try:
            sc.mount(source, path, type, flags, data)
        except PermissionError:
            # a user namespace that does not own the network or pid namespace may not make these: show the host's
            if not self.user_namespace or type not in ("sysfs", "proc", "mqueue"):
                raise
            host = {"sysfs": "/sys", "proc": "/proc", "mqueue": "/dev/mqueue"}[type]
            sc.mount(host, path, "", sc.MS_BIND | sc.MS_REC)

    def remount_bind(self, target: str, set: int, clear: int) -> None:
        """Give a bind mount its own flags; what the mount below has and nobody asked to clear is kept."""
        with self._again(target) as path:
            present = os.statvfs(path).f_flag & KEPT_BY_REMOUNT
            try:
                sc.mount("", path, "", sc.MS_REMOUNT | sc.MS_BIND | set | (present & ~clear if clear else 0))
            except PermissionError:
                sc.mount("", path, "", sc.MS_REMOUNT | sc.MS_BIND | set | present)

    def remount(self, target: str, flags: int, data: str) -> None:
        """Change the flags of a file system that was just mounted."""
        with self._again(target) as path:
            sc.mount("", path, "", flags | sc.MS_REMOUNT, data)

    def propagate(self, target: str, flags: int) -> None:
        """Make the mount private, slave, shared or unbindable (mount_namespaces(7))."""
        with self._again(target) as path:
            sc.mount("", path, "", flags)

    def mount_setattr(self, target: str, set: int, clear: int) -> None:
        """Attributes for a whole tree of mounts, which mount(2) cannot do (Linux 5.12)."""
        with self._again(target) as path:
            sc.mount_setattr(-100, path, sc.AT_RECURSIVE, set, clear)

    def mount_copy_up(self, target: str, source: str, type: str, flags: int, data: str) -> None:
        """A tmpfs that starts with what the image has at its place."""
        under_fd = self._open_target(target, type, stat.S_IFDIR)
        try:
            self._mount_on(under_fd, source, type, flags, data)
            # the old fd still leads under the new mount: read there, write through the path
            with self._again(target) as path:
                from_fd = os.open(f"/proc/self/fd/{under_fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                to_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    in_root.copy_tree(from_fd, to_fd)
                finally:
                    os.close(from_fd)
                    os.close(to_fd)
        finally:
            os.close(under_fd)

    def mount_cgroup(self, target: str, flags: int) -> None:
        os.close(self._open_target(target, "cgroup", stat.S_IFDIR))
        self.cgroup_mounter.mount(self.root, self.resolved[target], flags)

    def seal_cgroup(self, target: str, flags: int) -> None:
        """Read-only only after the controllers below are in place."""
        with self._again(target) as path:
            sc.mount("", path, "", sc.MS_REMOUNT | sc.MS_BIND | flags)

"""`mounts` of config.json (moby: oci/defaults.go, daemon/oci_linux.go withMounts).

In order: the kernel's own file systems, then the user's mounts, then the three files that the daemon writes. A mount of
the user's on one of the default places (`-v /x:/dev/shm`) replaces it.
"""

from typing import TYPE_CHECKING, Any

from runtime.daemon import tmpfs_options
from runtime.daemon.container import Container
from runtime.daemon.mount_points import MountPoint

if TYPE_CHECKING:
    from runtime.daemon.spec import SpecInputs


def build(container: Container, inputs: "SpecInputs") -> list[dict[str, Any]]:
    """All mounts of a container, in the order in which the runtime makes them."""
    host = container.host_config
    own = {point.destination for point in inputs.mounts}
    mounts = [mount for mount in _defaults(container, inputs) if mount["destination"] not in own]
    if host.get("Init"):
        mounts.append(_mount("/sbin/docker-init", "bind", inputs.host.init_binary, "bind", "ro"))
    mounts += [_user_mount(point) for point in inputs.mounts]
    read_only = ["ro"] if host["ReadonlyRootfs"] else []
    for destination, source in inputs.etc_files.items():
        if destination not in own:
            mounts.append(_mount(destination, "bind", source, "rbind", *read_only, "rprivate"))
    return mounts


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _defaults(container: Container, inputs: "SpecInputs") -> list[dict[str, Any]]:
    host = container.host_config
    read_only = [] if host["Privileged"] else ["ro"]
    quiet = ("nosuid", "noexec", "nodev")
    # gid 5 is tty on every distribution; where it is not mapped the kernel would refuse it.
    tty_group = ["gid=5"] if inputs.host.mapped_ids > 5 else []
    mounts = [
        _mount("/proc", "proc", "proc", *quiet),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", *tty_group
        ),
        _sysfs(host, inputs, read_only),
    ]
    if host["CgroupnsMode"] == "private" or not inputs.host.rootless:
        # A user namespace may mount cgroup file systems only in a cgroup namespace of its own.
        mounts.append(_mount("/sys/fs/cgroup", "cgroup", "cgroup", *read_only, *quiet))
    mounts.append(_mqueue(host, inputs))
    if host["IpcMode"] != "none":
        mounts.append(_shm(host, inputs))
    return mounts


def _sysfs(host: dict[str, Any], inputs: "SpecInputs", read_only: list[str]) -> dict[str, Any]:
    if inputs.host.rootless and (host["NetworkMode"] == "host" or "network" in inputs.namespace_paths):
        # sysfs shows a network namespace, so mounting it takes rights over that namespace: bind the host's instead.
        return _mount("/sys", "none", "/sys", "rbind", "nosuid", "noexec", "nodev", *read_only)
    return _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", *read_only)


def _mqueue(host: dict[str, Any], inputs: "SpecInputs") -> dict[str, Any]:
    if inputs.host.rootless and host["IpcMode"] == "host":
        return _mount("/dev/mqueue", "bind", "/dev/mqueue", "rbind", "nosuid", "noexec", "nodev")
    return _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")


def _shm(host: dict[str, Any], inputs: "SpecInputs") -> dict[str, Any]:
    if host["IpcMode"] == "host":
        return _mount("/dev/shm", "bind", "/dev/shm", "rbind", "rprivate")
    if inputs.shm_path:
        return _mount("/dev/shm", "bind", inputs.shm_path, "rbind", "rprivate")
    return _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", f"size={host['ShmSize']}")


def _user_mount(point: MountPoint) -> dict[str, Any]:
    read_only = ["ro"] if point.read_only else []
    if point.type == "tmpfs":
        asked = tmpfs_options.read(point.options)
        defaults = [word for word in ("noexec", "nosuid", "nodev") if word.removeprefix("no") not in asked]
        return _mount(point.destination, "tmpfs", "tmpfs", *dict.fromkeys([*defaults, *asked, *read_only]))
    propagation = [point.propagation] if point.propagation else []
    return _mount(
        point.destination, "bind", point.source, "rbind" if point.recursive else "bind", *read_only, *propagation
    )

"""The container's init, from its first breath to execve: one flat list of steps whose order is the lesson.

Counterpart: runc's libcontainer/standard_init_linux.go `Init`. Who says what to whom is in sync.py. Runs in the new
namespaces, first below the host's root and then in its own.
"""

import fcntl
import os
import struct
import sys

from runtime.oci import devices, exec_fifo, hooks, mounts, namespaces, null_device, process_setup, rootfs, sync
from runtime.oci import syscalls as sc
from runtime.oci.cgroups import mounting
from runtime.oci.errors import describe
from runtime.oci.sysctl import write as write_sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


class Order:
    """What the parent decided and init carries out."""

    __slots__ = (
        "config",
        "console_fd",
        "fifo_fd",
        "join_keyring",
        "namespaces",
        "no_pivot",
        "own_fds",
        "prepared",
        "preserve_fds",
        "state",
    )

    def __init__(self, config: "dict[str, Any]", plan: namespaces.Plan, state: "dict[str, Any]") -> None:
        self.config = config
        self.namespaces = plan
        self.prepared = process_setup.Prepared(config["process"], config.get("linux", {}))
        self.state = state
        """The State object for the hooks that run in here."""
        self.console_fd = -1
        self.fifo_fd = -1
        self.own_fds = -1
        """/proc/self/fd, for a container that will have no /proc to reopen the FIFO through."""
        self.preserve_fds = 0
        self.no_pivot = False
        self.join_keyring = ""

    def fds_to_keep(self, channel_fd: int) -> set[int]:
        """The fds that init may hold: the rest of the caller's are closed at once."""
        own = {channel_fd, self.console_fd, self.fifo_fd, self.prepared.proc_fd} - {-1}
        return own | set(range(3, 3 + self.preserve_fds))


def main(order: Order, channel: sync.Channel) -> None:
    """Never returns: becomes the user's program, or reports why not and exits."""
    try:
        identity = set_up(order, channel)
    except Exception as error:  # noqa: BLE001 (this is a process's main: whatever it is, the parent shall know)
        channel.fail(error)
        os._exit(1)
    try:
        # blocks until `start`; everything that can be refused has been refused by now
        exec_fifo.wait_for_start(order.fifo_fd, order.own_fds)
        hooks.run("startContainer", order.config, order.state | {"status": "created", "pid": os.getpid()})
        process_setup.execute(order.prepared, identity)
    except Exception as error:  # noqa: BLE001 (as above; above this frame are the parent's, and not ours to return to)
        # `start` has returned long ago: the container's own stderr is the only place left to say it
        sys.stderr.write(f"exec {identity.path}: {describe(error)}\n")
        sys.stderr.flush()
    finally:
        os._exit(process_setup.EXEC_FORMAT_FAILED)


def set_up(order: Order, channel: sync.Channel) -> process_setup.Identity:
    """Everything up to READY."""
    config = order.config
    linux = config.get("linux", {})
    # before the container's files come in sight: from now on nobody in it may look into us (see executable.py)
    sc.prctl(sc.PR_SET_DUMPABLE, 0)
    os.setsid()
    channel.hear(sync.SET_UP)
    process_setup.close_host_fds(order.fds_to_keep(channel.fd))
    if order.join_keyring:
        process_setup.join_session_keyring(order.join_keyring)
    order.prepared.inside(channel.warn)
    if "network" in order.namespaces.make:
        bring_loopback_up()
    if config.get("hostname"):
        sc.sethostname(config["hostname"])
    if config.get("domainname"):
        sc.setdomainname(config["domainname"])
    # through the host's /proc, whose /proc/sys shows the namespaces of whoever looks; the image's might be anything
    write_sysctl(linux.get("sysctl", {}), order.namespaces, channel.warn if in_user_namespace(order) else None)

    root = config["root"]["path"]
    if not any(os.path.normpath(mount["destination"]) == "/proc" for mount in config.get("mounts", [])):
        order.own_fds = exec_fifo.hold_own_fds()
    prepare_root(order, root, channel.warn)
    channel.say(sync.RUN_HOOKS)
    channel.hear(sync.HOOKS_RAN)
    hooks.run("createContainer", config, order.state | {"pid": os.getpid()})
    if order.no_pivot:
        rootfs.move_and_chroot(root)
    else:
        rootfs.pivot(root)
    if order.console_fd >= 0:
        process = config["process"]
        uid = process.get("user", {}).get("uid", 0)
        from_console_size = process.get("consoleSize", {})
        _console().set_up(order.console_fd, from_console_size, uid, bind_console=True)
    else:
        null_device.reopen_null()
    seal_root(config)
    process_setup.reset_signals()
    identity = process_setup.become_user(order.prepared, channel.warn)
    channel.say(sync.READY)
    channel.close()
    return identity


def in_user_namespace(order: Order) -> bool:
    """Whether we are root of a user namespace only: some things are then out of reach, and are named and left."""
    return order.namespaces.has("user") or mounting.in_user_namespace()


def prepare_root(order: Order, root: str, warn: "Callable[[str], None]") -> None:
    """Mounts, devices and links, while the root is still a directory of the host's."""
    config = order.config
    linux = config.get("linux", {})
    rootfs.detach_from_host(root, linux.get("rootfsPropagation", ""))
    applier = mounts.Applier(
        root,
        warn,
        user_namespace=in_user_namespace(order),
        cgroup_mounter=mounting.Mounter(own_namespace=order.namespaces.has("cgroup")),
    )
    applier.apply(mounts.plan(config, bundle=order.state["bundle"]))
    if not applier.dev_is_bind():
        devices.create(root, devices.plan(config), bind=in_user_namespace(order))
        devices.link(root)
    rootfs.make_working_directory(root, config["process"]["cwd"])


def seal_root(config: "dict[str, Any]") -> None:
    """Take write access away. After the console, which makes /dev/console; before the user's uid, which could not."""
    linux = config.get("linux", {})
    rootfs.seal(
        readonly=config["root"].get("readonly", False),
        readonly_dev=any(
            os.path.normpath(mount["destination"]) == "/dev" and "ro" in mount.get("options", [])
            for mount in config.get("mounts", [])
        ),
    )
    rootfs.make_readonly(linux.get("readonlyPaths", []))
    rootfs.mask(linux.get("maskedPaths", []))
    rootfs.set_propagation(linux.get("rootfsPropagation", ""))


def bring_loopback_up() -> None:
    """A new network namespace has one interface, `lo`, and it is down (netdevice(7))."""
    fd = sc.socket(sc.AF_INET, sc.SOCK_DGRAM)
    try:
        request = fcntl.ioctl(fd, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))
        (flags,) = struct.unpack_from("H", request, 16)
        fcntl.ioctl(fd, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))
    finally:
        os.close(fd)


def _console() -> "Any":
    # imported by the parent (and so present here) only when there is a terminal: it costs 6 ms
    return sys.modules["runtime.oci.console"]

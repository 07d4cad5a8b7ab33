"""Recognisers for mounts, roots, special files, cgroups, and the files whose writing is a kernel call in disguise.

mount(2), mount_setattr(2), pivot_root(2), mknod(2), cgroups(7), user_namespaces(7), proc_sys(5).
"""

import re

from tracer.decode import flags
from tracer.decode.call import Call, Intent
from tracer.events import Scalar

_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_MOVE, _MS_REC = 1, 32, 4096, 8192, 16384
_PROPAGATION = sum(flags.PROPAGATION)
_S_IFMT, _S_IFIFO, _S_IFCHR, _S_IFBLK = 0o170000, 0o010000, 0o020000, 0o060000
_O_ACCMODE, _O_WRONLY, _O_RDWR, _O_PATH = 3, 1, 2, 0o10000000
_AT_RECURSIVE = 0x8000
_ATTR_RDONLY = 1

_KERNEL_PATH = re.compile(r"/(?:proc|sys)/.")
_FD_PATH = re.compile(r"/proc/(?:self|thread-self|\d+)/(?:task/\d+/)?fd/\d+$")
_CGROUP_PROCESSES = ("cgroup.procs", "cgroup.threads", "tasks")
_PROC_FILE = re.compile(r"^/proc/(?:self|thread-self|\d+)/(?:task/\d+/)?(.+)$")
_PROC_WRITES = {
    "uid_map": "UidMapped",
    "gid_map": "GidMapped",
    "setgroups": "SetgroupsSet",
    "oom_score_adj": "OomScoreSet",
    "timens_offsets": "TimeOffsetSet",
    "attr/exec": "LabelSet",
    "attr/apparmor/exec": "LabelSet",
    "loginuid": "LoginUidSet",
}


def _mount(call: Call) -> Intent:
    source, target, kind = call.text(0), call.text(1), call.text(2)
    bits, options = call.flags(3), call.text(4)
    if bits >> 16 == 0xC0ED:
        bits &= 0xFFFF  # the magic number of ancient times
    if bits & _PROPAGATION and not bits & (_MS_REMOUNT | _MS_BIND | _MS_MOVE):
        how = flags.bit_names(bits, flags.PROPAGATION)
        fields: dict[str, Scalar] = {"target": target, "propagation": how[0], "recursive": bool(bits & _MS_REC)}
        return Intent("PropagationSet", fields)
    named = flags.bits(bits, flags.MOUNT)
    if bits & _MS_MOVE:
        return Intent("MountMoved", {"source": source, "target": target})
    if bits & _MS_REMOUNT:
        return Intent("MountRemounted", {"target": target, "readonly": bool(bits & _MS_RDONLY), "flags": named})
    bind = bool(bits & _MS_BIND)
    fields = {"target": target, "source": source, "type": "bind" if bind else kind}
    return masked(Intent("MountAttached", {**fields, "flags": named, "options": options}))


def masked(mount: Intent) -> Intent:
    """The same mount as PathMasked, where it hides a path of the kernel's: a file or folder.

    Asked again when a path through /proc/self/fd has been resolved.
    """
    target, source = str(mount.fields["target"]), str(mount.fields["source"])
    through = {"through": mount.fields["through"]} if "through" in mount.fields else {}
    if mount.fields["type"] == "bind" and source == "/dev/null" and not target.endswith("/dev/null"):
        return Intent("PathMasked", {"path": target, "how": "/dev/null", **through})
    hidden = _KERNEL_PATH.search(target) and not _FD_PATH.match(target) and "/sys/fs/cgroup" not in target
    # runc makes it read-only, crun without room.
    empty = "MS_RDONLY" in str(mount.fields["flags"]).split("|") or mount.fields["options"] == "size=0k"
    if mount.fields["type"] == "tmpfs" and empty and hidden:
        return Intent("PathMasked", {"path": target, "how": "empty tmpfs", **through})
    return mount


def _move_mount(call: Call) -> Intent:
    target = call.path(3)
    return Intent("MountAttached", {"target": target, "source": call.path(1), "type": "", "flags": "", "options": ""})


def _mount_setattr(call: Call) -> Intent:
    raw = call.raw(3)
    set_bits = int.from_bytes(raw[:8], "little")
    propagation = int.from_bytes(raw[16:24], "little")
    recursive = bool(call.flags(2) & _AT_RECURSIVE)
    if propagation and not set_bits:
        how = flags.bit_names(propagation, flags.PROPAGATION)
        return Intent("PropagationSet", {"target": call.path(1), "propagation": "|".join(how), "recursive": recursive})
    named = flags.bits(set_bits, flags.MOUNT_ATTRIBUTES)
    readonly = bool(set_bits & _ATTR_RDONLY)
    return Intent("MountRemounted", {"target": call.path(1), "readonly": readonly, "flags": named})


def _umount(call: Call) -> Intent:
    lazy = bool(call.flags(1) & 2)
    return Intent("MountDetached", {"target": call.text(0), "lazy": lazy})


def _pivot_root(call: Call) -> Intent:
    return Intent("RootPivoted", {"new_root": call.text(0), "put_old": call.text(1)})


def _chroot(call: Call) -> Intent:
    return Intent("RootChanged", {"root": call.text(0)})


def _mknod(call: Call) -> Intent | None:
    at = 1 if call.name == "mknodat" else 0
    path = call.path(at) if at else call.text(0)
    mode, device = call.flags(at + 1), call.arguments[at + 2]
    kind = mode & _S_IFMT
    if kind == _S_IFIFO:
        if path.endswith("exec.fifo"):
            return Intent("ExecFifoMade", {"path": path})
        return Intent("FifoMade", {"path": path})
    if kind not in (_S_IFCHR, _S_IFBLK):
        return None
    major = (device >> 8 & 0xFFF) | (device >> 32 & 0xFFFFF000)
    minor = (device & 0xFF) | (device >> 12 & 0xFFFFFF00)
    return Intent(
        "DeviceMade", {"path": path, "kind": "char" if kind == _S_IFCHR else "block", "device": f"{major}:{minor}"}
    )


def _open(call: Call) -> Intent | None:
    if call.name == "open":
        place, mode = 0, call.flags(1)
    elif call.name == "openat":
        place, mode = 1, call.flags(2)
    else:
        place, mode = 1, int.from_bytes(call.raw(2)[:8], "little")
    value = call.data.get(str(place))
    if not value:
        return None
    # Early out: thousands of opens are made, and few names mean something.
    tail = value.split(b"\0", 1)[0][-12:]
    if tail.endswith(b"exec.fifo"):
        if mode & _O_PATH:
            return None
        how = "write" if mode & _O_ACCMODE == _O_WRONLY else "read"
        return Intent("ExecFifoOpened", {"path": call.path(place), "how": how})
    if tail.endswith(b"/config.json") or tail == b"config.json":
        if mode & _O_ACCMODE == 0:
            return Intent("ConfigOpened", {"path": call.path(place)})
        return None
    if tail.endswith((b"/dev/ptmx", b"pts/ptmx")):
        return Intent("ConsoleAllocated", {"path": call.path(place)})
    return None


def _mkdir(call: Call) -> Intent | None:
    path = call.path(1) if call.name == "mkdirat" else call.text(0)
    if not path.startswith("/sys/fs/cgroup/"):
        return None
    controller, _, group = path.removeprefix("/sys/fs/cgroup/").partition("/")
    return Intent("CgroupMade", {"path": path, "controller": controller, "cgroup": "/" + group})


def _write(call: Call) -> Intent | None:
    """Writes to control files; everything else is left to the streams."""
    # Who starts a container may be the last to know that its FIFO has been removed.
    file = call.files.get(0, "").removesuffix(" (deleted)")
    if file.startswith("/sys/fs/cgroup/"):
        return _cgroup_write(file, call.raw(1))
    if file.startswith("/proc/sys/"):
        name = file.removeprefix("/proc/sys/").replace("/", ".")
        return Intent("SysctlSet", {"name": name, "value": _value(call.raw(1))})
    if file.startswith("/proc/"):
        found = _PROC_FILE.match(file)
        action = _PROC_WRITES.get(found[1]) if found else None
        return Intent(action, {"path": file, "value": _value(call.raw(1))}) if action else None
    if file.endswith("exec.fifo"):
        return Intent("ExecFifoWritten", {"path": file})
    return None


def _cgroup_write(file: str, data: bytes) -> Intent:
    group, _, name = file.removeprefix("/sys/fs/cgroup").rpartition("/")
    value = _value(data)
    if name in _CGROUP_PROCESSES:
        return Intent("CgroupJoined", {"cgroup": group, "process": value})
    if name == "cgroup.subtree_control":
        return Intent("CgroupControllersEnabled", {"cgroup": group, "controllers": value})
    return Intent("CgroupLimitSet", {"cgroup": group, "file": name, "value": value})


def _value(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip(" \t\n\0")[:256]


RECOGNISERS = (
    ("mount", _mount, ("MountAttached", "MountMoved", "MountRemounted", "PathMasked", "PropagationSet")),
    ("move_mount", _move_mount, ("MountAttached",)),
    ("mount_setattr", _mount_setattr, ("MountRemounted", "PropagationSet")),
    ("umount2", _umount, ("MountDetached",)),
    ("pivot_root", _pivot_root, ("RootPivoted",)),
    ("chroot", _chroot, ("RootChanged",)),
    ("mknod mknodat", _mknod, ("ExecFifoMade", "FifoMade", "DeviceMade")),
    ("open openat openat2", _open, ("ExecFifoOpened", "ConfigOpened", "ConsoleAllocated")),
    ("mkdir mkdirat", _mkdir, ("CgroupMade",)),
    (
        "write pwrite64 writev",
        _write,
        (
            *("CgroupJoined", "CgroupControllersEnabled", "CgroupLimitSet", "SysctlSet", "ExecFifoWritten"),
            *_PROC_WRITES.values(),
        ),
    ),
)

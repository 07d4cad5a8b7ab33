"""`spec`: write a config.json to start from."""

import json
import os

from runtime.oci.commands import arguments
from runtime.oci.errors import OCIError
from runtime.oci.flags import Arguments, Flag
from runtime.oci.version import SPEC_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ABOUT = "Write a config.json to start from into the bundle: a shell, on ./rootfs, with the usual confinement."
FLAGS = (
    Flag("--bundle -b", "DIR", "the bundle (default: the working directory)"),
    Flag("--rootless", "", "for an ordinary user: a user namespace in which you are root"),
)
CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
NOT_EXECUTABLE = ["nosuid", "noexec", "nodev"]


@arguments.verb("spec", ABOUT, FLAGS, "")
def main(root: str, found: Arguments) -> int:
    path = os.path.join(found.value("bundle") or ".", "config.json")
    spec = default_spec()
    if "rootless" in found.switches:
        make_rootless(spec, os.geteuid(), os.getegid())
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise OCIError(f"file {path} exists: remove it first") from None
    with open(fd, "w") as file:
        file.write(json.dumps(spec, indent="\t") + "\n")
    return 0


def default_spec() -> "dict[str, Any]":
    """What `runc spec` writes, too."""
    return {
        "ociVersion": SPEC_VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "glassbottom",
        "mounts": [
            _mount("/proc", "proc", "proc"),
            _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            _mount(
                "/dev/pts",
                "devpts",
                "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            _mount("/dev/shm", "tmpfs", "shm", [*NOT_EXECUTABLE, "mode=1777", "size=65536k"]),
            _mount("/dev/mqueue", "mqueue", "mqueue", NOT_EXECUTABLE),
            _mount("/sys", "sysfs", "sysfs", [*NOT_EXECUTABLE, "ro"]),
            _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*NOT_EXECUTABLE, "relatime", "ro"]),
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": [
                *(f"/proc/{name}" for name in ("acpi", "asound", "kcore", "keys", "latency_stats", "timer_list")),
                *(f"/proc/{name}" for name in ("timer_stats", "sched_debug", "scsi")),
                "/sys/firmware",
            ],
            "readonlyPaths": [f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger")],
        },
    }


def _mount(destination: str, filesystem_type: str, source: str, options: "list[str] | None" = None) -> "dict[str, Any]":
    entry: dict[str, Any] = {"destination": destination, "type": filesystem_type, "source": source}
    if options:
        entry["options"] = options
    return entry


def make_rootless(spec: "dict[str, Any]", uid: int, gid: int) -> None:
    """Change what an ordinary user may not do: a user namespace is added, the network and the cgroup limits go."""
    linux = spec["linux"]
    linux["namespaces"] = [entry for entry in linux["namespaces"] if entry["type"] != "network"] + [{"type": "user"}]
    linux["uidMappings"] = [{"containerID": 0, "hostID": uid, "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": gid, "size": 1}]
    del linux["resources"]
    for mount in spec["mounts"]:
        # group 5 (tty) is not mapped
        mount["options"] = [option for option in mount.get("options", []) if option != "gid=5"]
    spec["mounts"] = [mount for mount in spec["mounts"] if mount["destination"] not in ("/sys", "/sys/fs/cgroup")]
    # sysfs belongs to whoever owns the network namespace, and that is the host's here
    spec["mounts"].append(_mount("/sys", "bind", "/sys", ["rbind", *NOT_EXECUTABLE, "ro"]))

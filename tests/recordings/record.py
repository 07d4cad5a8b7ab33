"""Make the golden recordings anew: `sudo .venv/bin/python -m tests.recordings.record` (needs runc, crun, ip, nft).

Each OCI runtime takes the same container through create, start and delete, with all that docker asks for: every
namespace, limits, masked paths, a terminal, another user, a seccomp filter. A second container has a user namespace.
The network is set up with ip(8) and nft(8). Only what the recognisers of actions look at is kept.
"""

import dataclasses
import gzip
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.daemon.seccomp import default_profile
from tests.oci_bundle import Box, become_subreaper, reap_strays
from tracer.codec import decode_event, decode_header, encode_event, encode_header
from tracer.decode.actions import ActionFold
from tracer.events import SyscallEntered, SyscallExited
from tracer.stages.layers import LayerFold

HERE = Path(__file__).resolve().parent
RUNTIMES = ("glassbottom-oci", "runc", "crun")
_NETLINK_CALLS = frozenset({"socket", "sendto", "sendmsg", "recvfrom", "recvmsg"})
_PLACE = "/tmp/golden"
_NETWORK = """
ip link add outer type veth peer name inner
ip link add bridge0 type bridge
ip link set outer master bridge0 up
ip addr add 172.30.0.1/16 dev bridge0
ip link set bridge0 up
unshare -n sleep 5 & other=$!
ip link set inner netns $other || { sleep 0.2; ip link set inner netns $other; }
ip route add 10.99.0.0/16 via 172.30.0.9
nft add table ip golden
nft add chain ip golden post '{ type nat hook postrouting priority 100; }'
nft add rule ip golden post ip saddr 172.30.0.0/16 oifname != bridge0 masquerade
nft add rule ip golden nosuch drop
ip rule add from 10.98.0.0/16 lookup 100
ss -x
ip link del bridge0
kill $other
"""


def full_config(config: dict[str, Any]) -> None:
    """All that docker asks of a runtime, and a terminal."""
    process, linux = config["process"], config["linux"]
    process |= {
        "terminal": True,
        "consoleSize": {"height": 24, "width": 80},
        "args": ["true"],
        "user": {"uid": 1000, "gid": 1000, "additionalGids": [1000, 5]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}],
        "noNewPrivileges": True,
        "oomScoreAdj": 100,
    }
    for kind in ("tmpfs", "mqueue"):
        where = {"tmpfs": "/run", "mqueue": "/dev/mqueue"}[kind]
        config["mounts"].append({"destination": where, "type": kind, "source": kind, "options": ["nosuid", "nodev"]})
    config["mounts"].append({"destination": "/data", "type": "bind", "source": f"{_PLACE}/data", "options": ["rbind"]})
    config["root"]["readonly"] = True
    linux["namespaces"] = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")]
    linux["resources"] |= {"memory": {"limit": 64 << 20}, "pids": {"limit": 50}, "cpu": {"shares": 512}}
    linux["maskedPaths"] = ["/proc/keys", "/proc/acpi"]
    linux["readonlyPaths"] = ["/proc/sys"]
    linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    linux["rootfsPropagation"] = "private"
    linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [
            {"names": ["mount", "umount2", "ptrace"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {
                "names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
            },
        ],
    }  # fmt: skip


def docker_filter_config(config: dict[str, Any]) -> None:
    """Docker's default profile: its filter has a part for each machine that the kernel can run."""
    held = config["process"]["capabilities"]["bounding"]
    config["process"]["args"] = ["true"]
    config["linux"]["seccomp"] = default_profile(held)


def user_namespace_config(config: dict[str, Any]) -> None:
    """Root inside is nobody outside; and the root is moved there instead of pivoted to, as on a ramdisk."""
    config["process"]["args"] = ["true"]
    linux = config["linux"]
    linux["namespaces"] = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "user")]
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    linux |= {"uidMappings": mapping, "gidMappings": mapping}
    linux["resources"] = {}


def record(argv: list[str], recording: Path) -> None:
    """One run under the engine. Raises CalledProcessError where the engine itself failed."""
    root = HERE.parents[1]
    environment = {"PATH": os.environ["PATH"], "HOME": "/root", "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    engine = [sys.executable, "-m", "tracer.engine", "--recording", str(recording), "--", *argv]
    subprocess.run(engine, cwd="/", env=environment, stdin=subprocess.DEVNULL, check=True, timeout=60)


def kept(recording: Path) -> Iterator[str]:
    """The recording's lines that the recognisers of actions look at, and all about processes."""
    with recording.open(encoding="utf-8") as file:
        header = decode_header(file.readline())
        names = {number: signature.name for number, signature in header.syscalls.items()}
        wanted = ActionFold(names, LayerFold()).exit_numbers
        wanted |= {number for number, name in names.items() if name in _NETLINK_CALLS}
        told = {number: header.syscalls[number] for number in sorted(wanted)}
        yield encode_header(dataclasses.replace(header, syscalls=told, created="2026-11-24T00:00:00Z"))
        for line in file:
            event = decode_event(line)
            if isinstance(event, SyscallEntered):
                continue
            if not isinstance(event, SyscallExited) or (event.number in wanted and event.result >= 0):
                yield encode_event(event)


def container(runtime: str, name: str) -> None:
    """One runtime's container, of one of the kinds, into a golden recording."""
    directory = Path(_PLACE)
    (directory / "data").mkdir(parents=True)
    console = socket.socket(socket.AF_UNIX)
    console.bind(f"{_PLACE}/console.sock")
    console.listen()
    box = Box(runtime, directory)
    try:
        flags = ""
        if name == "full":
            full_config(box.config)
            flags = f"--console-socket {_PLACE}/console.sock"
        elif name == "docker-filter":
            docker_filter_config(box.config)
        else:
            user_namespace_config(box.config)
            flags = "--no-pivot"
            shutil.chown(box.rootfs, 100000, 100000)
        box.write_config()
        call = " ".join(box.argv)
        script = f"""
            {call} create --bundle {_PLACE} --pid-file {_PLACE}/pid {flags} {box.id} && {call} start {box.id}
            while grep -q 'State:.[^Z]' /proc/$(cat {_PLACE}/pid)/status 2>/dev/null; do sleep 0.05; done
            {call} delete --force {box.id}"""
        save(["busybox", "sh", "-c", script], f"{runtime}-{name}")
        reap_strays()
        box.close()
    finally:
        console.close()
        shutil.rmtree(directory)


def save(argv: list[str], name: str) -> None:
    """Record, thin out, compress."""
    with tempfile.TemporaryDirectory(prefix="gb-golden-") as place:
        recording = Path(place) / "recording.jsonl"
        record(argv, recording)
        # No time of making in the file: the same content is the same file.
        packed = gzip.compress("".join(kept(recording)).encode(), mtime=0)
    (HERE / f"{name}.jsonl.gz").write_bytes(packed)
    sys.stdout.write(f"{name}: {len(packed)} bytes\n")


def main() -> None:
    """All of them."""
    become_subreaper()
    for runtime in RUNTIMES:
        for name in ("full", "user-namespace"):
            container(runtime, name)
    container("runc", "docker-filter")
    save(["unshare", "-n", "sh", "-c", _NETWORK], "network")


if __name__ == "__main__":
    main()

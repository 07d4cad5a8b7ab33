"""A real dockerd with its containerd, private, and in the host's network, where it reaches what listens on 127.0.0.1.

It makes no bridge and no rules there; what it leaves (its own namespace's mount, its cgroup) is taken away.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.oci_bundle import cgroups_named
from tests.unix_sockets import wait_for_socket

_ALONE = ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]


@contextmanager
def dockerd(folder: Path, *flags: str) -> Iterator[str]:
    """Start it in a folder with a short name; the value is its DOCKER_HOST."""
    containerd_socket, docker_socket = f"{folder}/c.sock", f"{folder}/d.sock"
    cgroup = f"gbd-{os.getpid()}"
    containerd = ["containerd", "--config", "/dev/null", "--root", f"{folder}/cr", "--state", f"{folder}/cs"]
    dockerd = [
        "dockerd",
        "--data-root",
        f"{folder}/data",
        "--exec-root",
        f"{folder}/exec",
        "--pidfile",
        f"{folder}/pid",
    ]
    dockerd += ["--cgroup-parent", f"/{cgroup}", "--shutdown-timeout", "1", *_ALONE, *flags]
    with (folder / "log").open("ab") as log, ExitStack() as running:

        def start(socket_path: str, *words: str) -> None:
            process = subprocess.Popen(words, stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.terminate)
            wait_for_socket(socket_path, process.pid)

        start(containerd_socket, *containerd, "--address", containerd_socket)
        start(docker_socket, *dockerd, "-H", f"unix://{docker_socket}", "--containerd", containerd_socket)
        yield f"unix://{docker_socket}"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[1].startswith(f"{folder}/"):
            subprocess.run(["umount", line.split()[1]], check=True)
    for parent in cgroups_named(cgroup):
        os.rmdir(parent)

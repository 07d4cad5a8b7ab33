"""The daemon's command line (dockerd: cmd/dockerd/config.go), with dockerd's own flag names.

Left out: the daemon.json file, TLS, TCP listeners and every flag of a subsystem that does not exist here.
"""

import os
import shutil
import sys
from dataclasses import dataclass, field, replace
from typing import Any

USAGE = """usage: python -m runtime.daemon [flags]

  -H, --host unix://PATH        socket to serve the Engine API on (default unix:///run/glassbottom/docker.sock)
  --containerd PATH             containerd's gRPC socket (default /run/glassbottom/containerd.sock)
  --containerd-namespace NAME   namespace of our containers in containerd (default moby)
  --data-root DIR               what survives a reboot: container records, logs, volumes
  --exec-root DIR               what does not: FIFOs, runtime state
  --pidfile FILE                where to write our process id
  --add-runtime NAME=PATH       an OCI runtime that `docker run --runtime NAME` may ask for (repeatable)
  --default-runtime NAME        the one used when none is asked for (default glassbottom)
  --shim NAME                   containerd's name of the shim (default io.containerd.glassbottom.v1)
  --snapshotter NAME            overlayfs or native (default: overlayfs, native where it is not to be had)
  --cgroup-parent PATH          parent of the containers' cgroups (default /docker)
  --registry-mirror URL         where to look for docker.io's images first (repeatable)
  --insecure-registry HOST      a registry whose certificate need not be good, or that has none (repeatable)
  --bridge NAME                 name of the default network's bridge (default: derived from --exec-root)
  --live-restore                leave containers running when the daemon stops
  --shutdown-timeout SECONDS    how long containers may take to stop at shutdown (default 15)
"""


class UsageError(Exception):
    """The command line cannot be understood; the message says which part."""


@dataclass(frozen=True)
class DaemonOptions:
    """Everything that is decided before the first request."""

    socket: str = "/run/glassbottom/docker.sock"
    containerd: str = "/run/glassbottom/containerd.sock"
    namespace: str = "moby"
    data_root: str = "/var/lib/glassbottom/daemon"
    exec_root: str = "/run/glassbottom/daemon"
    pidfile: str = ""
    runtimes: dict[str, str] = field(default_factory=dict)
    """Name -> path of each OCI runtime that may be asked for."""
    default_runtime: str = "glassbottom"
    shim: str = "io.containerd.glassbottom.v1"
    snapshotter: str = ""
    """overlayfs or native; empty is overlayfs, or native where containerd has not loaded that."""
    cgroup_parent: str = "/docker"
    bridge: str = ""
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    live_restore: bool = False
    shutdown_timeout: float = 15.0


_VALUE_FLAGS = {
    "-H": "socket",
    "--host": "socket",
    "--containerd": "containerd",
    "--containerd-namespace": "namespace",
    "--data-root": "data_root",
    "--exec-root": "exec_root",
    "-p": "pidfile",
    "--pidfile": "pidfile",
    "--default-runtime": "default_runtime",
    "--shim": "shim",
    "--snapshotter": "snapshotter",
    "--cgroup-parent": "cgroup_parent",
    "--bridge": "bridge",
}
_LIST_FLAGS = {"--registry-mirror": "registry_mirrors", "--insecure-registry": "insecure_registries"}


def parse_arguments(arguments: list[str]) -> DaemonOptions:
    """Turn argv (without the program) into options, or raise UsageError."""
    values: dict[str, Any] = {}
    runtimes = {"glassbottom": own_runtime_path()}
    live_restore, shutdown_timeout = False, 15.0
    rest = list(arguments)
    while rest:
        flag, has_value, value = rest.pop(0).partition("=")
        if flag == "--live-restore":
            live_restore = True
            continue
        if flag not in {*_VALUE_FLAGS, *_LIST_FLAGS, "--add-runtime", "--shutdown-timeout"}:
            raise UsageError(f"unknown flag: {flag}")
        if not has_value:
            if not rest:
                raise UsageError(f"flag needs an argument: {flag}")
            value = rest.pop(0)
        if flag == "--add-runtime":
            name, separator, path = value.partition("=")
            if not (name and separator and path):
                raise UsageError(f"invalid --add-runtime {value}: want NAME=PATH")
            runtimes[name] = path
        elif flag == "--shutdown-timeout":
            if not value.isdigit():
                raise UsageError(f"invalid --shutdown-timeout {value}: want whole seconds")
            shutdown_timeout = float(value)
        elif flag in _LIST_FLAGS:
            values[_LIST_FLAGS[flag]] = (*values.get(_LIST_FLAGS[flag], ()), value)
        else:
            values[_VALUE_FLAGS[flag]] = value
    return _checked(
        DaemonOptions(**values, runtimes=runtimes, live_restore=live_restore, shutdown_timeout=shutdown_timeout)
    )


def _checked(options: DaemonOptions) -> DaemonOptions:
    scheme, separator, path = options.socket.partition("://")
    if separator and scheme != "unix":
        raise UsageError(f"invalid --host {options.socket}: only unix:// sockets are served")
    if options.snapshotter not in ("", "overlayfs", "native"):
        raise UsageError(f"invalid --snapshotter {options.snapshotter}: want overlayfs or native")
    if options.default_runtime not in options.runtimes:
        raise UsageError(f"--default-runtime {options.default_runtime} is not among: {', '.join(options.runtimes)}")
    for mirror in options.registry_mirrors:
        if not mirror.startswith(("http://", "https://")):
            raise UsageError(f"invalid --registry-mirror {mirror}: want http://HOST or https://HOST")
    return replace(
        options,
        socket=os.path.abspath(path if separator else options.socket),
        containerd=options.containerd.removeprefix("unix://"),
        data_root=os.path.realpath(options.data_root),
        exec_root=os.path.abspath(options.exec_root),
    )


def own_runtime_path() -> str:
    """Where our own OCI runtime is installed: beside this interpreter, else on PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "glassbottom-oci")
    return beside if os.access(beside, os.X_OK) else shutil.which("glassbottom-oci") or "glassbottom-oci"

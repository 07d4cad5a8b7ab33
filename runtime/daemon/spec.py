"""From Config and HostConfig to the OCI runtime's `config.json` (moby: daemon/oci_linux.go createSpec).

This is where `docker run --memory 64m` turns into `linux.resources.memory.limit`. Nothing here touches the host, but
for the numbers behind the paths of device nodes: what had to be looked up (the user's numbers, paths of other
containers' namespaces, the host's limits) comes in as `SpecInputs`. In the order of the document itself:

    process     what runs, as whom, with which capabilities        (this file)
    root        the snapshot that the shim mounts on BUNDLE/rootfs
    mounts      what else is mounted, in order                     -> spec_mounts.py
    linux       namespaces, resources, seccomp, hidden paths       (this file) -> spec_resources.py

Specification: opencontainers/runtime-spec, config.md and config-linux.md. Left out: SELinux, user namespace
remapping per container, hooks (networks are joined up by the daemon between create and start, as in current moby).
"""

from dataclasses import dataclass, field
from typing import Any

from runtime.daemon import capabilities, devices, propagation, security_options, spec_mounts, spec_resources
from runtime.daemon.container import Container
from runtime.daemon.mount_points import MountPoint
from runtime.daemon.users import ProcessUser

OCI_VERSION = "1.0.2"
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class HostFacts:
    """What the host allows; probed once at start."""

    cgroup_v2: bool
    rootless: bool
    """In a user namespace: some of the kernel's switches are out of reach."""
    mapped_ids: int
    """How many ids the user namespace has; 1 means root only."""
    init_binary: str
    """docker-init, for `--init`; empty when there is none."""
    apparmor: bool
    limits: frozenset[str]
    """Those fields of HostConfig that only some kernels can carry out, and this one can."""


@dataclass(frozen=True)
class SpecInputs:
    """Everything about a container that is not in its own record."""

    host: HostFacts
    user: ProcessUser
    cgroups_path: str
    mounts: list[MountPoint]
    """Mount points with every source known."""
    etc_files: dict[str, str]
    """Container path -> host path of the three files that the daemon writes."""
    shm_path: str = ""
    """Host directory for /dev/shm when it is shared with another container."""
    linked_env: list[str] = field(default_factory=list)
    """The variables about the containers that it links to."""
    namespace_paths: dict[str, str] = field(default_factory=dict)
    """Namespace type -> /proc/PID/ns/X of the container that it is shared with."""


def build(container: Container, inputs: SpecInputs) -> dict[str, Any]:
    """The whole config.json of a container."""
    host = container.host_config
    kept = capabilities.resolve(host["CapAdd"] or [], host["CapDrop"] or [], host["Privileged"])
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": _process(container, inputs, kept),
        "root": {"path": "rootfs", "readonly": host["ReadonlyRootfs"]},
        "mounts": spec_mounts.build(container, inputs),
        "linux": _linux(container, inputs, kept),
    }
    if host.get("Annotations"):
        spec["annotations"] = host["Annotations"]
    if host["UTSMode"] != "host" and container.hostname:
        spec["hostname"] = container.hostname
        if container.config.get("Domainname"):
            spec["domainname"] = container.config["Domainname"]
    return spec


def _process(container: Container, inputs: SpecInputs, kept: list[str]) -> dict[str, Any]:
    config, host = container.config, container.host_config
    args = [container.path, *container.args]
    if host.get("Init"):
        args = ["/sbin/docker-init", "--", *args]
    # Root keeps all of it; any other user has to gain a capability by file or not at all, so its effective and
    # permitted sets are empty while the bounding set says what could be gained (capabilities(7)).
    held = kept if inputs.user.uid == 0 else []
    process: dict[str, Any] = {
        "user": {"uid": inputs.user.uid, "gid": inputs.user.gid, "additionalGids": list(inputs.user.additional_gids)},
        "args": args,
        "env": environment(container, inputs.linked_env),
        "cwd": config.get("WorkingDir") or "/",
        "capabilities": {"bounding": kept, "effective": held, "permitted": held},
        "oomScoreAdj": host["OomScoreAdj"],
    }
    if container.terminal:
        process["terminal"] = True
        height, width = (*host["ConsoleSize"], 0, 0)[:2]
        if height and width:
            process["consoleSize"] = {"height": height, "width": width}
    if host["Ulimits"]:
        process["rlimits"] = [
            {"type": f"RLIMIT_{limit['Name'].upper()}", "soft": limit["Soft"], "hard": limit["Hard"]}
            for limit in host["Ulimits"]
        ]
    security_options.confine(process, host, container.apparmor_profile)
    return process


def environment(container: Container, linked: list[str]) -> list[str]:
    """PATH and HOSTNAME, TERM for a terminal, what is known of linked containers, what the image and the user say.

    The last one of a name wins.
    """
    env = {"PATH": DEFAULT_PATH, "HOSTNAME": f"HOSTNAME={container.hostname}"}
    if container.terminal:
        env["TERM"] = "TERM=xterm"
    for entry in (*linked, *(container.config.get("Env") or [])):
        key, equals, _ = entry.partition("=")
        if equals:
            env[key] = entry
        else:
            env.pop(key, None)  # `-e NAME` of a name that the client does not have takes it away
    return list(env.values())


def _linux(container: Container, inputs: SpecInputs, kept: list[str]) -> dict[str, Any]:
    host = container.host_config
    given = devices.given(host)
    linux: dict[str, Any] = {
        "namespaces": _namespaces(container, inputs),
        "sysctl": _sysctls(container, inputs),
        "resources": spec_resources.build(host, inputs.host.rootless, given),
        "cgroupsPath": inputs.cgroups_path,
    }
    if root := propagation.of_root(inputs.mounts):
        linux["rootfsPropagation"] = root
    nodes = devices.all_host_devices() if host["Privileged"] else [node for node, _ in given]
    if nodes:
        linux["devices"] = nodes
    if host["MaskedPaths"]:
        linux["maskedPaths"] = host["MaskedPaths"]
    if host["ReadonlyPaths"]:
        linux["readonlyPaths"] = host["ReadonlyPaths"]
    profile = security_options.seccomp_profile(host, kept)
    if profile is not None:
        linux["seccomp"] = profile
    return linux


def _namespaces(container: Container, inputs: SpecInputs) -> list[dict[str, str]]:
    """One entry for each namespace that is not the host's. With a path it is joined, without one it is new."""
    host = container.host_config
    modes = {
        "mount": "",
        "network": host["NetworkMode"],
        "uts": host["UTSMode"],
        "pid": host["PidMode"],
        "ipc": host["IpcMode"],
        "cgroup": host["CgroupnsMode"],
    }
    found = []
    for kind, mode in modes.items():
        if mode == "host" or (kind == "cgroup" and mode != "private"):
            continue
        entry = {"type": kind}
        if kind in inputs.namespace_paths:
            entry["path"] = inputs.namespace_paths[kind]
        found.append(entry)
    return found


def _sysctls(container: Container, inputs: SpecInputs) -> dict[str, str]:
    host = container.host_config
    asked = dict(host.get("Sysctls") or {})
    if host["NetworkMode"] == "host" or host["NetworkMode"].startswith("container:"):
        return asked  # the network namespace is somebody else's to tune
    # Inside its own network namespace a container may use low ports and ping without capabilities, as in Docker.
    asked.setdefault("net.ipv4.ip_unprivileged_port_start", "0")
    if not inputs.host.rootless:
        asked.setdefault("net.ipv4.ping_group_range", "0 2147483647")  # EINVAL where not all groups are mapped
    return asked

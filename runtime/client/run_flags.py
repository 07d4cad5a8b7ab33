"""The flags of ``docker run`` that this client has, and the field of the create request each one ends up in.

Real counterpart: docker CLI's cli/command/container/opts.go. What is left out on purpose is in ``_LEFT_OUT``.
"""

from __future__ import annotations

from runtime.client import fields, values
from runtime.client.flags import Flag, boolean, integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = "Usage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]"

HELP = f"""{USAGE}

Create and run a new container from an image

Examples:
  run --rm hostbox echo hi                 one command; the container is removed when it ends
  run -it --name alpine hostbox sh         a shell on your terminal; leave it running with ctrl-p ctrl-q
  run -d -m 64m --pids-limit 20 hostbox sleep 60
  run --rm --network none --cap-drop ALL --read-only hostbox id

Flags end at IMAGE: what follows is the container's own command line.

Options:
"""


def _switch(name: str, short: str = "", *, field: str = "", help: str) -> Flag:
    return Flag(name, short, kind="bool", convert=boolean, field=field, help=help)


def _text(name: str, short: str = "", *, field: str = "", help: str) -> Flag:
    return Flag(name, short, field=field, help=help)


def _count(name: str, short: str = "", *, field: str, help: str) -> Flag:
    return Flag(name, short, kind="int", convert=integer, field=field, help=help)


def _listed(
    name: str, *, kind: str = "list", convert: Callable[[str], object] = str, field: str = "", help: str
) -> Flag:
    return Flag(name, kind=kind, convert=convert, repeat=True, field=field, help=help)


_LEFT_OUT = (
    *("gpus", "health-cmd", "health-interval", "health-retries", "health-start-interval", "health-start-period"),
    *("health-timeout", "use-api-socket", "disable-content-trust", "kernel-memory"),
    *("cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"),  # for Windows
)
"""What `docker run` of CLI 28 has a flag for and this client has not."""

RUN_FLAGS = (
    # What the container is called and what it runs.
    _text("name", help="Assign a name to the container"),
    _text("entrypoint", help="Overwrite the default ENTRYPOINT of the image"),
    _text("workdir", "w", field="WorkingDir", help="Working directory inside the container"),
    _text("user", "u", field="User", help="Username or UID (format: <name|uid>[:<group|gid>])"),
    _text("hostname", "h", field="Hostname", help="Container host name"),
    _text("domainname", field="Domainname", help="Container NIS domain name"),
    Flag("env", "e", kind="list", convert=values.environment, repeat=True, help="Set environment variables"),
    _listed("env-file", help="Read in a file of environment variables"),
    Flag("label", "l", kind="list", repeat=True, help="Set meta data on a container"),
    _listed("label-file", help="Read in a line delimited file of labels"),
    _text("stop-signal", field="StopSignal", help="Signal to stop the container"),
    _count("stop-timeout", field="StopTimeout", help="Timeout (in seconds) to stop a container"),
    # How this terminal is joined to it.
    _switch("interactive", "i", help="Keep STDIN open even if not attached"),
    _switch("tty", "t", field="Tty", help="Allocate a pseudo-TTY"),
    _switch("detach", "d", help="Run container in background and print container ID"),
    Flag("attach", "a", kind="list", convert=values.stream_name, repeat=True, help="Attach to STDIN, STDOUT or STDERR"),
    _text("detach-keys", help="Override the key sequence for detaching a container"),
    _switch("sig-proxy", help="Proxy received signals to the process (default true)"),
    _switch("rm", field="HostConfig.AutoRemove", help="Automatically remove the container when it exits"),
    _text("cidfile", field="HostConfig.ContainerIDFile", help="Write the container ID to the file"),
    _text("pull", help='Pull image before running ("always", "missing", "never")'),
    _switch("quiet", "q", help="Suppress the pull output"),
    _text("platform", help="Set platform if server is multi-platform capable"),
    # What it may use: cgroups and rlimits.
    Flag("memory", "m", kind="bytes", convert=values.size_bytes, field="HostConfig.Memory", help="Memory limit"),
    Flag(
        "memory-reservation",
        kind="bytes",
        convert=values.size_bytes,
        field="HostConfig.MemoryReservation",
        help="Memory soft limit",
    ),
    Flag(
        "memory-swap",
        kind="bytes",
        convert=values.swap_bytes,
        field="HostConfig.MemorySwap",
        help="Limit of memory plus swap: -1 for unlimited swap",
    ),
    Flag("cpus", kind="decimal", convert=values.nano_cpus, field="HostConfig.NanoCpus", help="Number of CPUs"),
    _count("cpu-shares", "c", field="HostConfig.CpuShares", help="CPU shares (relative weight)"),
    _count("cpu-period", field="HostConfig.CpuPeriod", help="Limit CPU CFS (Completely Fair Scheduler) period"),
    _count("cpu-quota", field="HostConfig.CpuQuota", help="Limit CPU CFS (Completely Fair Scheduler) quota"),
    _text("cpuset-cpus", field="HostConfig.CpusetCpus", help="CPUs in which to allow execution (0-3, 0,1)"),
    _text("cpuset-mems", field="HostConfig.CpusetMems", help="MEMs in which to allow execution (0-3, 0,1)"),
    _count("pids-limit", field="HostConfig.PidsLimit", help="Tune container pids limit (set -1 for unlimited)"),
    _count("oom-score-adj", field="HostConfig.OomScoreAdj", help="Tune host's OOM preferences (-1000 to 1000)"),
    _count("cpu-rt-period", field="HostConfig.CpuRealtimePeriod", help="Limit CPU real-time period in microseconds"),
    _count("cpu-rt-runtime", field="HostConfig.CpuRealtimeRuntime", help="Limit CPU real-time runtime in microseconds"),
    _count("memory-swappiness", field="HostConfig.MemorySwappiness", help="Tune memory swappiness (0 to 100)"),
    _switch("oom-kill-disable", field="HostConfig.OomKillDisable", help="Disable OOM Killer"),
    Flag(
        "blkio-weight",
        kind="uint16",
        convert=values.uint16,
        field="HostConfig.BlkioWeight",
        help="Block IO (relative weight), between 10 and 1000, or 0 to disable",
    ),
    _listed(
        "blkio-weight-device",
        convert=values.device_weight,
        field="HostConfig.BlkioWeightDevice",
        help="Block IO weight (relative device weight)",
    ),
    *(
        _listed(
            f"device-{way}-{unit.lower()}",
            convert=convert,
            field=f"HostConfig.BlkioDevice{way.capitalize()}{unit}",
            help=f"Limit {way} rate ({what} per second) {side} a device",
        )
        for way, side in (("read", "from"), ("write", "to"))
        for unit, convert, what in (("Bps", values.device_bytes, "bytes"), ("IOps", values.device_operations, "IO"))
    ),
    _text("cgroup-parent", field="HostConfig.CgroupParent", help="Optional parent cgroup for the container"),
    _listed("ulimit", kind="ulimit", convert=values.ulimit, field="HostConfig.Ulimits", help="Ulimit options"),
    # What it may do: capabilities, security options, sysctls, devices.
    _listed(
        "cap-add",
        convert=values.capability,
        field="HostConfig.CapAdd",
        help="Add Linux capabilities",
    ),
    _listed(
        "cap-drop",
        convert=values.capability,
        field="HostConfig.CapDrop",
        help="Drop Linux capabilities",
    ),
    _switch("privileged", field="HostConfig.Privileged", help="Give extended privileges to this container"),
    _listed("security-opt", help="Security Options"),
    _listed("sysctl", kind="map", help="Sysctl options"),
    _listed(
        "device",
        convert=values.device,
        field="HostConfig.Devices",
        help="Add a host device to the container",
    ),
    _listed(
        "device-cgroup-rule",
        convert=values.device_rule,
        field="HostConfig.DeviceCgroupRules",
        help="Add a rule to the cgroup allowed devices list",
    ),
    _listed("group-add", field="HostConfig.GroupAdd", help="Add additional groups to join"),
    # What it sees: files and namespaces.
    _switch("read-only", field="HostConfig.ReadonlyRootfs", help="Mount the container's root filesystem as read only"),
    Flag("volume", "v", kind="list", convert=values.volume, repeat=True, help="Bind mount a volume"),
    _listed(
        "volumes-from",
        field="HostConfig.VolumesFrom",
        help="Mount volumes from the specified container(s)",
    ),
    _listed(
        "mount",
        kind="mount",
        convert=fields.mount,
        field="HostConfig.Mounts",
        help="Attach a filesystem mount (type=bind|volume|tmpfs,source=,target=,...)",
    ),
    _text("volume-driver", field="HostConfig.VolumeDriver", help="Volume driver for the container"),
    _listed("storage-opt", help="Storage driver options for the container"),
    _listed("tmpfs", help="Mount a tmpfs directory"),
    Flag("shm-size", kind="bytes", convert=values.size_bytes, field="HostConfig.ShmSize", help="Size of /dev/shm"),
    _listed("network", kind="network", convert=fields.network, help="Connect a container to a network"),
    _listed("net", kind="network", convert=fields.network, help="Older name of --network"),
    _listed("network-alias", help="Add network-scoped alias for the container"),
    _text("ip", help="IPv4 address (e.g., 172.30.100.104)"),
    _text("ip6", help="IPv6 address (e.g., 2001:db8::33)"),
    _listed("link-local-ip", help="Container IPv4/IPv6 link-local addresses"),
    _listed("link", field="HostConfig.Links", help="Add link to another container"),
    _text("pid", field="HostConfig.PidMode", help="PID namespace to use"),
    _text("ipc", field="HostConfig.IpcMode", help="IPC mode to use"),
    _text("uts", field="HostConfig.UTSMode", help="UTS namespace to use"),
    _text("userns", field="HostConfig.UsernsMode", help="User namespace to use"),
    _text("cgroupns", field="HostConfig.CgroupnsMode", help="Cgroup namespace to use (host|private)"),
    _listed(
        "add-host",
        convert=values.extra_host,
        field="HostConfig.ExtraHosts",
        help="Add a custom host-to-IP mapping (host:ip)",
    ),
    _listed("dns", field="HostConfig.Dns", help="Set custom DNS servers"),
    _listed("dns-search", field="HostConfig.DnsSearch", help="Set custom DNS search domains"),
    _listed("dns-option", field="HostConfig.DnsOptions", help="Set DNS options"),
    _listed("dns-opt", field="HostConfig.DnsOptions", help="Older name of --dns-option"),
    _text("mac-address", help="Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Flag("publish", "p", kind="list", repeat=True, help="Publish a port or a range of ports to the host"),
    _switch("publish-all", "P", field="HostConfig.PublishAllPorts", help="Publish all exposed ports to random ports"),
    _listed("expose", help="Expose a port or a range of ports"),
    # Who looks after it.
    _switch("init", field="HostConfig.Init", help="Run an init inside the container that forwards signals and reaps"),
    Flag(
        "restart",
        convert=values.restart_policy,
        field="HostConfig.RestartPolicy",
        help="Restart policy to apply when a container exits",
    ),
    _switch("no-healthcheck", help="Disable any container-specified HEALTHCHECK"),
    _listed("annotation", kind="map", help="Add an annotation, passed through to the OCI runtime"),
    _text("isolation", field="HostConfig.Isolation", help="Container isolation technology"),
    _text("runtime", field="HostConfig.Runtime", help="Runtime to use for this container"),
    _text("log-driver", field="HostConfig.LogConfig.Type", help="Logging driver for the container"),
    _listed("log-opt", help="Log driver options"),
    _switch("help", help="Print usage"),
    *(Flag(name, left_out=True) for name in _LEFT_OUT),
)

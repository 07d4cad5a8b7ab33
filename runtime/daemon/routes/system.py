"""_ping, version, info, system df (moby: api/server/router/system, daemon/info.go)."""

import os
import platform
import resource
import time

from aiohttp import web

from runtime.daemon import forwarding
from runtime.daemon.call import API_VERSION, COMMON_HEADERS, MIN_API_VERSION, SERVER_VERSION, Call, json_reply
from runtime.daemon.disk_usage import disk_usage
from runtime.daemon.engine import Engine
from runtime.daemon.platforms import go_architecture
from runtime.daemon.router import Route
from runtime.daemon.timestamps import rfc3339

_NO_CACHE = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}


class SystemRoutes:
    """The daemon about itself and its host."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._options = engine.options

    async def ping(self, call: Call) -> web.StreamResponse:
        """What every docker command begins with; the client reads the API version from the headers."""
        text = "" if call.request.method == "HEAD" else "OK"
        return web.Response(text=text, headers={**COMMON_HEADERS, **_NO_CACHE})

    async def version(self, call: Call) -> web.StreamResponse:
        kernel, about = os.uname().release, self._engine.containerd_version
        python = platform.python_version()
        details = {
            "ApiVersion": API_VERSION,
            "Arch": go_architecture(),
            "Experimental": "false",
            "GitCommit": "glassbottom",
            "GoVersion": f"none (Python {python})",
            "KernelVersion": kernel,
            "MinAPIVersion": MIN_API_VERSION,
            "Os": "linux",
        }
        components = [
            {"Name": "Engine", "Version": SERVER_VERSION, "Details": details},
            {"Name": "containerd", "Version": about.version, "Details": {"GitCommit": about.revision}},
        ]
        return json_reply(
            {
                "Platform": {"Name": "Glassbottom"},
                "Components": components,
                "Version": SERVER_VERSION,
                "ApiVersion": API_VERSION,
                "MinAPIVersion": MIN_API_VERSION,
                "GitCommit": "glassbottom",
                "GoVersion": f"none (Python {python})",
                "Os": "linux",
                "Arch": go_architecture(),
                "KernelVersion": kernel,
                "BuildTime": "",
            }
        )

    async def info(self, call: Call) -> web.StreamResponse:
        containers = self._engine.containers.all()
        states = [container.state.status for container in containers]
        options, facts = self._options, self._engine.facts
        images = await self._engine.images.all()
        kernel = os.uname()
        security = ["name=seccomp,profile=default"]
        security += ["name=rootless"] if facts.rootless else []
        security += ["name=cgroupns"] if facts.cgroup_v2 else []
        return json_reply(
            {
                "ID": f"glassbottom-{options.data_root}",
                "Containers": len(containers),
                "ContainersRunning": states.count("running"),
                "ContainersPaused": states.count("paused"),
                "ContainersStopped": len(states) - states.count("running") - states.count("paused"),
                "Images": len(images),
                "Driver": options.snapshotter,
                "DriverStatus": [["driver-type", f"io.containerd.snapshotter.v1.{options.snapshotter}"]],
                "Plugins": {
                    "Volume": ["local"],
                    "Network": ["bridge", "host", "null"],
                    "Authorization": None,
                    "Log": ["json-file", "none"],
                },
                **dict.fromkeys(("MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares"), True),
                **dict.fromkeys(("CPUSet", "PidsLimit", "OomKillDisable"), True),
                "IPv4Forwarding": forwarding.is_enabled(),
                **{key: key in facts.limits for key in ("KernelMemory", "KernelMemoryTCP")},
                "BridgeNfIptables": _bridge_is_filtered("iptables"),
                "BridgeNfIp6tables": _bridge_is_filtered("ip6tables"),
                "Debug": False,
                "NFd": len(os.listdir("/proc/self/fd")),
                "NGoroutines": 0,
                "SystemTime": rfc3339(time.time_ns()),
                "LoggingDriver": "json-file",
                "CgroupDriver": "cgroupfs",
                "CgroupVersion": "2" if facts.cgroup_v2 else "1",
                "NEventsListener": self._engine.events.listener_count,
                "KernelVersion": kernel.release,
                "OperatingSystem": _operating_system(),
                "OSVersion": "",
                "OSType": "linux",
                "Architecture": kernel.machine,
                "IndexServerAddress": "https://index.docker.io/v1/",
                "RegistryConfig": {
                    "AllowNondistributableArtifactsCIDRs": [],
                    "AllowNondistributableArtifactsHostnames": [],
                    "InsecureRegistryCIDRs": [],
                    "IndexConfigs": {},
                    "Mirrors": [],
                },
                "NCPU": len(os.sched_getaffinity(0)),
                "MemTotal": os.sysconf("SC_PHYS_PAGES") * resource.getpagesize(),
                "GenericResources": None,
                "DockerRootDir": options.data_root,
                "HttpProxy": "",
                "HttpsProxy": "",
                "NoProxy": "",
                "Name": kernel.nodename,
                "Labels": [],
                "ExperimentalBuild": False,
                "ServerVersion": SERVER_VERSION,
                "Runtimes": {name: {"path": path} for name, path in options.runtimes.items()},
                "DefaultRuntime": options.default_runtime,
                "Swarm": {
                    "NodeID": "",
                    "NodeAddr": "",
                    "LocalNodeState": "inactive",
                    "ControlAvailable": False,
                    "Error": "",
                    "RemoteManagers": None,
                },
                "LiveRestoreEnabled": options.live_restore,
                "Isolation": "",
                "InitBinary": facts.init_binary,
                "ContainerdCommit": {"ID": self._engine.containerd_version.revision, "Expected": ""},
                "RuncCommit": {"ID": "", "Expected": ""},
                "InitCommit": {"ID": "", "Expected": ""},
                "SecurityOptions": security,
                "Warnings": self._engine.networks.host_warnings() or None,
            }
        )

    async def disk_usage(self, call: Call) -> web.StreamResponse:
        return json_reply(await disk_usage(self._engine))


def _bridge_is_filtered(program: str) -> bool:
    """Whether packets between ports of a bridge pass the filters for IP (br_netfilter)."""
    try:
        with open(f"/proc/sys/net/bridge/bridge-nf-call-{program}", encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def routes(engine: Engine) -> list[Route]:
    """What a client asks before anything else."""
    of = SystemRoutes(engine)
    return [
        Route("HEAD", "/_ping", of.ping),
        Route("GET", "/_ping", of.ping),
        Route("GET", "/version", of.version),
        Route("GET", "/info", of.info),
        Route("GET", "/system/df", of.disk_usage),
    ]

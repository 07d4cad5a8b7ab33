"""cgroup v1: linux.resources as a list of (controller, file, value) writes, in order.

Counterpart: runc's libcontainer/cgroups/fs, one file per controller there; kernel Documentation/admin-guide/cgroup-v1.
Zero means "not set" for most fields, because Docker fills the whole structure with zeros.
"""

from runtime.oci.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Write = tuple[str, str, str]

ALWAYS_ALLOWED_DEVICES = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
    "c 5:2 rwm", "c 136:* rwm",
)  # fmt: skip
"""Making any node, and opening the default ones, /dev/console, ptmx and the ptys."""


def plan(resources: "dict[str, Any]") -> list[Write]:
    """The writes that bring the resources about."""
    return [
        *devices(resources.get("devices", [])),
        *_memory(resources.get("memory", {})),
        *_cpu(resources.get("cpu", {})),
        *_pids(resources.get("pids", {})),
        *_block_io(resources.get("blockIO", {})),
        *_others(resources),
    ]


def device_rule(rule: "dict[str, Any]") -> str:
    """One rule in the words of devices.allow: type major:minor access."""
    major, minor = rule.get("major", -1), rule.get("minor", -1)
    numbers = ":".join("*" if number < 0 else str(number) for number in (major, minor))
    return f"{rule.get('type') or 'a'} {numbers} {rule.get('access') or 'rwm'}"


def devices(rules: "list[dict[str, Any]]") -> list[Write]:
    """The allow and deny writes; the kernel keeps a list of exceptions, so order is meaning."""
    writes: list[Write] = []
    for rule in rules:
        name = "devices.allow" if rule["allow"] else "devices.deny"
        everything = device_rule(rule) == "a *:* rwm"
        # "a" alone also empties the list of exceptions
        writes.append(("devices", name, "a" if everything else device_rule(rule)))
    if rules:
        writes += [("devices", "devices.allow", text) for text in ALWAYS_ALLOWED_DEVICES]
    return writes


def _memory(memory: "dict[str, Any]") -> list[Write]:
    writes: list[Write] = []
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    pair = [
        ("memory", "memory.limit_in_bytes", str(limit)) if limit else None,
        ("memory", "memory.memsw.limit_in_bytes", str(swap)) if swap else None,
    ]
    if limit == -1 and not swap:
        # unlimited memory under a limited sum makes no sense: lift that one first
        pair.insert(0, ("memory", "memory.memsw.limit_in_bytes", "-1"))
    writes += [write for write in pair if write]
    if memory.get("reservation"):
        writes.append(("memory", "memory.soft_limit_in_bytes", str(memory["reservation"])))
    if memory.get("kernelTCP"):
        writes.append(("memory", "memory.kmem.tcp.limit_in_bytes", str(memory["kernelTCP"])))
    if memory.get("disableOOMKiller"):
        writes.append(("memory", "memory.oom_control", "1"))
    swappiness = memory.get("swappiness")
    if swappiness is not None and 0 <= swappiness <= 100:
        writes.append(("memory", "memory.swappiness", str(swappiness)))
    elif swappiness is not None and swappiness != -1 and swappiness < 1 << 32:
        raise ConfigError("linux.resources.memory.swappiness", f"{swappiness} is not between 0 and 100")
    return writes


def _cpu(cpu: "dict[str, Any]") -> list[Write]:
    writes: list[Write] = []
    for field, controller, name in (
        ("shares", "cpu", "cpu.shares"),
        # the period first: a quota is checked against it
        ("period", "cpu", "cpu.cfs_period_us"),
        ("quota", "cpu", "cpu.cfs_quota_us"),
        ("burst", "cpu", "cpu.cfs_burst_us"),
        ("realtimePeriod", "cpu", "cpu.rt_period_us"),
        ("realtimeRuntime", "cpu", "cpu.rt_runtime_us"),
        ("idle", "cpu", "cpu.idle"),
        ("cpus", "cpuset", "cpuset.cpus"),
        ("mems", "cpuset", "cpuset.mems"),
    ):
        # idle has no value that means "not set": 0 ends what 1 began
        if cpu.get(field) or (field == "idle" and field in cpu):
            writes.append((controller, name, str(cpu[field])))
    return writes


def _pids(pids: "dict[str, Any]") -> list[Write]:
    limit = pids.get("limit", 0)
    return [("pids", "pids.max", str(limit) if limit > 0 else "max")] if limit else []


def _block_io(block_io: "dict[str, Any]") -> list[Write]:
    writes: list[Write] = []
    if block_io.get("weight"):
        writes.append(("blkio", "blkio.weight", str(block_io["weight"])))
    if block_io.get("leafWeight"):
        writes.append(("blkio", "blkio.leaf_weight", str(block_io["leafWeight"])))
    for device in block_io.get("weightDevice", []):
        numbers = f"{device['major']}:{device['minor']}"
        for field, name in (("weight", "blkio.weight_device"), ("leafWeight", "blkio.leaf_weight_device")):
            if device.get(field):
                writes.append(("blkio", name, f"{numbers} {device[field]}"))
    for field, name in (
        ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
        ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
        ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
        ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
    ):
        writes += [("blkio", name, f"{t['major']}:{t['minor']} {t['rate']}") for t in block_io.get(field, [])]
    return writes


def _others(resources: "dict[str, Any]") -> list[Write]:
    writes: list[Write] = [
        ("hugetlb", f"hugetlb.{entry['pageSize']}.limit_in_bytes", str(entry["limit"]))
        for entry in resources.get("hugepageLimits", [])
    ]
    network = resources.get("network", {})
    if network.get("classID"):
        writes.append(("net_cls", "net_cls.classid", str(network["classID"])))
    writes += [
        ("net_prio", "net_prio.ifpriomap", f"{entry['name']} {entry['priority']}")
        for entry in network.get("priorities", [])
    ]
    for device, limits in resources.get("rdma", {}).items():
        words = [f"{short}={limits[field]}" for field, short in RDMA_NAMES if field in limits]
        writes.append(("rdma", "rdma.max", " ".join([device, *words])))
    if resources.get("unified"):
        raise ConfigError("linux.resources.unified", "needs cgroup v2, and this host has v1")
    return writes


RDMA_NAMES = (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))

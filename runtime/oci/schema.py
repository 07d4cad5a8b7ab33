"""What config.json must look like: the part of runtime-spec's JSON schema that this runtime reads.

A literal that looks like the file it describes: a dict is an object whose listed fields are optional unless the name
ends with "!", a list of one is an array of that, a set is one of its words. Unknown fields are ignored, as the spec
asks ("runtimes MUST ignore unknown properties"). Checked once, before anything is made: everything after may rely on
the types, and whoever wrote a wrong file is told which field it is.
"""

from runtime.oci.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Map:
    """An object with free keys and values of one shape."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


NUMBER, TEXT, TRUTH = int, str, bool
ID_MAPPINGS = [{"containerID!": NUMBER, "hostID!": NUMBER, "size!": NUMBER}]
CAPABILITY_SETS = {name: [TEXT] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")}
HOOKS = [{"path!": TEXT, "args": [TEXT], "env": [TEXT], "timeout": NUMBER}]
HOOK_NAMES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
THROTTLE = [{"major!": NUMBER, "minor!": NUMBER, "rate!": NUMBER}]

PROCESS = {
    "terminal": TRUTH,
    "consoleSize": {"height!": NUMBER, "width!": NUMBER},
    "user": {"uid": NUMBER, "gid": NUMBER, "umask": NUMBER, "additionalGids": [NUMBER]},
    "args!": [TEXT],
    "env": [TEXT],
    "cwd!": TEXT,
    "capabilities": CAPABILITY_SETS,
    "rlimits": [{"type!": TEXT, "soft!": NUMBER, "hard!": NUMBER}],
    "noNewPrivileges": TRUTH,
    "apparmorProfile": TEXT,
    "selinuxLabel": TEXT,
    "oomScoreAdj": NUMBER,
    "scheduler": {
        "policy!": TEXT,
        "flags": [TEXT],
        **dict.fromkeys(("nice", "priority", "runtime", "deadline", "period"), NUMBER),
    },
    "ioPriority": {"class!": TEXT, "priority!": NUMBER},
}

SECCOMP = {
    "defaultAction!": TEXT,
    "defaultErrnoRet": NUMBER,
    "architectures": [TEXT],
    "flags": [TEXT],
    "listenerPath": TEXT,
    "syscalls": [
        {
            "names!": [TEXT],
            "action!": TEXT,
            "errnoRet": NUMBER,
            "args": [{"index!": NUMBER, "value!": NUMBER, "valueTwo": NUMBER, "op!": TEXT}],
        }
    ],
}

RESOURCES = {
    "devices": [{"allow!": TRUTH, "type": {"a", "b", "c", "u", "p"}, "major": NUMBER, "minor": NUMBER, "access": TEXT}],
    "memory": {
        **dict.fromkeys(("limit", "reservation", "swap", "kernel", "kernelTCP", "swappiness"), NUMBER),
        **dict.fromkeys(("disableOOMKiller", "checkBeforeUpdate"), TRUTH),
    },
    "cpu": {
        **dict.fromkeys(("shares", "quota", "period", "realtimeRuntime", "realtimePeriod", "burst", "idle"), NUMBER),
        "cpus": TEXT,
        "mems": TEXT,
    },
    "pids": {"limit": NUMBER},
    "blockIO": {
        "weight": NUMBER,
        "leafWeight": NUMBER,
        "weightDevice": [{"major!": NUMBER, "minor!": NUMBER, "weight": NUMBER, "leafWeight": NUMBER}],
        **{f"throttle{what}Device": THROTTLE for what in ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")},
    },
    "hugepageLimits": [{"pageSize!": TEXT, "limit!": NUMBER}],
    "network": {"classID": NUMBER, "priorities": [{"name!": TEXT, "priority!": NUMBER}]},
    "rdma": Map({"hcaHandles": NUMBER, "hcaObjects": NUMBER}),
    "unified": Map(TEXT),
}

CONFIG = {
    "ociVersion!": TEXT,
    "process": PROCESS,
    "root!": {"path!": TEXT, "readonly": TRUTH},
    "hostname": TEXT,
    "domainname": TEXT,
    "mounts": [{"destination!": TEXT, "type": TEXT, "source": TEXT, "options": [TEXT]}],
    "hooks": dict.fromkeys(HOOK_NAMES, HOOKS),
    "annotations": Map(TEXT),
    "linux": {
        "namespaces": [{"type!": TEXT, "path": TEXT}],
        "uidMappings": ID_MAPPINGS,
        "gidMappings": ID_MAPPINGS,
        "timeOffsets": Map({"secs": NUMBER, "nanosecs": NUMBER}),
        "devices": [
            {
                "type!": {"c", "b", "u", "p"},
                "path!": TEXT,
                **dict.fromkeys(("major", "minor", "fileMode", "uid", "gid"), NUMBER),
            }
        ],
        "cgroupsPath": TEXT,
        "resources": RESOURCES,
        "rootfsPropagation": {"", "shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate"},
        "seccomp": SECCOMP,
        "sysctl": Map(TEXT),
        "maskedPaths": [TEXT],
        "readonlyPaths": [TEXT],
        "mountLabel": TEXT,
        "personality": {"domain!": {"LINUX", "LINUX32"}, "flags": [TEXT]},
    },
}

_NAMES = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "a number",
    bool: "true or false",
    float: "a number",
}


def check(value: "Any", shape: "Any", field: str = "") -> None:
    """Raise ConfigError naming the first field of value that has not the given shape; null counts as absent."""
    if isinstance(shape, dict):
        _expect(value, dict, field)
        for key, inner in shape.items():
            name = key.removesuffix("!")
            path = f"{field}.{name}" if field else name
            if value.get(name) is not None:
                check(value[name], inner, path)
            elif key.endswith("!"):
                raise ConfigError(path, "is required")
    elif isinstance(shape, list):
        _expect(value, list, field)
        for index, item in enumerate(value):
            check(item, shape[0], f"{field}[{index}]")
    elif isinstance(shape, Map):
        _expect(value, dict, field)
        for key, item in value.items():
            check(item, shape.value, f"{field}.{key}")
    elif isinstance(shape, set):
        _expect(value, str, field)
        if value not in shape:
            raise ConfigError(field, f'"{value}" is not one of {", ".join(sorted(word for word in shape if word))}')
    else:
        _expect(value, shape, field)


def _expect(value: object, kind: type, field: str) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = _NAMES.get(type(value), "null")
        raise ConfigError(field or "(top level)", f"expected {_NAMES[kind]}, got {found}")


def without_nulls(value: "Any") -> "Any":
    """Drop fields that are null: Go programs write them for what they leave unset."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value

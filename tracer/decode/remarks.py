"""What a call's line does not say by itself: a control file's setting, a filter's rules, what an environment gained.

write(5</sys/fs/cgroup/memory/docker/c1/memory.limit_in_bytes>, "67108864", 8) = 8
-> memory.limit_in_bytes = 67108864, of cgroup /memory/docker/c1
"""

from collections.abc import Iterable, Iterator

from tracer.decode import seccomp_filter
from tracer.events import SyscallEntered, SyscallExited, SyscallSignature

_WRITES = frozenset({"write", "pwrite64", "writev"})
_CGROUP = "/sys/fs/cgroup/"
_SYSCTL = "/proc/sys/"
_VALUE_SHOWN = 200


def setting(event: SyscallEntered | SyscallExited, signature: SyscallSignature | None) -> str:
    """A write to a control file as `name = value`; empty for every other call."""
    if signature is None or signature.name not in _WRITES:
        return ""
    file, data = event.files.get(0, ""), event.data.get("1")
    if data is None:
        return ""
    value = data.decode("utf-8", "replace").strip(" \t\n\0")
    shown = value[:_VALUE_SHOWN] + ("..." if len(value) > _VALUE_SHOWN else "")
    if file.startswith(_CGROUP):
        group, _, name = file.removeprefix(_CGROUP).rpartition("/")
        return f"{name} = {shown}, of cgroup /{group}"
    if file.startswith(_SYSCTL):
        return f"{file.removeprefix(_SYSCTL).replace('/', '.')} = {shown}"
    if file.startswith("/proc/"):
        process, _, name = file.removeprefix("/proc/").partition("/")
        return f"{name} = {shown}, of process {process}" if process.isdigit() and name else ""
    return ""


def filter_lines(event: SyscallEntered | SyscallExited, machine: str = "x86_64") -> list[str]:
    """The seccomp filter that a call installs: what it comes to, then its instructions; empty for every other call."""
    program = event.data.get("2.program")
    if not program:
        return []
    return [seccomp_filter.summary(program, machine), *seccomp_filter.disassembly(program, machine)]


def environment_changes(before: Iterable[str], after: Iterable[str]) -> Iterator[str]:
    """`NAME=value` pairs against those from before: `+NAME=value` new, `~NAME=value` changed, `-NAME` gone."""
    old = dict(pair.partition("=")[::2] for pair in before)
    new = dict(pair.partition("=")[::2] for pair in after)
    for name, value in new.items():
        if name not in old:
            yield f"+{name}={value}"
        elif old[name] != value:
            yield f"~{name}={value}"
    for name in sorted(old.keys() - new.keys()):
        yield f"-{name}"

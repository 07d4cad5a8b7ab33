"""linux.seccomp to a BPF program.

Plan: for each architecture a map from call number to *decision*, the decisions laid out as ranges of numbers, the
ranges searched by halving (program.py). A decision is what one call gets: its conditional rules in the order of the
profile, then its unconditional action or the default one.

Details that are runc's and libseccomp's too:
- names that this architecture lacks are skipped: one profile serves all;
- a rule whose action is the default action says nothing;
- two conditions on the same argument in one rule mean "or";
- numbers above all that the profile names give ENOSYS, not the default errno: the C library falls back to an older
  call on ENOSYS and gives up on EPERM;
- a call from an architecture that is not listed kills the process.

Left out: SCMP_ACT_NOTIFY (a supervisor on another socket), tables for other machines than x86 and ARM64; the x32 ABI
and 32-bit ARM get the default action (or the kill) for every call.
"""

from runtime.oci import syscalls as sc
from runtime.oci.errors import ConfigError, OCIError
from runtime.oci.seccomp import program as bpf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALLOW, LOG, TRACE, ERRNO, TRAP = 0x7FFF0000, 0x7FFC0000, 0x7FF00000, 0x00050000, 0x00030000
KILL_THREAD, KILL_PROCESS = 0x00000000, 0x80000000
EPERM, ENOSYS = 1, 38

ACTIONS = {
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
}
CARRIES_ERRNO = (ERRNO, TRACE)
OPERATORS = frozenset(f"SCMP_CMP_{name}" for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))
FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 1, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4}

X32_BIT = 0x40000000
AUDIT_ARCHITECTURES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_AARCH64": 0xC00000B7}
"""linux/audit.h: ELF machine, 64-bit flag, little-endian flag."""
NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
WITHOUT_TABLE = frozenset(("SCMP_ARCH_X32", "SCMP_ARCH_ARM"))

Conditions = tuple[tuple[int, str, int, int], ...]
"""(argument index, operator, value, second value), all of which must hold."""
Decision = tuple[tuple[tuple[Conditions, int], ...], int]
"""((conditions, action) ...), and the action if none applies."""


def numbers(architecture: str) -> dict[str, int]:
    """Call name -> number on an architecture."""
    if architecture == "SCMP_ARCH_X86_64":
        from runtime.oci.seccomp.calls_x86_64 import RUNS
    elif architecture == "SCMP_ARCH_X86":
        from runtime.oci.seccomp.calls_x86 import RUNS
    else:
        from runtime.oci.seccomp.calls_aarch64 import RUNS
    return {name: first + offset for first, names in RUNS.items() for offset, name in enumerate(names.split())}


def action(name: str, errno: "int | None", field: str) -> int:
    """The 32 bits a filter returns for an action."""
    if name == "SCMP_ACT_NOTIFY":
        raise ConfigError(field, "SCMP_ACT_NOTIFY is not supported by this runtime")
    if name not in ACTIONS:
        raise ConfigError(field, f'unknown action "{name}"')
    value = ACTIONS[name]
    if value in CARRIES_ERRNO:
        return value | (EPERM if errno is None else errno) & 0xFFFF
    if errno is not None:
        raise ConfigError(field, f"{name} takes no errno")
    return value


def program(seccomp: "dict[str, Any]", machine: str = sc.MACHINE) -> tuple[bytes, int]:
    """The assembled filter and the flags to load it with."""
    flags = 0
    for name in seccomp.get("flags", []):
        if name not in FLAGS:
            raise ConfigError("linux.seccomp.flags", f'unknown flag "{name}"')
        flags |= FLAGS[name]
    return bpf.assemble(instructions(seccomp, machine)), flags


def instructions(seccomp: "dict[str, Any]", machine: str) -> list[bpf.Instruction]:
    """The filter as instructions."""
    if machine not in NATIVE:
        raise OCIError(f"linux.seccomp: no system call table for {machine}")
    default = action(seccomp["defaultAction"], seccomp.get("defaultErrnoRet"), "linux.seccomp.defaultAction")
    rules = _check_rules(seccomp.get("syscalls", []))
    listed = seccomp.get("architectures") or [NATIVE[machine]]
    for name in listed:
        if name not in AUDIT_ARCHITECTURES and name not in WITHOUT_TABLE and not name.startswith("SCMP_ARCH_"):
            raise ConfigError("linux.seccomp.architectures", f'unknown architecture "{name}"')
    code = bpf.give(KILL_PROCESS)
    for architecture in reversed([name for name in AUDIT_ARCHITECTURES if name in {*listed, NATIVE[machine]}]):
        ranges = _ranges(rules, default, architecture, x32="SCMP_ARCH_X32" in listed)
        section = [(bpf.LOAD, 0, 0, bpf.NR_OFFSET), *bpf.search(ranges)]
        code = bpf.choose(bpf.JUMP_EQUAL, AUDIT_ARCHITECTURES[architecture], section, code)
    result: list[bpf.Instruction] = [(bpf.LOAD, 0, 0, bpf.ARCH_OFFSET), *code]
    if len(result) > bpf.MOST_INSTRUCTIONS:
        raise ConfigError(
            "linux.seccomp", f"needs {len(result)} instructions, the kernel takes {bpf.MOST_INSTRUCTIONS}"
        )
    return result


class _Rule:
    __slots__ = ("action", "alternatives", "names")

    def __init__(self, names: list[str], action: int, alternatives: list[Conditions]) -> None:
        self.names = names
        self.action = action
        self.alternatives = alternatives
        """Sets of conditions, any of which is enough; one empty set means always."""


def _check_rules(entries: "list[dict[str, Any]]") -> list[_Rule]:
    rules = []
    for position, entry in enumerate(entries):
        field = f"linux.seccomp.syscalls[{position}]"
        conditions = []
        for arg in entry.get("args", []):
            if arg["op"] not in OPERATORS:
                raise ConfigError(f"{field}.args.op", f'unknown operator "{arg["op"]}"')
            if not 0 <= arg["index"] <= 5:
                raise ConfigError(f"{field}.args.index", f"{arg['index']} is not between 0 and 5")
            conditions.append((arg["index"], arg["op"], arg["value"], arg.get("valueTwo", 0)))
        repeated = len({condition[0] for condition in conditions}) < len(conditions)
        alternatives: list[Conditions] = [(one,) for one in conditions] if repeated else [tuple(conditions)]
        rules.append(_Rule(entry["names"], action(entry["action"], entry.get("errnoRet"), field), alternatives))
    return rules


def _decisions(rules: list[_Rule], default: int, table: dict[str, int]) -> dict[int, Decision]:
    conditional: dict[int, list[tuple[Conditions, int]]] = {}
    always: dict[int, int] = {}
    for rule in rules:
        if rule.action == default:
            continue
        for name in rule.names:
            number = table.get(name)
            if number is None:
                continue
            for conditions in rule.alternatives:
                if conditions:
                    conditional.setdefault(number, []).append((conditions, rule.action))
                else:
                    always.setdefault(number, rule.action)
    return {
        number: (tuple(conditional.get(number, ())), always.get(number, default))
        for number in conditional.keys() | always.keys()
    }


def _ranges(
    rules: list[_Rule], default: int, architecture: str, *, x32: bool
) -> list[tuple[int, list[bpf.Instruction]]]:
    table = numbers(architecture)
    decisions = _decisions(rules, default, table)
    named = [table[name] for rule in rules for name in rule.names if name in table]
    nothing: Decision = ((), default)
    ends: dict[int, Decision] = {0: nothing}
    for number in sorted(decisions):
        ends[number] = decisions[number]
        ends.setdefault(number + 1, nothing)
    if named and default & 0xFFFF0000 in (ERRNO, KILL_THREAD, KILL_PROCESS, TRAP):
        ends[max(named) + 1] = ((), ERRNO | ENOSYS)
    if architecture == "SCMP_ARCH_X86_64":
        ends[X32_BIT] = nothing if x32 else ((), KILL_PROCESS)
    ranges: list[tuple[int, list[bpf.Instruction]]] = []
    previous: Decision | None = None
    for number in sorted(ends):
        if ends[number] != previous:
            ranges.append((number, _code(ends[number])))
            previous = ends[number]
    return ranges


def _code(decision: Decision) -> list[bpf.Instruction]:
    conditional, fallback = decision
    code: list[bpf.Instruction] = []
    for conditions, result in conditional:
        code += bpf.rule([bpf.compare(*condition) for condition in conditions], result)
    return [*code, *bpf.give(fallback)]

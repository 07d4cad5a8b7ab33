"""cgroup v2: which devices may be opened or made, as a BPF program on the cgroup.

Counterpart: runc's libcontainer/cgroups/devices and ebpf/devicefilter. v1 has a list of exceptions in a file, v2 asks a
program: the kernel runs it with struct bpf_cgroup_dev_ctx { u32 access_type; u32 major; u32 minor; } on every open and
mknod of a device, and 0 means EPERM. The spec's rules are v1's, where a later one wins, so the program tries them from
the last to the first and answers at the first that matches.
"""

import os
import struct

from runtime.oci import syscalls as sc
from runtime.oci.errors import OCIError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI = 15, 6, 2
ACCESS = {"m": 1, "r": 2, "w": 4}
EVERY_ACCESS = 7
TYPES = {"b": 1, "c": 2, "u": 2}

ALWAYS_ALLOWED: "list[dict[str, Any]]" = [
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    *(
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2))
    ),
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
]
"""As on v1: making any node, and opening the default ones, /dev/console, ptmx and the ptys."""

# registers of the program, and the instructions it is made of
RESULT, CONTEXT, TYPE, WANTED, MAJOR, MINOR = 0, 1, 2, 3, 4, 5
LOAD_WORD, SHIFT_RIGHT, AND, MOVE, MOVE_CONSTANT, EXIT = 0x61, 0x74, 0x54, 0xBC, 0xB7, 0x95
JUMP_NOT_EQUAL, JUMP_EQUAL = 0x56, 0x16

Instruction = tuple[int, int, int, int, int]
"""code, destination register, source register, jump offset, constant: the fields of struct bpf_insn."""


def instructions(rules: "list[dict[str, Any]]") -> list[Instruction]:
    """The program for some rules and the ones that every container has."""
    program: list[Instruction] = [
        (LOAD_WORD, TYPE, CONTEXT, 0, 0),  # access in the upper half, type in the lower
        (MOVE, WANTED, TYPE, 0, 0),
        (SHIFT_RIGHT, WANTED, 0, 0, 16),
        (AND, TYPE, 0, 0, 0xFFFF),
        (LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        (LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ]
    for rule in reversed([*rules, *ALWAYS_ALLOWED]):
        tests = _tests(rule)
        answer: list[Instruction] = [(MOVE_CONSTANT, RESULT, 0, 0, int(rule["allow"])), (EXIT, 0, 0, 0, 0)]
        length = len(tests) + len(answer)
        for position, (code, left, right, jumps, constant) in enumerate(tests):
            program.append((code, left, right, length - position - 1 if jumps else 0, constant))
        program += answer
        if not tests:
            return program  # matches everything: the verifier refuses code that cannot be reached
    return [*program, (MOVE_CONSTANT, RESULT, 0, 0, 0), (EXIT, 0, 0, 0, 0)]


def _tests(rule: "dict[str, Any]") -> list[Instruction]:
    """What must hold for a rule to match; an offset of 1 stands for "jump to the next rule"."""
    tests: list[Instruction] = []
    kind = rule.get("type") or "a"
    if kind != "a":
        tests.append((JUMP_NOT_EQUAL, TYPE, 0, 1, TYPES[kind]))
    access = sum(ACCESS[letter] for letter in set(rule.get("access") or "rwm"))
    if access != EVERY_ACCESS:
        tests.append((MOVE, CONTEXT, WANTED, 0, 0))
        if rule["allow"]:
            # everything that is wanted must be in the rule
            tests += [(AND, CONTEXT, 0, 0, EVERY_ACCESS & ~access), (JUMP_NOT_EQUAL, CONTEXT, 0, 1, 0)]
        else:
            # one denied letter is enough
            tests += [(AND, CONTEXT, 0, 0, access), (JUMP_EQUAL, CONTEXT, 0, 1, 0)]
    for register, field in ((MAJOR, "major"), (MINOR, "minor")):
        if rule.get(field, -1) >= 0:
            tests.append((JUMP_NOT_EQUAL, register, 0, 1, rule[field]))
    return tests


def assemble(program: list[Instruction]) -> bytes:
    """An array of struct bpf_insn."""
    return b"".join(
        struct.pack("=BBhi", code, left | right << 4, offset, constant - (constant >> 31 << 32))
        for code, left, right, offset, constant in program
    )


def attach(cgroup_path: str, rules: "list[dict[str, Any]]") -> None:
    """Load the program and hang it on a cgroup; it goes when the cgroup goes."""
    try:
        program_fd = sc.bpf_prog_load(BPF_PROG_TYPE_CGROUP_DEVICE, assemble(instructions(rules)))
        cgroup_fd = os.open(cgroup_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        sc.bpf_prog_attach(cgroup_fd, program_fd, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI)
    except OSError as error:
        raise OCIError(f"linux.resources.devices: bpf: {reason(error)}") from None
    os.close(program_fd)
    os.close(cgroup_fd)

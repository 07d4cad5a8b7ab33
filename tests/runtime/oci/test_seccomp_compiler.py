"""linux.seccomp to BPF: the programs are run here, by an interpreter of the few instructions they use."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.oci.errors import ConfigError
from runtime.oci.seccomp import compiler, program

X86_64, X86, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
ALLOW, KILL = 0x7FFF0000, 0x80000000


def interpret(code: bytes, nr: int, arch: int, args: tuple[int, ...] = ()) -> int:
    """What the kernel would answer: classic BPF on a struct seccomp_data."""
    data = struct.pack("=IIQ6Q", nr, arch, 0, *args, *(0,) * (6 - len(args)))
    instructions = list(struct.iter_unpack("=HBBI", code))
    position = accumulator = 0
    for _ in range(len(instructions)):
        opcode, yes, no, operand = instructions[position]
        position += 1
        if opcode == program.LOAD:
            (accumulator,) = struct.unpack_from("=I", data, operand)
        elif opcode == program.AND:
            accumulator &= operand
        elif opcode == program.JUMP:
            position += operand
        elif opcode == program.RETURN:
            return int(operand)
        else:
            holds = {
                program.JUMP_EQUAL: accumulator == operand,
                program.JUMP_GREATER: accumulator > operand,
                program.JUMP_GREATER_EQUAL: accumulator >= operand,
            }[opcode]
            position += yes if holds else no
    raise AssertionError("the program does not end: it jumps backwards")


def compiled(seccomp: dict[str, Any], machine: str = "x86_64") -> bytes:
    return compiler.program(seccomp, machine)[0]


def rule(*names: str, action: str = "SCMP_ACT_ALLOW", **more: Any) -> dict[str, Any]:
    return {"names": list(names), "action": action, **more}


def test_named_calls_get_their_action_and_others_the_default() -> None:
    """An allow list with the errno that the profile names."""
    code = compiled({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13, "syscalls": [rule("read", "mseal")]})

    assert ALLOW == interpret(code, 0, X86_64)
    assert 0x0005000D == interpret(code, 1, X86_64)


def test_call_newer_than_the_profile_gets_enosys() -> None:
    """The C library falls back on ENOSYS, and not on EPERM."""
    code = compiled({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("read", "close_range")]})

    assert 0x00050001 == interpret(code, 435, X86_64)
    assert 0x00050026 == interpret(code, 437, X86_64)


def test_numbers_are_those_of_the_architecture() -> None:
    """openat is 257 on x86_64, 295 on x86, 56 on aarch64."""
    seccomp = {
        "defaultAction": "SCMP_ACT_KILL_PROCESS",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [rule("openat", "close_range")],
    }

    on_x86, on_arm = compiled(seccomp), compiled({**seccomp, "architectures": []}, "aarch64")

    assert [ALLOW, ALLOW, KILL] == [
        interpret(on_x86, 257, X86_64),
        interpret(on_x86, 295, X86),
        interpret(on_x86, 56, X86_64),
    ]
    assert [ALLOW, KILL] == [interpret(on_arm, 56, AARCH64), interpret(on_arm, 57, AARCH64)]


def test_architecture_that_is_not_listed_is_killed() -> None:
    """A 32-bit call must not slip past a filter that was written for 64-bit numbers, nor an x32 one."""
    code = compiled({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("mkdir", action="SCMP_ACT_KILL")]})

    assert KILL == interpret(code, 39, X86)
    assert KILL == interpret(code, 0x40000000 | 1, X86_64)
    assert ALLOW == interpret(code, 1, X86_64)


def test_unconditional_rule_is_what_remains_when_no_condition_holds() -> None:
    """Conditions are tried first, in the profile's order."""
    condition = {"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}
    code = compiled(
        {
            "defaultAction": "SCMP_ACT_KILL",
            "syscalls": [
                rule("personality"),
                rule("personality", action="SCMP_ACT_ERRNO", errnoRet=5, args=[condition]),
            ],
        }
    )

    assert 0x00050005 == interpret(code, 135, X86_64, (8,))
    assert ALLOW == interpret(code, 135, X86_64, (9,))


def test_two_conditions_on_one_argument_mean_or() -> None:
    """As runc has it: the kernel cannot hold both anyway."""
    args = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (3, 5)]
    code = compiled({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("close", args=args)]})

    assert [ALLOW, 0x00050001, ALLOW] == [interpret(code, 3, X86_64, (value,)) for value in (3, 4, 5)]


def test_two_conditions_on_two_arguments_mean_and() -> None:
    """All must hold."""
    args = [{"index": index, "value": 1, "op": "SCMP_CMP_EQ"} for index in (0, 5)]
    code = compiled({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("close", args=args)]})

    assert ALLOW == interpret(code, 3, X86_64, (1, 0, 0, 0, 0, 1))
    assert 0x00050001 == interpret(code, 3, X86_64, (1, 0, 0, 0, 0, 2))


LIMB = st.sampled_from([0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
NUMBER_64 = st.builds(lambda high, low: high << 32 | low, LIMB, LIMB)


@given(value=NUMBER_64, two=NUMBER_64, argument=NUMBER_64, operator=st.sampled_from(sorted(compiler.OPERATORS)))
def test_comparison_is_that_of_64_bit_numbers(value: int, two: int, argument: int, operator: str) -> None:
    """Classic BPF compares 32 bits at a time; together it must be the whole number, unsigned."""
    args = [{"index": 2, "value": value, "valueTwo": two, "op": operator}]
    code = compiled({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule("write", args=args)]})
    expected = {
        "SCMP_CMP_NE": argument != value,
        "SCMP_CMP_LT": argument < value,
        "SCMP_CMP_LE": argument <= value,
        "SCMP_CMP_EQ": argument == value,
        "SCMP_CMP_GE": argument >= value,
        "SCMP_CMP_GT": argument > value,
        "SCMP_CMP_MASKED_EQ": argument & value == two,
    }[operator]

    assert expected == (interpret(code, 1, X86_64, (0, 0, argument)) == ALLOW)


@given(st.sets(st.sampled_from(sorted(compiler.numbers("SCMP_ARCH_X86_64"))), max_size=300))
def test_every_call_gets_its_own_answer(names: set[str]) -> None:
    """Whatever the set, the search ends at the right range for every number."""
    table = compiler.numbers("SCMP_ARCH_X86_64")
    code = compiled({"defaultAction": "SCMP_ACT_LOG", "syscalls": [rule(*names)]})
    allowed = {table[name] for name in names}

    for number in range(480):
        assert (ALLOW if number in allowed else 0x7FFC0000) == interpret(code, number, X86_64)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"defaultAction": "SCMP_ACT_MAYBE"}, "linux.seccomp.defaultAction"),
        ({"architectures": ["PDP11"]}, "linux.seccomp.architectures"),
        ({"flags": ["SECCOMP_FILTER_FLAG_WHAT"]}, "linux.seccomp.flags"),
        ({"syscalls": [rule("read", action="SCMP_ACT_NOTIFY")]}, "linux.seccomp.syscalls[0]"),
        ({"syscalls": [rule("read", errnoRet=1)]}, "linux.seccomp.syscalls[0]"),
        ({"syscalls": [rule("read", args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])]}, "syscalls[0].args.index"),
        ({"syscalls": [rule("read", args=[{"index": 0, "value": 1, "op": "EQ"}])]}, "syscalls[0].args.op"),
    ],
)
def test_wrong_profile_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    """The sentence names where."""
    with pytest.raises(ConfigError) as refused:
        compiled({"defaultAction": "SCMP_ACT_ALLOW"} | change)

    assert field in str(refused.value)


def test_tables_agree_with_known_numbers() -> None:
    """A few calls that everybody knows."""
    x86_64, x86, aarch64 = (compiler.numbers(f"SCMP_ARCH_{name}") for name in ("X86_64", "X86", "AARCH64"))

    assert (59, 11, 221) == (x86_64["execve"], x86["execve"], aarch64["execve"])
    assert (165, 21, 40) == (x86_64["mount"], x86["mount"], aarch64["mount"])
    assert {437} == {table["openat2"] for table in (x86_64, x86, aarch64)}
    assert len(x86_64) == len(set(x86_64.values()))

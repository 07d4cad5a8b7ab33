"""A seccomp filter read: its instructions, and what they come to for every system call.

    allows 352 calls; clone allowed if not arg0 & 0x7e020000; ENOSYS for clone3; EPERM else; x86 too

A filter is a classic BPF program over `struct seccomp_data` {int nr, u32 arch, u64 instruction_pointer, u64 args[6]}:
seccomp(2), Documentation/networking/filter.rst. It has no loops, so every path through it can be walked. For each
architecture that it compares with and each number it is walked with number and architecture known and the arguments
unknown: a comparison of an argument goes both ways and becomes a condition of what is returned. A number is named only
where it is known whose number it is: runc's filters have a part for each machine, and begin with that of i386.

Real counterparts: libseccomp's `seccomp_export_pfc`, david942j/seccomp-tools.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tracer.decode import errnos
from tracer.decode.syscall_numbers import NAMES

_INSTRUCTION = struct.Struct("<HBBI")
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_MACHINES = {0xC000003E: "x86_64", 0xC00000B7: "aarch64", 0x40000003: "x86", 0x40000028: "arm"}
_X86_64 = 0xC000003E
_X32_BIT = 0x40000000
_OTHER = -1
"""Any field, or any machine, that is not told apart."""
_LOAD, _RETURN, _AND, _JUMP, _EQUAL = 0x20, 0x06, 0x54, 0x05, 0x15
_CONDITIONS = {0x15: "==", 0x25: ">", 0x35: ">=", 0x45: "&"}
_NEGATED = {"==": "!=", ">": "<=", ">=": "<", "&": "& not"}
_NUMBERS = 512
"""Numbers of calls that are tried."""
_PATHS = 256
"""Paths that are walked for one call; a filter with more is told without its conditions."""
_STEPS = 8192
"""Instructions that are walked for one call: whoever is traced may install any filter, and the engine reads it."""
_NAMED = 6
"""Calls that a summary names for each answer; of more it says how many."""
_RETURNS = {
    0x80000000: "kill", 0x00000000: "kill thread", 0x00030000: "trap", 0x7FC00000: "notify", 0x7FF00000: "trace",
    0x7FFC0000: "log", 0x7FFF0000: "allow",
}  # fmt: skip


class Instruction(NamedTuple):
    """One instruction of classic BPF."""

    code: int
    if_true: int
    if_false: int
    value: int


class _Value(NamedTuple):
    """What the accumulator holds: a known number, or an argument's half with a mask over it."""

    known: int | None
    source: str = ""


class Outcome(NamedTuple):
    """What a call gets: an answer, and what of its arguments must hold for it."""

    answer: str
    conditions: tuple[str, ...]


def instructions(program: bytes) -> list[Instruction]:
    """The program's instructions; a last one that is cut is left out."""
    return [Instruction(*row) for row in _INSTRUCTION.iter_unpack(program[: len(program) // 8 * 8])]


def disassembly(program: bytes, native: str = "x86_64") -> list[str]:
    """One line an instruction: `3: if A == 56 (clone) goto 7`; a filter that compares no machine is one of `native`."""
    lines = []
    steps = instructions(program)
    states = _states(steps)
    several = any(_compared(steps, states))
    for place, (step, reached) in enumerate(zip(steps, states, strict=True)):
        loaded = {state.loaded for state in reached}
        text = f"{step.code:#06x} {step.if_true} {step.if_false} {step.value:#x}"
        if step.code == _LOAD:
            text = f"A = {_field(step.value)}"
        elif step.code == _RETURN:
            text = f"return {answer(step.value)}"
        elif step.code == _AND:
            text = f"A &= {step.value:#x}"
        elif step.code == _JUMP:
            text = f"goto {place + 1 + step.value}"
        elif step.code in _CONDITIONS:
            value = hex(step.value)
            if loaded == {_NUMBER}:
                value = _numbered(step.value, {state.machine for state in reached}, "" if several else native)
            elif loaded == {_ARCHITECTURE}:
                value = _MACHINES.get(step.value, value)
            there, otherwise = place + 1 + step.if_true, place + 1 + step.if_false
            text = f"if A {_CONDITIONS[step.code]} {value} goto {there} else {otherwise}"
        lines.append(f"{place}: {text}")
    return lines


def answer(value: int) -> str:
    """What a filter returns, in words: `allow`, `EPERM`, `kill`."""
    action = value & 0xFFFF0000
    if action == 0x00050000:
        number = value & 0xFFFF
        return errnos.NAMES.get(number, f"errno {number}")
    return _RETURNS.get(action, hex(action))


def outcomes(program: bytes, architecture: int, number: int) -> set[Outcome]:
    """Every answer that a call of this number can get; empty where the filter is too tangled, or damaged."""
    return _outcomes(instructions(program), architecture, number)


def _outcomes(steps: list[Instruction], architecture: int, number: int) -> set[Outcome]:
    found: set[Outcome] = set()
    waiting: list[tuple[int, _Value, tuple[str, ...]]] = [(0, _Value(0), ())]
    paths = walked = 0
    while waiting:
        paths += 1
        place, value, conditions = waiting.pop()
        if paths > _PATHS:
            return set()
        while True:
            walked += 1
            if place >= len(steps) or walked > _STEPS:
                return set()
            step = steps[place]
            place += 1
            if step.code == _RETURN:
                found.add(Outcome(answer(step.value), conditions))
                break
            if step.code == _LOAD:
                value = _loaded(step.value, architecture, number)
            elif step.code == _AND:
                value = _masked(value, step.value)
            elif step.code == _JUMP:
                place += step.value
            elif step.code in _CONDITIONS:
                sign = _CONDITIONS[step.code]
                if value.known is not None:
                    place += step.if_true if _holds(value.known, sign, step.value) else step.if_false
                elif step.if_true == step.if_false:
                    place += step.if_true
                else:
                    told = _condition(value.source, _NEGATED[sign], step.value)
                    waiting.append((place + step.if_false, value, (*conditions, told)))
                    conditions = (*conditions, _condition(value.source, sign, step.value))
                    place += step.if_true
            else:
                return set()
    return found


@lru_cache(maxsize=64)
def summary(program: bytes, native: str = "x86_64") -> str:
    """What it comes to for calls of the machine that it runs on, in a line; its answers alone if it cannot be walked.

    Of a filter for other machines only, the first whose calls have names is told.
    """
    steps = instructions(program)
    machines = list(dict.fromkeys(_compared(steps, _states(steps))))
    known = [value for value in machines if _MACHINES[value] in NAMES]
    home = {name: value for value, name in _MACHINES.items()}.get(native, 0)
    architecture = home if home in machines else (known or machines or [home or _X86_64])[0]
    machine = _MACHINES[architecture]
    names = NAMES.get(machine, {})
    each: dict[int, set[Outcome]] = {}
    for number in range(_NUMBERS):
        each[number] = _outcomes(steps, architecture, number)
        if not each[number]:
            return _answers_alone(program)
    plain = {number: next(iter(found)).answer for number, found in each.items() if _is_plain(found)}
    ordinary = Counter(told for number, told in plain.items() if number not in names)
    otherwise = ordinary.most_common(1)[0][0] if ordinary else Counter(plain.values()).most_common(1)[0][0]
    parts = []
    for told, numbers in _grouped(plain, otherwise):
        parts.append(_told(told, [names.get(number, str(number)) for number in numbers]))
    parts += [
        f"{names.get(number, number)} {_conditional(found, otherwise)}"
        for number, found in each.items()
        if not _is_plain(found)
    ]
    parts.append(f"{otherwise} else" if parts else f"{otherwise} for every call")
    others = [_MACHINES[other] for other in machines if other != architecture]
    return "; ".join(parts) + (f"; {', '.join(others)} too" if others else "")


class _State(NamedTuple):
    """What is known where an instruction begins: the field in the accumulator, and whose calls come here.

    Only what is asked for is told apart, so that there are few states, whatever the filter loads and compares.
    """

    loaded: int
    machine: int | None


def _states(steps: list[Instruction]) -> list[set[_State]]:
    """For each instruction all states in which it can be reached: jumps go forward, so one pass finds them."""
    reached: list[set[_State]] = [set() for _ in steps]
    if steps:
        reached[0].add(_State(_OTHER, None))
    for place, step in enumerate(steps):
        for state in reached[place]:
            for there, after in _followers(place, step, state):
                if there < len(steps):
                    reached[there].add(after)
    return reached


def _followers(place: int, step: Instruction, state: _State) -> Iterator[tuple[int, _State]]:
    if step.code == _RETURN:
        return
    if step.code == _JUMP:
        yield place + 1 + step.value, state
    elif step.code not in _CONDITIONS:
        told_apart = step.code == _LOAD and step.value in (_NUMBER, _ARCHITECTURE)
        yield place + 1, state._replace(loaded=step.value if told_apart else _OTHER)
    else:
        asks = step.code == _EQUAL and state.loaded == _ARCHITECTURE
        machine = step.value if step.value in _MACHINES else _OTHER
        if not asks or state.machine in (None, machine):
            yield place + 1 + step.if_true, state._replace(machine=machine) if asks else state
        if not asks or state.machine != machine or machine == _OTHER:
            yield place + 1 + step.if_false, state


def _compared(steps: list[Instruction], states: list[set[_State]]) -> Iterator[int]:
    """The machines that the filter asks for: an x32 call's number can look like one."""
    for step, reached in zip(steps, states, strict=True):
        asks = step.code == _EQUAL and step.value in _MACHINES
        if asks and any(state.loaded == _ARCHITECTURE for state in reached):
            yield step.value


def _numbered(number: int, machines: set[int | None], native: str) -> str:
    """A call's number, with its name where all who come here count alike."""
    told = {_MACHINES.get(value, "") if value is not None else native for value in machines}
    machine = told.pop() if len(told) == 1 else ""
    if machine == "x86_64" and number > _X32_BIT:
        return f"{number} (x32's {number - _X32_BIT})"
    name = NAMES.get(machine, {}).get(number)
    return f"{number} ({name})" if name else str(number)


def _is_plain(found: set[Outcome]) -> bool:
    return len({outcome.answer for outcome in found}) == 1


def _grouped(plain: dict[int, str], otherwise: str) -> list[tuple[str, list[int]]]:
    groups: dict[str, list[int]] = {}
    for number, told in plain.items():
        if told != otherwise:
            groups.setdefault(told, []).append(number)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _told(told: str, names: list[str]) -> str:
    listed = ", ".join(names) if len(names) <= _NAMED else f"{len(names)} calls"
    return f"allows {listed}" if told == "allow" else f"{told} for {listed}"


def _conditional(found: set[Outcome], otherwise: str) -> str:
    """The ways to what it gets unlike the others: `allowed if arg0 == 0 or arg0 == 8`."""
    answers = Counter(outcome.answer for outcome in found)
    wanted = (
        "allow" if "allow" in answers and otherwise != "allow" else min(answers, key=lambda told: told == otherwise)
    )
    ways = sorted({_way(outcome.conditions) for outcome in found if outcome.answer == wanted})
    ways = [way for way in ways if way] or ["its arguments fit"]
    shown = " or ".join(ways[:_NAMED]) + (" or ..." if len(ways) > _NAMED else "")
    return f"{'allowed' if wanted == 'allow' else wanted} if {shown}"


def _way(conditions: tuple[str, ...]) -> str:
    """One path's conditions without those that only say what it is not, and without the upper halves."""
    low = [told for told in conditions if ".high" not in told]
    positive = [told for told in low if " != " not in told]
    return " and ".join(positive or low)


def _answers_alone(program: bytes) -> str:
    answers = Counter(answer(step.value) for step in instructions(program) if step.code == _RETURN)
    return "may answer " + ", ".join(answers)


def _field(offset: int) -> str:
    if offset == _NUMBER:
        return "number"
    if offset == _ARCHITECTURE:
        return "architecture"
    if offset >= _ARGUMENTS:
        place, half = divmod(offset - _ARGUMENTS, 8)
        return f"arg{place}.high" if half else f"arg{place}"
    return "instruction pointer"


def _loaded(offset: int, architecture: int, number: int) -> _Value:
    if offset == _NUMBER:
        return _Value(number)
    return _Value(architecture) if offset == _ARCHITECTURE else _Value(None, _field(offset))


def _masked(value: _Value, mask: int) -> _Value:
    if value.known is not None:
        return _Value(value.known & mask)
    return _Value(None, f"{value.source} & {mask:#x}") if mask != 0xFFFFFFFF else value


def _condition(source: str, sign: str, value: int) -> str:
    """`arg0 & 0x7e020000 == 0`; of a single bit that is looked at, `not arg0 & 0x10000000`."""
    if sign == "& not":
        return f"not {source} & {value:#x}"
    return f"{source} {sign} {hex(value) if value > 9 else value}"


def _holds(known: int, sign: str, value: int) -> bool:
    if sign == "==":
        return known == value
    if sign == "&":
        return bool(known & value)
    return known > value if sign == ">" else known >= value

"""The instructions of classic BPF as seccomp uses them, and the shapes that the compiler is built of.

A filter sees one struct seccomp_data { int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6]; }, can load 32
bits of it at a time, compare, jump *forward*, and return an action. Every shape here is a list of instructions that
ends in a return on every path, so shapes can be put behind each other and jumped over.
"""

import struct

LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP = 0x05  # BPF_JMP | BPF_JA
JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_EQUAL = 0x15, 0x25, 0x35  # BPF_JMP | BPF_JEQ, BPF_JGT, BPF_JGE | BPF_K
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

NR_OFFSET, ARCH_OFFSET, ARGS_OFFSET = 0, 4, 16
LONGEST_JUMP = 255
MOST_INSTRUCTIONS = 4096

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, operand: the fields of struct sock_filter."""

LITERAL_NEXT, MATCH, FAIL = 0, -1, -2
"""Jump targets inside a comparison: the next instruction, the end of this comparison, the end of the rule."""


def assemble(instructions: list[Instruction]) -> bytes:
    """An array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def give(action: int) -> list[Instruction]:
    return [(RETURN, 0, 0, action)]


def choose(code: int, operand: int, yes: list[Instruction], no: list[Instruction]) -> list[Instruction]:
    """If A compares true do yes, else no. A conditional jump reaches 255 instructions, an unconditional one any."""
    if len(no) <= LONGEST_JUMP:
        return [(code, len(no), 0, operand), *no, *yes]
    return [(code, 0, 1, operand), (JUMP, 0, 0, len(no)), *no, *yes]


def search(ranges: list[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """Find the range that A is in: (first number, what to do) in rising order, the first from 0, by halving.

    350 calls are about nine comparisons this way; one comparison for each would be made on every system call.
    """
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    return choose(JUMP_GREATER_EQUAL, ranges[middle][0], search(ranges[middle:]), search(ranges[:middle]))


def compare(index: int, operator: str, value: int, value_two: int) -> list[Instruction]:
    """One condition on a 64-bit argument, by its two halves; jumps are MATCH, FAIL or literal."""
    high_offset, low_offset = ARGS_OFFSET + 8 * index + 4, ARGS_OFFSET + 8 * index
    high, low = (value >> 32) & 0xFFFFFFFF, value & 0xFFFFFFFF
    load_high: Instruction = (LOAD, 0, 0, high_offset)
    load_low: Instruction = (LOAD, 0, 0, low_offset)
    if operator == "SCMP_CMP_MASKED_EQ":
        return [
            load_high,
            (AND, 0, 0, high),
            (JUMP_EQUAL, LITERAL_NEXT, FAIL, (value_two >> 32) & 0xFFFFFFFF),
            load_low,
            (AND, 0, 0, low),
            (JUMP_EQUAL, LITERAL_NEXT, FAIL, value_two & 0xFFFFFFFF),
        ]
    if operator == "SCMP_CMP_EQ":
        return [load_high, (JUMP_EQUAL, 0, FAIL, high), load_low, (JUMP_EQUAL, 0, FAIL, low)]
    if operator == "SCMP_CMP_NE":
        return [load_high, (JUMP_EQUAL, 0, MATCH, high), load_low, (JUMP_EQUAL, FAIL, 0, low)]
    if operator in ("SCMP_CMP_GT", "SCMP_CMP_GE"):
        last = JUMP_GREATER if operator == "SCMP_CMP_GT" else JUMP_GREATER_EQUAL
        head = [load_high, (JUMP_GREATER, MATCH, 0, high), (JUMP_EQUAL, 0, FAIL, high)]
        return [*head, load_low, (last, 0, FAIL, low)]
    last = JUMP_GREATER_EQUAL if operator == "SCMP_CMP_LT" else JUMP_GREATER
    head = [load_high, (JUMP_GREATER, FAIL, 0, high), (JUMP_EQUAL, 0, MATCH, high)]
    return [*head, load_low, (last, FAIL, 0, low)]


def rule(comparisons: list[list[Instruction]], action: int) -> list[Instruction]:
    """All comparisons true: return the action. Any false: go on behind."""
    body_length = sum(len(comparison) for comparison in comparisons) + 1
    result: list[Instruction] = []
    for comparison in comparisons:
        end_of_comparison = len(result) + len(comparison)
        for code, yes, no, operand in comparison:
            here = len(result) + 1
            targets = {LITERAL_NEXT: 0, MATCH: end_of_comparison - here, FAIL: body_length - here}
            is_jump = code & 0x07 == JUMP
            result.append((code, targets[yes] if is_jump else 0, targets[no] if is_jump else 0, operand))
    return [*result, (RETURN, 0, 0, action)]

"""A seccomp filter is told in a line, and instruction by instruction."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tracer.decode import seccomp_filter

X86_64 = 0xC000003E
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0x80000000


def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


FILTER = b"".join(
    (
        step(0x20, ARCHITECTURE),
        step(0x15, X86_64, 0, 7),
        step(0x20, NUMBER),
        step(0x15, 0, 4, 0),  # read
        step(0x15, 1, 3, 0),  # write
        step(0x15, 56, 0, 3),  # clone
        step(0x20, FIRST_ARGUMENT),
        step(0x45, 0x7E020000, 1, 0),
        step(0x06, ALLOW),
        step(0x06, EPERM),
    )
)


def test_summary_says_what_is_allowed_and_on_which_condition() -> None:
    """Allowed calls, the one that depends on its flags, and what all others get."""
    assert seccomp_filter.summary(FILTER) == "allows read, write; clone allowed if not arg0 & 0x7e020000; EPERM else"


def test_outcomes_of_a_call_hold_its_conditions() -> None:
    """A comparison of an argument goes both ways."""
    outcomes = seccomp_filter.outcomes(FILTER, X86_64, 56)

    assert {(outcome.answer, outcome.conditions) for outcome in outcomes} == {
        ("EPERM", ("arg0 & 0x7e020000",)),
        ("allow", ("not arg0 & 0x7e020000",)),
    }


def test_disassembly_names_calls_and_architectures() -> None:
    """Each instruction in words, with the places that it may go to."""
    assert seccomp_filter.disassembly(FILTER) == [
        "0: A = architecture",
        "1: if A == x86_64 goto 2 else 9",
        "2: A = number",
        "3: if A == 0 (read) goto 8 else 4",
        "4: if A == 1 (write) goto 8 else 5",
        "5: if A == 56 (clone) goto 6 else 9",
        "6: A = arg0",
        "7: if A & 0x7e020000 goto 9 else 8",
        "8: return allow",
        "9: return EPERM",
    ]


I386 = 0x40000003
AARCH64 = 0xC00000B7
SEVERAL = b"".join(
    (
        step(0x20, ARCHITECTURE),
        step(0x15, I386, 0, 4),
        step(0x20, NUMBER),
        step(0x15, 21, 1, 0),  # mount, of i386
        step(0x06, ALLOW),
        step(0x06, EPERM),
        step(0x15, AARCH64, 0, 4),
        step(0x20, NUMBER),
        step(0x15, 40, 1, 0),  # mount, of aarch64
        step(0x06, ALLOW),
        step(0x06, EPERM),
        step(0x15, X86_64, 0, 6),
        step(0x20, NUMBER),
        step(0x15, 165, 3, 0),
        step(0x15, 0x40000028, 2, 0),  # 40 of x32, which is also how arm is written
        step(0x35, 0x40000000, 1, 0),
        step(0x06, ALLOW),
        step(0x06, EPERM),
        step(0x06, KILL),
    )
)


def test_summary_is_that_of_the_machine_it_runs_on() -> None:
    """runc compares with i386 first; and a number that looks like a machine is none."""
    assert seccomp_filter.summary(SEVERAL, "x86_64") == "EPERM for mount; allow else; x86, aarch64 too"
    assert seccomp_filter.summary(SEVERAL, "aarch64") == "EPERM for mount; allow else; x86, x86_64 too"


def test_disassembly_names_a_number_by_the_machine_of_its_branch() -> None:
    """21 is mount on i386, access on x86_64: better no name than another machine's."""
    lines = seccomp_filter.disassembly(SEVERAL)

    assert lines[3] == "3: if A == 21 goto 5 else 4"
    assert lines[8] == "8: if A == 40 (mount) goto 10 else 9"
    assert lines[13] == "13: if A == 165 (mount) goto 17 else 14"
    assert lines[14] == "14: if A == 1073741864 (x32's 40) goto 17 else 15"


def test_filter_that_compares_no_machine_is_read_as_that_of_its_own() -> None:
    """Its numbers are those of the machine that it was recorded on."""
    program = b"".join((step(0x20, NUMBER), step(0x15, 40, 0, 1), step(0x06, KILL), step(0x06, ALLOW)))

    assert seccomp_filter.summary(program, "aarch64") == "kill for mount; allow else"
    assert seccomp_filter.disassembly(program, "aarch64")[1] == "1: if A == 40 (mount) goto 2 else 3"


def test_filter_that_denies_a_few_says_so() -> None:
    """A list of what is denied is told as that."""
    program = b"".join((step(0x20, NUMBER), step(0x15, 165, 0, 1), step(0x06, KILL), step(0x06, ALLOW)))

    assert seccomp_filter.summary(program) == "kill for mount; allow else"


def test_filter_that_cannot_be_walked_is_told_by_its_answers() -> None:
    """An instruction of unknown meaning, or a jump out of the program, is not guessed at."""
    strange = step(0x07, 0) + step(0x06, ALLOW) + step(0x06, EPERM)

    assert seccomp_filter.summary(strange) == "may answer allow, EPERM"
    assert seccomp_filter.summary(step(0x05, 77)) == "may answer "


def test_states_of_a_tangled_filter_are_few() -> None:
    """Any traced program may install one: each load and each machine compared doubled what is kept of it."""
    fields = b"".join(step(0x05, skip) + step(0x20, 16 + 4 * (skip % 12)) for skip in range(2))
    machines = b"".join(step(0x20, ARCHITECTURE) + step(0x15, value, 1, 0) + fields for value in range(600))
    tangled = (machines + step(0x15, 7, 0, 0) * 4096)[: 8 * 4095] + step(0x06, ALLOW)
    steps = seccomp_filter.instructions(tangled)

    assert len(steps) == 4096
    assert max(map(len, seccomp_filter._states(steps))) <= 18


def test_filter_whose_walks_are_long_is_told_by_its_answers() -> None:
    """Few paths, each through thousands of instructions, for each of 512 calls."""
    forks = b"".join(step(0x20, FIRST_ARGUMENT + 8 * place) + step(0x15, place, 0, 1) for place in range(5))
    long = forks + step(0x20, NUMBER) * 4000 + step(0x06, ALLOW)

    assert seccomp_filter.summary(long) == "may answer allow"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0x20, 0x06, 0x54, 0x05, 0x15, 0x25, 0x35, 0x45, 7]), st.binary(min_size=6, max_size=6)
        ),
        max_size=20,
    )
)
def test_no_program_raises_or_loops(steps: list[tuple[int, bytes]]) -> None:
    """Jumps only go forward, so any bytes come to an end."""
    program = b"".join(struct.pack("<H", code) + rest for code, rest in steps)

    seccomp_filter.disassembly(program)
    seccomp_filter.outcomes(program, X86_64, 1)

"""What strace says of a program, the recording says too: same calls, same order per thread, arguments and results.

Every difference is listed in `differences.toml`, with its reason. A new one fails, and so does a listed one that is
gone: the list may only become shorter.
"""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.oci_bundle import become_subreaper, reap_strays
from tests.parity import our_log, strace_log
from tests.parity.compare import Difference, line_differences, word_differences
from tests.parity.normal import Rules, threads
from tests.parity.strace_log import Line
from tests.parity.workloads import WORKLOADS, Workload, container

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MOST_KINDS = 4
"""How many kinds of differences were listed last. It may be lowered, not raised."""
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/root",
    "LC_ALL": "C",
    "PYTHONPATH": str(ROOT),
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
LISTED = tomllib.loads((HERE / "differences.toml").read_text())["difference"]

pytestmark = [pytest.mark.slow, pytest.mark.swap]


def expected(workload: str) -> set[tuple[str, str]]:
    """The differences that are listed for a workload."""
    return {(row["call"], row["place"]) for row in LISTED if workload in row["workloads"]}


def record_both(workload: Workload, directory: Path) -> tuple[list[Line], list[Line]]:
    """The same program under strace and under the engine, each in an empty directory of the same name."""
    logs = []
    for recorder in (strace_log, our_log):
        work = directory / "work"
        work.mkdir()
        logs.append(recorder.record(workload.argv(work), directory, ENVIRONMENT))
        work.rename(directory / recorder.__name__)
    return logs[0], logs[1]


def end(lines: list[Line]) -> str:
    """How the first process ended: `exited with 0`."""
    last = [line.text for line in lines if line.tid == lines[0].tid and line.text.startswith("+++")][-1]
    return last.strip("+ ")


def record_container(workload: Workload, directory: Path) -> tuple[list[Line], list[Line]]:
    """The same container, twice."""
    become_subreaper()
    (directory / "box").mkdir()
    box, argv = container(workload, directory / "box")
    try:
        theirs = strace_log.record(argv, directory, ENVIRONMENT)
        reap_strays()
        ours = our_log.record(argv, directory, ENVIRONMENT)
        reap_strays()
    finally:
        box.close()
    return theirs, ours


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_recording_says_what_strace_says(workload: Workload, tmp_path: Path, require: Callable[..., None]) -> None:
    """Line by line, or word by word where threads take turns as they like; but for what is listed."""
    require("strace", "setarch", *workload.needs)
    if workload.as_root and os.geteuid() != 0:
        pytest.skip("needs root")

    theirs, ours = (record_container if workload.runtime else record_both)(workload, tmp_path)
    assert (workload.ends, workload.ends) == (end(theirs), end(ours))
    compare = line_differences if workload.by_line else word_differences
    found = compare(threads(theirs, workload.rules), threads(ours, workload.rules))

    told = {tuple(key): lines for key, lines in found.items()}
    new = {key: lines for key, lines in told.items() if key not in expected(workload.name)}
    gone = expected(workload.name) - told.keys()
    assert not new, "\n".join(f"{call}, {place}:\n- {one}\n+ {two}" for (call, place), (one, two) in new.items())
    assert not gone, f"no difference any more; take it off the list: {sorted(gone)}"
    assert len(theirs) > 20
    assert len(ours) > 20


def test_list_of_differences_only_becomes_shorter() -> None:
    """Each row has a reason and workloads that exist, and there are not more rows than before."""
    names = {workload.name for workload in WORKLOADS}

    assert MOST_KINDS >= len(LISTED)
    for row in LISTED:
        assert row["reason"].strip()
        assert set(row["workloads"]) <= names
        assert row["workloads"]


def test_comparison_sees_each_kind_of_difference() -> None:
    """A wrong argument, a wrong result, a call too few and one too many are all found."""
    theirs = threads([Line(1, 'open("a", O_RDONLY) = 3'), Line(1, "close(3) = 0")], Rules())
    ours = threads([Line(1, 'open("b", O_RDONLY) = 4'), Line(1, "read(3) = 0")], Rules())

    found = line_differences(theirs, ours)

    assert found.keys() == {
        Difference(("open", "argument 1")),
        Difference(("open", "result")),
        Difference(("close", "only strace")),
        Difference(("read", "only ours")),
    }


def test_comparison_does_not_mind_when_a_death_is_told() -> None:
    """But that it is told, and what of, is compared."""
    wait, death = "wait4(7, NULL, 0, NULL) = 7", "--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=7} ---"
    before = threads([Line(1, death), Line(1, wait)], Rules())
    after = threads([Line(1, wait), Line(1, death)], Rules())
    never = threads([Line(1, wait)], Rules())

    assert line_differences(before, after) == {}
    assert len(line_differences(before, never)) == 1


def test_comparison_of_words_sees_a_structure_that_is_an_address() -> None:
    """What one log says of an argument again and again, and the other never, is a difference."""
    theirs = threads([Line(1, "fstat(3, {st_mode=S_IFREG|0644, ...}) = 0")] * 3, Rules())
    ours = threads([Line(1, "fstat(3, 0x7ffd00112233) = 0")] * 3, Rules())

    found = word_differences(theirs, ours)

    assert list(found) == [Difference(("fstat", "argument 2"))]


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        (lambda line: [], "only strace"),
        (lambda line: [line.replace("<pipe:[7]>", "</etc/passwd>")], "result"),
        (lambda line: [line.replace("/proc", "/sys")], "only ours"),
    ],
    ids=["lost", "descriptors renamed", "argument changed"],
)
def test_comparison_of_words_sees_a_damaged_line(damage: Callable[[str], list[str]], place: str) -> None:
    """A call that makes the container may not be lost or say something else, nor a descriptor be another."""
    found = word_differences(
        _CONTAINER, {name: [new for line in _CONTAINER[name] for new in damage(line)] for name in _CONTAINER}
    )

    assert place in {difference[1] for difference in found}


@pytest.mark.parametrize(
    ("right", "damaged"),
    [
        ("setgid(0) = 0", "setgid(1000) = 0"),
        ("setresuid(0, 100000, 0) = 0", "setresuid(0, 200000, 0) = 0"),
        ("setgroups(2, [10, 20]) = 0", "setgroups(2, [10, 30]) = 0"),
        ("setuid(T.2#1000) = 0", "setuid(T.3#1001) = 0"),
        ('chmod("/proc/self/fd/8", 0644) = 0', 'chmod("/proc/self/fd/8", 0777) = 0'),
        ("fchown(7<pipe:[N]>, 0, 0) = 0", "fchown(7<pipe:[N]>, 0, 5) = 0"),
        ("umask(022) = 000", "umask(000) = 000"),
        ('mknodat(3</>, "null", 0666|S_IFCHR, makedev(0x1, 0x3)) = 0',
         'mknodat(3</>, "null", 0600|S_IFCHR, makedev(0x1, 0x3)) = 0'),
        ('mount("tmpfs", "/dev", "tmpfs", 0, "mode=755,size=65536k") = 0',
         'mount("tmpfs", "/dev", "tmpfs", 0, "mode=777,size=65536k") = 0'),
    ],
)  # fmt: skip
def test_comparison_of_words_sees_another_number(right: str, damaged: str) -> None:
    """Users, groups, modes and sizes are the same in both runs."""
    found = word_differences({"T": [right]}, {"T": [damaged]})

    assert {difference[1] for difference in found} == {"only strace", "only ours"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fchdir(10</box>) = 0", "fchdir(6</box>) = 0"),
        ("dup3(10<pipe:[N]>, 1</dev/null>, 0) = 1<pipe:[N]>", "dup3(11<pipe:[N]>, 1</dev/null>, 0) = 1<pipe:[N]>"),
        ('mount("proc", "/proc/self/fd/6", "proc", 0, NULL) = 0',
         'mount("proc", "/proc/self/fd/9", "proc", 0, NULL) = 0'),
        ('keyctl(KEYCTL_DESCRIBE, 611899890, "", 0) = 40', 'keyctl(KEYCTL_DESCRIBE, 89312, "", 0) = 40'),
        ("clone(child_stack=ADDR, flags=CLONE_NEWNS) = T.2#71", "clone(child_stack=ADDR, flags=CLONE_NEWNS) = T.4#802"),
        ('rename("config.json.T.1#71", "config.json") = 0', 'rename("config.json.T.1#802", "config.json") = 0'),
        ("setuid(T.2#1000) = 0", "setuid(1000) = 0"),
    ],
)  # fmt: skip
def test_comparison_of_words_does_not_mind_who_got_which_number(one: str, other: str) -> None:
    """Descriptors and processes; and a user may have the number of a process in one run."""
    assert word_differences({"T": [one]}, {"T": [other]}) == {}


def test_comparison_of_words_sees_order_and_threads() -> None:
    """The same calls backwards, or all in one thread, are not the same."""
    backwards = {name: lines[::-1] for name, lines in _CONTAINER.items()}
    together = {"T": [line for lines in _CONTAINER.values() for line in lines]}

    assert {difference[1] for difference in word_differences(_CONTAINER, backwards)} == {"order"}
    assert {difference[1] for difference in word_differences(_CONTAINER, together)} == {"order"}


def test_comparison_of_words_does_not_mind_what_go_does_beside() -> None:
    """Interrupts, waits, and which numbers descriptors have."""
    beside = ["--- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---", "futex(ADDR, FUTEX_WAIT, 0, NULL) = 0"]
    other = {name: [*beside * 5, *[line.replace("6", "11") for line in lines]] for name, lines in _CONTAINER.items()}
    theirs = {name: [*beside, beside[0].replace("TKILL", "USER") * 3, *lines] for name, lines in _CONTAINER.items()}

    assert word_differences(theirs, other) == {}


_CONTAINER = {
    "T": [*['openat(AT_FDCWD</>, "/run/fifo", O_RDONLY) = 6<pipe:[7]>'] * 3, "setsid() = 5", 'chdir("/tmp") = 0'],
    "T.1": [
        'mount("proc", "/proc", "proc", 0, NULL) = 0',
        'pivot_root(".", ".") = 0',
        'sethostname("box", 3) = 0',
    ],
}

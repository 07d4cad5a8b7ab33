"""Where two logs of the same program say different things.

`line_differences` compares line by line: for programs that do the same every time. `word_differences` compares what is
said about each argument of each call: for programs whose threads take turns as the scheduler likes (Go), so that no
two runs make the same calls.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import zip_longest

from tests.parity.normal import same

Threads = Mapping[str, list[str]]
_CALL = re.compile(r"(\w+)\((.*)\) = (.*)|(\w+)\((.*)")
_OPENERS, _CLOSERS = "([{<", ")]}>"
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]{2,}")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_DESCRIPTOR = re.compile(r"(?<=[\w])<([^<>]*)>")
_DESCRIPTORS = re.compile(r"\b\d+(?=<[^<])|(?<=/fd/)\d+\b")
_MARKED = re.compile(r"[T?][\d.]*#(\d+)\b")
_PROCESSES = re.compile(rf"{_MARKED.pattern}|\bADDR\b")
_KEYS = re.compile(r"(?<=, )\d+(?=,)")
_REPLACING = re.compile(r"(?<=/state-)\d+\b")
"""runc's file that becomes state.json: Go has chosen its number."""
STEADY = frozenset(
    """
    bind bpf capget capset chdir chmod chown chroot clone dup3 execveat fchdir fchmod fchmodat fchmodat2 fchown fchownat
    fsconfig fsmount fsopen keyctl lchown mknod mknodat mount mount_setattr move_mount open_tree pivot_root
    rename renameat seccomp setdomainname setfsgid setfsuid setgid setgroups sethostname setns setregid
    setresgid setresuid setreuid setsid setuid symlinkat umask umount2 unshare
    """.split()
)
"""Calls that make the container: always the same ones, whatever Go does beside."""
_ORDERED = frozenset(
    """
    capset chroot keyctl mount pivot_root seccomp setdomainname setgid setgroups sethostname setns setresgid setresuid
    setsid setuid umount2 unshare
    """.split()
)
"""Those of them that a Go program must make in a thread that it holds on to: the others may be made by any."""
_NO_PROCESS = frozenset(
    """
    chmod chown fchmod fchmodat fchmodat2 fchown fchownat lchown mknod mknodat setfsgid setfsuid setgid
    setgroups setregid setresgid setresuid setreuid setuid umask
    """.split()
)
"""Those of them whose numbers are users, groups, modes and devices, even where a process has the same number."""
_BY_CHANCE = frozenset({"exit", "signal SIGURG", "rt_sigreturn"})
"""Go interrupts its own threads by SIGURG, as often as the scheduler makes it necessary, wherever they are."""
_OFTEN = 3
"""A word that one log uses this often and the other never is a difference; less may be chance."""


class Difference(tuple[str, str]):
    """A call, and the place in its line: `argument 2`, `result`, `only strace`, `only ours`."""

    __slots__ = ()


def line_differences(strace: Threads, ours: Threads) -> dict[Difference, tuple[str, str]]:
    """Each kind of difference with one pair of lines as its example."""
    found: dict[Difference, tuple[str, str]] = {}
    for name in sorted(strace.keys() | ours.keys()):
        for theirs, mine in _paired(_deaths_last(strace.get(name, [])), _deaths_last(ours.get(name, []))):
            for place in _places(theirs, mine):
                found.setdefault(Difference((_call(theirs or mine), place)), (theirs, mine))
    return found


def _deaths_last(lines: list[str]) -> list[str]:
    """Whether a child's death is told before the call that waits for it is made, or after it, is a matter of time."""
    return sorted(lines, key=lambda line: line.startswith("--- SIGCHLD"))


def word_differences(strace: Threads, ours: Threads) -> dict[Difference, tuple[str, str]]:
    """Each argument that one log says something about that the other never does."""
    found: dict[Difference, tuple[str, str]] = {}
    theirs, mine = _vocabulary(strace), _vocabulary(ours)
    calls = {call for call, _ in theirs} & {call for call, _ in mine}
    for key in sorted(theirs.keys() | mine.keys()):
        if key[0] not in calls:
            continue
        one, two = theirs.get(key, Counter()), mine.get(key, Counter())
        for who, only, other in (("strace", one, two), ("ours", two, one)):
            missing = sorted(word for word, count in only.items() if count >= _OFTEN and word not in other)
            if missing:
                found.setdefault(Difference(key), (f"only {who} says", " ".join(missing)))
    return {**found, **_steady_differences(strace, ours)}


def _steady_differences(strace: Threads, ours: Threads) -> dict[Difference, tuple[str, str]]:
    """Calls that make the container and are in one log only; else threads that make them in another order."""
    found: dict[Difference, tuple[str, str]] = {}
    theirs, mine = _steady(strace), _steady(ours)
    one, two = (Counter(line for lines in each for line in lines) for each in (theirs, mine))
    for line in one - two:
        found.setdefault(Difference((_call(line), "only strace")), (line, ""))
    for line in two - one:
        found.setdefault(Difference((_call(line), "only ours")), ("", line))
    if found:
        return found
    theirs, mine = _in_order(theirs), _in_order(mine)
    for sequence in Counter(theirs) - Counter(mine):
        others = [each for each in mine if each not in theirs] or [()]
        near = max(others, key=lambda other: SequenceMatcher(None, sequence, other, autojunk=False).ratio())
        place = next(place for place, pair in enumerate(zip_longest(sequence, near)) if pair[0] != pair[1])
        shown = ["".join(each[place : place + 1]) for each in (sequence, near)]
        found.setdefault(Difference((_call(shown[0] or shown[1]), "order")), (shown[0], shown[1]))
    return found


def _in_order(threads: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    ordered = (tuple(line for line in lines if _call(line) in _ORDERED) for lines in threads)
    return [lines for lines in ordered if lines]


def _steady(threads: Threads) -> list[tuple[str, ...]]:
    """Each thread's calls that make the container, without the numbers that no two runs share."""
    found = []
    for lines in threads.values():
        kept = [_steadied(line) for line in lines if _is_steady(line)]
        if kept:
            found.append(tuple(kept))
    return found


def _steadied(line: str) -> str:
    """The line without the numbers that descriptors, processes and keys have got; all others say something."""
    call = _call(line)
    line = _MARKED.sub(r"\1", line) if call in _NO_PROCESS else _PROCESSES.sub("N", line)
    line = _KEYS.sub("N", line) if call == "keyctl" else line
    return _REPLACING.sub("N", _DESCRIPTORS.sub("N", line))


def _vocabulary(threads: Threads) -> dict[tuple[str, str], Counter[str]]:
    """(call, place) -> how often each word is said there; of strings none, of a file what kind it is; no failed calls.

    Whether a call fails (EAGAIN, EINTR) is a matter of time, and nothing is decoded of what it would have filled.
    """
    words: dict[tuple[str, str], Counter[str]] = {}
    for lines in threads.values():
        for line in lines:
            call, arguments, result = _taken_apart(line)
            if result.startswith(("-1", "?")) or call in _BY_CHANCE:
                continue
            places = [(f"argument {place}", text) for place, text in enumerate(arguments, 1)]
            for place, text in [*places, ("result", result)]:
                words.setdefault((call, place), Counter()).update(_WORD.findall(_kinds(text)))
    return words


def _is_steady(line: str) -> bool:
    """Threads, and the processes of a shell that waits, are made as often as time will have it."""
    call = _call(line)
    return call in STEADY and (call != "clone" or "CLONE_NEW" in line) and not _taken_apart(line)[2].startswith("?")


def _kinds(text: str) -> str:
    """Strings taken out, and of each descriptor's file only its kind left: `kind_pipe`, `kind_file`."""
    return _DESCRIPTOR.sub(lambda found: f" kind_{_kind(found[1])} ", _STRING.sub("", text))


def _kind(file: str) -> str:
    return "file" if file.startswith("/") else file.partition(":[")[0]


def _paired(strace: list[str], ours: list[str]) -> Iterator[tuple[str, str]]:
    """Lines that belong together; empty where the other log has none."""
    theirs, mine = [_call(line) for line in strace], [_call(line) for line in ours]
    for what, a, b, c, d in SequenceMatcher(None, theirs, mine, autojunk=False).get_opcodes():
        if what == "equal":
            yield from zip(strace[a:b], ours[c:d], strict=True)
        else:
            yield from ((line, "") for line in strace[a:b])
            yield from (("", line) for line in ours[c:d])


def _places(theirs: str, mine: str) -> Iterator[str]:
    if not theirs or not mine:
        yield "only strace" if theirs else "only ours"
        return
    if same(theirs, mine):
        return
    _, arguments, result = _taken_apart(theirs)
    _, our_arguments, our_result = _taken_apart(mine)
    if len(arguments) != len(our_arguments):
        yield "arguments"
    else:
        for place, (one, other) in enumerate(zip(arguments, our_arguments, strict=True), 1):
            if not same(one, other):
                yield f"argument {place}"
    if not same(result, our_result):
        yield "result"


def _call(line: str) -> str:
    """The call's name; `signal SIGCHLD` and `exit` for the other kinds of lines."""
    if line.startswith("--- "):
        return "signal " + line.split()[1]
    return "exit" if line.startswith("+++") else line.partition("(")[0]


def _taken_apart(line: str) -> tuple[str, list[str], str]:
    """A line's call, its arguments, and its result."""
    found = _CALL.fullmatch(line)
    if not found:
        return _call(line), [line], ""
    if found[4]:
        return found[4], _split(found[5]), ""
    return found[1], _split(found[2]), found[3]


def _split(text: str) -> list[str]:
    """Arguments at their commas, except those inside strings, structures and lists."""
    parts, depth, start, quoted, place = [], 0, 0, False, 0
    while place < len(text):
        letter = text[place]
        if quoted:
            place += letter == "\\"
            quoted = letter != '"'
        elif letter == '"':
            quoted = True
        elif letter in _OPENERS and not text.startswith("<<", place):
            depth += 1
        elif letter in _CLOSERS and depth:
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
        place += 1
    return [*parts, text[start:].strip()] if text else []

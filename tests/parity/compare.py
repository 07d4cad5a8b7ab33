"""Where two logs of the same program say different things.

`line_differences` compares line by line: for programs that do the same every time. `word_differences` compares what is
said about each argument of each call: for programs whose threads take turns as the scheduler likes (Go), so that no
two runs make the same calls.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

from tests.parity.normal import same

Threads = Mapping[str, list[str]]
_CALL = re.compile(r"(\w+)\((.*)\) = (.*)|(\w+)\((.*)")
_OPENERS, _CLOSERS = "([{<", ")]}>"
_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]{2,}")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|<[^>]*>')
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
    return found


def _vocabulary(threads: Threads) -> dict[tuple[str, str], Counter[str]]:
    """(call, place) -> how often each word is said there; strings and file names do not count, nor failed calls.

    Whether a call fails (EAGAIN, EINTR) is a matter of time, and nothing is decoded of what it would have filled.
    """
    words: dict[tuple[str, str], Counter[str]] = {}
    for lines in threads.values():
        for line in lines:
            call, arguments, result = _taken_apart(line)
            if result.startswith(("-1", "?")) or call == "exit":
                continue
            places = [(f"argument {place}", text) for place, text in enumerate(arguments, 1)]
            for place, text in [*places, ("result", result)]:
                words.setdefault((call, place), Counter()).update(_WORD.findall(_STRING.sub("", text)))
    return words


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

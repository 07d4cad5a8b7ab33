"""Command-line flags as docker's: ``-it``, ``-m64m``, ``-m=64m``, ``--memory 64m``, ``--memory=64m``.

Real counterpart: github.com/spf13/pflag, with ``SetInterspersed(false)`` as docker CLI's
cli/command/container/run.go sets it: flags end at IMAGE, and everything after it belongs to the container.

Why not argparse: it abbreviates long flags, moves flags that come after IMAGE (``run hostbox ls -l`` would lose its
``-l``), and words its errors differently; docker's words are what scripts and people search for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
"""What the numbers of a request have room for: they are int64 in Go."""


class UsageError(Exception):
    """A command line that is refused before a word is said to the daemon: a flag is wrong.

    Its kinds differ in the words around the message and in the exit code, which scripts know apart::

        UsageError            MESSAGE, Usage: ..., Run ... --help                125
        ConflictError         docker: MESSAGE, Run ... --help                    125
        MissingWordError      docker: MESSAGE, and how the verb is used            1
        RefusedHereError      MESSAGE alone                                        1
    """


class ConflictError(UsageError):
    """Each flag is right, together they are not."""


class MissingWordError(UsageError):
    """There is no such verb, or the verb lacks the name that it works on."""


class RefusedHereError(UsageError):
    """Something about this terminal or these streams forbids it."""


class Flag:
    """One flag: how it is written, how its text becomes a value, and which field of the request it ends up in."""

    def __init__(
        self,
        name: str,
        short: str = "",
        *,
        kind: str = "string",
        convert: Callable[[str], object] = str,
        repeat: bool = False,
        field: str = "",
        help: str = "",
        left_out: bool = False,
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        """The word that ``--help`` shows; ``bool`` flags take no separate argument."""
        self.convert = convert
        """Text to value; raises ValueError with docker's own wording."""
        self.repeat = repeat
        self.field = field
        """Dotted path in the create request ("HostConfig.Memory"), empty where a decision is needed on the way."""
        self.help = help
        self.left_out = left_out
        """Docker has it and this client has not: to be said, for "unknown flag" would be untrue."""

    @property
    def spelling(self) -> str:
        """How docker names the flag in an error: ``-m, --memory``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


def boolean(text: str) -> bool:
    """Go's strconv.ParseBool, which is what decides whether ``--rm=no`` is an error (it is)."""
    if text in {"1", "t", "T", "TRUE", "true", "True"}:
        return True
    if text in {"0", "f", "F", "FALSE", "false", "False"}:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def integer(text: str) -> int:
    """Go's strconv.ParseInt with base 0."""
    return _parse_int(text, 0)


def decimal(text: str) -> int:
    """Go's strconv.ParseInt with base 10."""
    return _parse_int(text, 10)


def _parse_int(text: str, radix: int) -> int:
    try:
        number = int(text, radix)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not INT64_MIN <= number <= INT64_MAX:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


class Values:
    """What the flags said, by flag name; asking for a flag that was not given answers its empty value."""

    def __init__(self) -> None:
        self._given: dict[str, object] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def set(self, flag: Flag, value: object) -> None:
        """Keep a value; a repeated list flag adds, any other flag's last word counts."""
        if flag.repeat:
            given = self._given.setdefault(flag.name, [])
            assert isinstance(given, list)
            given.append(value)
        else:
            self._given[flag.name] = value

    def raw(self, name: str) -> object:
        return self._given.get(name)

    def on(self, name: str) -> bool:
        return self._given.get(name) is True

    def text(self, name: str) -> str:
        value = self._given.get(name, "")
        assert isinstance(value, str)
        return value

    def number(self, name: str) -> int:
        value = self._given.get(name, 0)
        assert isinstance(value, int)
        return value

    def many(self, name: str) -> list[str]:
        value = self._given.get(name, [])
        assert isinstance(value, list)
        return value


def parse(flags: Sequence[Flag], argv: Sequence[str], interspersed: bool = False) -> tuple[Values, list[str]]:
    """Split a command line into flag values and the words left over.

    Args:
        flags: the flags that exist.
        argv: the words after the verb.
        interspersed: whether flags may follow words (``rm c1 -f``); never so for ``run``.

    """
    long = {flag.name: flag for flag in flags}
    short = {flag.short: flag for flag in flags if flag.short}
    values, queue = Values(), list(argv)
    words: list[str] = []
    while queue:
        word = queue.pop(0)
        if word == "--":
            return values, words + queue
        if word.startswith("--"):
            _take_long(long, word, queue, values)
        elif word.startswith("-") and word != "-":
            _take_short(short, word, queue, values)
        else:
            words.append(word)
            if not interspersed:
                return values, words + queue
    return values, words


def _take_long(long: dict[str, Flag], word: str, queue: list[str], values: Values) -> None:
    name, equals, text = word[2:].partition("=")
    flag = long.get(name)
    if flag is None:
        raise UsageError(f"unknown flag: --{name}")
    if flag.left_out:
        raise ConflictError(f"docker has --{name}, this client leaves it out; try --client docker")
    if not equals:
        if flag.kind == "bool":
            text = "true"
        elif queue:
            text = queue.pop(0)
        else:
            raise UsageError(f"flag needs an argument: --{name}")
    _convert(flag, text, values)


def _take_short(short: dict[str, Flag], word: str, queue: list[str], values: Values) -> None:
    """Read a cluster: ``-itd`` is three flags, ``-m64m`` and ``-m=64m`` one flag with its argument attached."""
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = short.get(letter)
        if flag is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in {word}")
        if letters.startswith("="):
            text, letters = letters[1:], ""
        elif flag.kind == "bool":
            text = "true"
        elif letters:
            text, letters = letters, ""
        elif queue:
            text = queue.pop(0)
        else:
            raise UsageError(f"flag needs an argument: '{letter}' in {word}")
        _convert(flag, text, values)


def _convert(flag: Flag, text: str, values: Values) -> None:
    try:
        values.set(flag, flag.convert(text))
    except ValueError as error:
        raise UsageError(f'invalid argument "{text}" for "{flag.spelling}" flag: {error}') from None


def describe(flags: Sequence[Flag]) -> str:
    """Lay the flags out as ``--help`` shows them, one a line."""
    lines = []
    for flag in sorted((each for each in flags if not each.left_out), key=lambda each: each.name):
        start = f"  -{flag.short}, " if flag.short else "      "
        kind = "" if flag.kind == "bool" else f" {flag.kind}"
        lines.append(f"{start + '--' + flag.name + kind:<36}{flag.help}".rstrip())
    return "\n".join(lines)

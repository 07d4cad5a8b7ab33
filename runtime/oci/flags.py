"""A flag parser for runc's command line, small enough to start fast.

Counterpart: runc's urfave/cli. Flags come before positionals and end at the first word that is not a flag, so that
`exec ID ls -l` gives `-l` to ls. `--name value`, `--name=value` and the single-dash spellings are all taken.
argparse would do this and cost 12 ms per verb, which is a third of what a whole `start` takes.
"""

from runtime.oci.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Flag:
    """One flag: its spellings, the name of its value ("" for a switch), what it does, whether it repeats."""

    __slots__ = ("help", "repeats", "spellings", "value")

    def __init__(self, spellings: str, value: str, help: str, *, repeats: bool = False) -> None:
        self.spellings = spellings.split()
        self.value = value
        self.help = help
        self.repeats = repeats

    @property
    def key(self) -> str:
        return self.spellings[0].lstrip("-")


class Arguments:
    """What the flags of one command line said."""

    __slots__ = ("lists", "positionals", "switches", "values")

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.switches: set[str] = set()
        self.positionals: list[str] = []

    def value(self, key: str) -> str:
        """The value of a flag, or the empty string."""
        return self.values.get(key, "")


def parse(flags: "Sequence[Flag]", words: "Sequence[str]") -> Arguments:
    """Read flags up to the first positional (or `--`); everything after is positional."""
    by_spelling = {spelling: flag for flag in flags for spelling in flag.spellings}
    found = Arguments()
    position = 0
    while position < len(words):
        word = words[position]
        if word == "--":
            position += 1
            break
        if not word.startswith("-") or word == "-":
            break
        position += 1
        name, equals, value = word.partition("=")
        flag = by_spelling.get(name) or by_spelling.get("-" + name)
        if flag is None:
            raise UsageError(f"flag provided but not defined: {name}")
        if not flag.value:
            if value not in ("", "true", "false"):
                raise UsageError(f'invalid boolean value "{value}" for {name}')
            if value != "false":
                found.switches.add(flag.key)
            continue
        if not equals:
            if position >= len(words):
                raise UsageError(f"flag needs an argument: {name}")
            value = words[position]
            position += 1
        if flag.repeats:
            found.lists.setdefault(flag.key, []).append(value)
        else:
            found.values[flag.key] = value
    found.positionals = list(words[position:])
    return found


def usage(title: str, about: str, flags: "Sequence[Flag]") -> str:
    """The text of --help."""
    lines = [f"usage: {title}", "", about.strip(), ""]
    for flag in flags:
        head = ", ".join(flag.spellings) + (f" {flag.value}" if flag.value else "")
        lines.append(f"  {head:<34} {flag.help}")
    return "\n".join(lines) + "\n"

"""How faithful our daemon is, command by command: `python -m tests.swap.fidelity` writes runtime/FIDELITY.md.

Three sources, none of them prose alone: the scripts that dockerd and ours both pass (docker_cli*.toml and the suites
beside them) say what was compared; fidelity.toml names what still differs; the daemon's own tables say what it refuses.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runtime.daemon.host_config import NOT_MODELED
from runtime.daemon.routes.outside import REFUSED

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "runtime" / "FIDELITY.md"

_IN_SCRIPT = re.compile(r"\bdocker (?:-\S+ )*((?:image|network|volume|system) [a-z]+|[a-z]+)")
_IN_PYTHON = re.compile(r"\.(?:docker|must)\(\s*\"([a-z]+)\"")


class Command(NamedTuple):
    """One docker command."""

    group: str
    name: str
    differences: list[str]
    suites: list[str]
    """The files in tests/swap that use it on both daemons."""

    @property
    def fidelity(self) -> str:
        """In a word."""
        return "simplified" if self.differences else "same"


def commands() -> list[Command]:
    """Every command that fidelity.toml knows, with where it is compared."""
    document: dict[str, dict[str, list[str]]] = tomllib.loads((HERE / "fidelity.toml").read_text())
    used = used_commands()
    return [
        Command(group, name, differences, sorted(used.get(name, ())))
        for group, members in document.items()
        for name, differences in members.items()
    ]


def used_commands() -> dict[str, set[str]]:
    """Command -> the suites that run it."""
    used: dict[str, set[str]] = {}
    for suite, name in _uses():
        used.setdefault(name, set()).add(suite)
    return used


def _uses() -> Iterator[tuple[str, str]]:
    for path in HERE.glob("docker_cli*.toml"):
        for case in tomllib.loads(path.read_text()).values():
            yield from ((path.stem, name) for name in _IN_SCRIPT.findall(case["script"]))
    for suite in ("test_images", "test_login"):
        text = (HERE / f"{suite}.py").read_text()
        yield from ((suite, name) for name in _IN_PYTHON.findall(text))


def page() -> str:
    """The whole page."""
    lines = [
        "# Fidelity",
        "",
        "What the docker CLI's commands do under our daemon, beside dockerd 20.10.",
        "*same*: the scripts named pass on both, to the letter of output, complaint and exit code.",
        "*simplified*: they do too, and what differs beyond them is named.",
        "*not modelled*: refused with 501 and a sentence that names it.",
        "docker-py 7 passes one suite on both (`tests/swap/test_docker_py.py`).",
        "",
        "Written by `make fidelity` from `tests/swap/`; a test compares it.",
    ]
    found = commands()
    for group in dict.fromkeys(command.group for command in found):
        lines += ["", f"## {group}", "", "| docker ... | fidelity | what differs | compared in |", "|---|---|---|---|"]
        lines += [
            f"| `{command.name}` | {command.fidelity} | {' '.join(command.differences)} | {', '.join(command.suites)} |"
            for command in found
            if command.group == group
        ]
    lines += ["", "## Not modelled", "", "| request | what |", "|---|---|"]
    lines += [f"| `{method} {path}` | {what} |" for method, path, what in REFUSED]
    lines += [
        "",
        f"Flags of `create` and `run`: {', '.join(f'`{flag}`' for flag in NOT_MODELED.values())}, `--health-cmd`.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())

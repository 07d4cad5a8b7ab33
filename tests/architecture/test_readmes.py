"""READMEs are true or they are bugs: each folder of the project has one, and what it names is there."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from runtime.client.run_flags import RUN_FLAGS
from tests.seat_stages import NOT_SHOWN_BY
from tests.tui.story import docker_run
from tracer.cli import VERBS
from tracer.lessons import FIRST, load_lesson
from tracer.report.as_json import json_report
from tracer.session.recording import Recording
from tracer.tui.keys import GROUPS, LEAVE_TERMINAL

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("tracer", "runtime", "lessons", "screenshots")
READMES = sorted([ROOT / "README.md", *(p for top in (*SHIPPED, "tests") for p in (ROOT / top).rglob("README.md"))])
NAMED = re.compile(r"`([\w./]+\.(?:py|toml|tcss|proto))`")
"""A file in backticks; real counterparts are written in Go and C, so their names do not match."""

COMMAND = re.compile(r"(?:^|`)glassbottom (?!--)([\w-]+)([^`\n#|&]*)", re.MULTILINE)
OPTION = re.compile(r"`(--[a-z-]+)")
FOR_USERS = ("README.md", "lessons/README.md", "tracer/verbs/README.md", "tracer/tui/README.md")
"""Where an option in backticks is one of ours or of docker run's; elsewhere it may be any program's."""
KEY = re.compile(r"`([A-Za-z?,]|Space|Enter|Home|End|Tab|Esc|Ctrl-.)`")
FOR_KEYS = ("README.md", "tracer/tui/README.md", "tracer/tui/screens/README.md", "tracer/tui/widgets/README.md")


@cache
def options_of(verb: str) -> set[str]:
    """Every option that a verb's help names, and docker run's where they are passed on."""
    said = subprocess.run([sys.executable, "-m", "tracer", verb, "--help"], capture_output=True, text=True).stdout
    dockers = {f"--{flag.name}" for flag in RUN_FLAGS} | {f"-{flag.short}" for flag in RUN_FLAGS if flag.short}
    own = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", said))
    return own | (dockers if verb in {"run", "record"} else set())


def folders_with_sources() -> list[Path]:
    """Every folder that ships a module or a lesson."""
    sources = (p for top in SHIPPED for pattern in ("*.py", "lesson.toml") for p in (ROOT / top).rglob(pattern))
    return sorted({p.parent for p in sources if p.name != "__init__.py"})


def is_there(name: str, folder: Path) -> bool:
    """True for a path from the README's folder, one of its parents, or anywhere below it."""
    parents = [folder, *folder.parents]
    return any((place / name).exists() for place in parents[: parents.index(ROOT) + 1]) or any(folder.rglob(name))


@pytest.mark.parametrize("folder", folders_with_sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_folder_with_sources_has_a_readme(folder: Path) -> None:
    """A newcomer who opens a folder finds out what it is."""
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize("readme", READMES, ids=lambda p: str(p.parent.relative_to(ROOT)))
def test_readme_names_only_files_that_exist(readme: Path) -> None:
    """A file that was renamed or removed is renamed or removed in the text as well."""
    text = readme.read_text()

    missing = [name for name in NAMED.findall(text) if not is_there(name, readme.parent)]

    assert missing == []


def test_readme_of_the_tests_has_a_word_for_every_folder() -> None:
    """What is proved where, or what a folder is for."""
    text = (ROOT / "tests/README.md").read_text()
    folders = sorted(folder.name for folder in (ROOT / "tests").iterdir() if any(folder.glob("[!.]*.*")))

    assert [] == [name for name in folders if f"`{name}/`" not in text and name != "__pycache__"]


def test_readme_of_the_stages_names_those_that_a_real_part_does_not_show() -> None:
    """Each of them has a row, with the reason."""
    text = (ROOT / "tracer/stages/README.md").read_text()

    assert [] == [stage for stages in NOT_SHOWN_BY.values() for stage in stages if f"\n| `{stage}` |" not in text]


@pytest.mark.parametrize("readme", READMES, ids=lambda p: str(p.parent.relative_to(ROOT)))
def test_readme_shows_only_commands_that_there_are(readme: Path) -> None:
    """Its verbs are verbs, and what stands before an image or a file are options of theirs."""
    wrong = []
    for verb, words in COMMAND.findall(readme.read_text()):
        before_run = words.partition(" run ")[0].partition(" -- ")[0]
        options = [word.partition("=")[0] for word in before_run.split() if word.startswith("-")]
        known = options_of(verb) if verb in VERBS else set()
        together = {f"-{letter}" for word in options if re.fullmatch("-[a-z]+", word) for letter in word[1:]}
        asked = together | {word for word in options if word.startswith("--")}
        if verb not in VERBS or asked - known:
            wrong.append((verb, sorted(asked - known)))

    assert wrong == []


@pytest.mark.parametrize("name", FOR_USERS)
def test_readme_names_only_options_that_there_are(name: str) -> None:
    """Of any of our verbs, or of docker run's."""
    known = set().union(*(options_of(verb) for verb in VERBS))

    assert [] == [option for option in OPTION.findall((ROOT / name).read_text()) if option not in known]


def test_every_option_that_a_verb_takes_is_in_its_help() -> None:
    """What is read off the front of a command line is told."""
    from tracer.verbs import record, run

    for verb, module in (("run", run), ("record", record)):
        assert set(module.OPTIONS) - options_of(verb) == set()


@pytest.mark.parametrize("name", FOR_KEYS)
def test_readme_names_only_keys_that_do_something(name: str) -> None:
    """As the table of keys shows them."""
    assert LEAVE_TERMINAL == "ctrl+right_square_bracket"
    known = {key.shown for _, group in GROUPS for key in group} | {"Ctrl-]", "Esc"}

    assert [] == [key for key in KEY.findall((ROOT / name).read_text()) if key not in known]


@pytest.mark.parametrize("readme", READMES, ids=lambda p: str(p.parent.relative_to(ROOT)))
def test_readme_counts_as_many_stages_as_there_are(readme: Path) -> None:
    """``Stage 7 of 55``, of the first lesson."""
    counts = re.findall(r"[Ss]tage \d+ of (\d+)", readme.read_text())

    assert [] == [count for count in counts if int(count) != len(load_lesson(FIRST).stages)]


def test_readmes_make_targets_exist() -> None:
    """In backticks, or at the beginning of a line of commands."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    command = re.compile(r"(?:^|`)make ([a-z]+)", re.MULTILINE)
    asked = {target for readme in READMES for target in command.findall(readme.read_text())}

    assert asked - targets == set()


def test_readme_of_the_tests_names_every_measurement() -> None:
    """And every other module that stands in the folder by itself."""
    text = (ROOT / "tests/README.md").read_text()
    modules = sorted(path.name for path in (ROOT / "tests").glob("*.py") if path.name != "__init__.py")

    assert [] == [name for name in modules if f"`{name}" not in text]


def test_help_of_report_names_every_key_of_its_json(tmp_path: Path) -> None:
    """Who reads the help finds all there is to ask jq for."""
    recording = Recording(str(docker_run().write(tmp_path / "story.jsonl")))
    told = json.loads("".join(json_report(recording)))
    recording.close()
    done = subprocess.run([sys.executable, "-m", "tracer", "report", "--help"], capture_output=True, text=True)

    assert [] == [key for key in told if not re.search(rf"\b{key}\b", done.stdout)]

"""READMEs are true or they are bugs: each folder of the project has one, and what it names is there."""

import re
from pathlib import Path

import pytest

from tests.seat_stages import NOT_SHOWN_BY

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("tracer", "runtime", "lessons", "screenshots")
READMES = sorted(p for top in (*SHIPPED, "tests") for p in (ROOT / top).rglob("README.md"))
NAMED = re.compile(r"`([\w./]+\.(?:py|toml|tcss|proto))`")
"""A file in backticks; real counterparts are written in Go and C, so their names do not match."""


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

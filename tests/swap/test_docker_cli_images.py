"""Images through the real docker CLI: archives, names, filters, removal; dockerd first, then ours."""

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.swap.test_docker_cli import BINARIES, Case, Engine, load_cases, plain, stack_up

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

CASES = load_cases("docker_cli_images.toml")
CLEAN = """
docker rm -f $(docker ps -aq) >/dev/null 2>&1
docker tag hostbox:latest kept:1
docker rmi -f $(docker images --format '{{.Repository}}:{{.Tag}}' | grep -v -e kept:1 -e hostbox:latest) >/dev/null 2>&1
docker rmi -f $(docker images -q -f dangling=true) >/dev/null 2>&1
docker tag kept:1 hostbox:latest
docker rmi kept:1 >/dev/null
"""


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Engine]]:
    """Each daemon from when it is first asked for until the last test."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with contextlib.ExitStack() as up:
        yield functools.cache(lambda seat: up.enter_context(stack_up(seat, tmp_path_factory.mktemp("images"))))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("seat", ["dockerd", "ours"])
def test_docker_cli_does_the_same_with_images(engines: Callable[[str], Engine], seat: str, case: Case) -> None:
    """Exit code, output and complaints are those of the real dockerd."""
    engine = engines(seat)

    done = engine.run(case.script, case.stdin)
    engine.run(CLEAN)

    assert (case.code, case.out, case.err) == (done.returncode, plain(done.stdout), plain(done.stderr))

"""Images through the real docker CLI: archives, names, filters, removal; dockerd first, then ours."""

from collections.abc import Callable

import pytest

from tests.swap.test_docker_cli import Case, Engine, load_cases, plain

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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
@pytest.mark.parametrize("seat", ["dockerd", "ours"])
def test_docker_cli_does_the_same_with_images(engines: Callable[[str], Engine], seat: str, case: Case) -> None:
    """Exit code, output and complaints are those of the real dockerd."""
    engine = engines(seat)

    done = engine.run(case.script, case.stdin)
    engine.run(CLEAN)

    assert (case.code, case.out, case.err) == (done.returncode, plain(done.stdout), plain(done.stderr))

"""The edges of what `docker run`, `exec` and `ps` take, through the real docker CLI; dockerd first, then ours."""

from collections.abc import Callable

import pytest

from tests.swap.test_docker_cli import Case, Engine, load_cases, plain

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

CLEAN = "docker rm -f $(docker ps -aq)"


@pytest.mark.parametrize("case", load_cases("docker_cli_flags.toml"), ids=lambda case: case.id)
@pytest.mark.parametrize("seat", ["dockerd", "ours"])
def test_flags_mean_the_same_under_every_daemon(engines: Callable[[str], Engine], seat: str, case: Case) -> None:
    """Exit code, output and complaints are those of the real dockerd."""
    engine = engines(seat)

    done = engine.run(case.script, case.stdin)
    engine.run(CLEAN)

    assert (case.code, case.out, case.err) == (done.returncode, plain(done.stdout), plain(done.stderr))

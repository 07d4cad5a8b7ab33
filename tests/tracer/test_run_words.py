"""Our options and docker's words on one command line."""

import pytest

from tracer.cli import CommandError
from tracer.run_words import SEATS, publishes_nothing, refuse_what_docker_would, take_apart, wants_docker_help

WITH_VALUE = ("--client", "--runtime", "-o", "--output")


@pytest.mark.parametrize(
    ("words", "options", "docker"),
    [
        (["-it", "hostbox", "sh"], {}, ["-it", "hostbox", "sh"]),
        (["-o", "f", "--", "docker", "run", "--rm", "x"], {"-o": "f"}, ["--rm", "x"]),
        (["-o", "f", "run", "--rm", "x"], {"-o": "f"}, ["--rm", "x"]),
        (["docker", "container", "run", "--rm", "x"], {}, ["--rm", "x"]),
        (["container", "run", "x"], {}, ["x"]),
        (["docker:latest"], {}, ["docker:latest"]),
        (["--output=f", "docker", "run", "x", "-o", "y"], {"--output": "f"}, ["x", "-o", "y"]),
        (["--client", "docker", "-it", "x"], {"--client": "docker"}, ["-it", "x"]),
        (["-it", "--runtime", "crun", "x"], {}, ["-it", "--runtime", "crun", "x"]),
    ],
)
def test_our_options_end_at_the_first_word_of_dockers(
    words: list[str], options: dict[str, str], docker: list[str]
) -> None:
    """What is docker's goes on as it is."""
    taken = take_apart(words, WITH_VALUE)

    assert (taken.options, taken.docker) == (options, docker)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["docker", "ps"], "`docker ps`"),
        (["docker", "container", "ls", "-a"], "`docker container ls`"),
        (["docker", "-H", "unix:///x", "run", "y"], "`docker -H`"),
        (["docker"], "`docker`"),
    ],
)
def test_what_is_not_run_is_refused(words: list[str], named: str) -> None:
    """`ps` is no image."""
    with pytest.raises(CommandError, match=f"only `docker run` .* can be traced, and this is {named}; "):
        take_apart(["-o", "f", "--", *words], WITH_VALUE)


@pytest.mark.parametrize("words", [["-o"], ["-o", "", "x"], ["--output=", "x"]])
def test_an_option_without_its_value_is_a_sentence(words: list[str]) -> None:
    """Not the next option, and not nothing."""
    with pytest.raises(CommandError, match=r"(-o|--output) needs a value"):
        take_apart(words, WITH_VALUE)


def test_docker_words_are_refused_in_dockers_words(capsys: pytest.CaptureFixture[str]) -> None:
    """By our client's own parser, before anything is started."""
    assert refuse_what_docker_would(take_apart(["--foo", "x"], WITH_VALUE)) == 125
    assert capsys.readouterr().err.startswith("unknown flag: --foo")
    assert refuse_what_docker_would(take_apart(["--rm", "x"], WITH_VALUE)) == 0


def test_a_real_docker_speaks_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """It knows flags that our client does not."""
    assert refuse_what_docker_would(take_apart(["--client", "docker", "--gpus", "all", "x"], WITH_VALUE)) == 0
    assert capsys.readouterr().err == ""


def test_help_is_ours_before_dockers_words_begin() -> None:
    """`glassbottom run --help`, not `glassbottom run hostbox --help`."""
    assert wants_docker_help(take_apart(["--help"], WITH_VALUE))
    assert not wants_docker_help(take_apart(["hostbox", "--help"], WITH_VALUE))


def test_h_is_help_only_where_nothing_follows_it() -> None:
    """docker's -h is --hostname, and takes the next word."""
    named = take_apart(["-o", "f", "-h", "web", "hostbox", "hostname"], WITH_VALUE)

    assert wants_docker_help(take_apart(["-h"], WITH_VALUE))
    assert wants_docker_help(take_apart(["-o", "f", "-h"], WITH_VALUE))
    assert not wants_docker_help(named)
    assert named.docker == ["-h", "web", "hostbox", "hostname"]


@pytest.mark.parametrize(
    ("words", "seats", "can_be_held"),
    [
        ([], {}, True),
        (["--runtime", "crun"], {"runtime": "crun"}, True),
        (["--client", "docker"], {"client": "docker"}, False),
        (["--stack", "glassbottom", "--shim", "runc"], {"shim": "runc"}, False),
        (
            ["--stack", "docker", "--runtime", "crun"],
            {"client": "docker", "daemon": "dockerd", "containerd": "containerd", "shim": "runc", "runtime": "crun"},
            False,
        ),
    ],
)
def test_a_stack_fills_all_seats_and_a_named_part_takes_its_own(
    words: list[str], seats: dict[str, str], can_be_held: bool
) -> None:
    """Whoever gives up on the others after a while cannot be held; an OCI runtime waits for nobody."""
    taken = take_apart([*words, "--", "docker", "run", "x"], SEATS)

    assert (taken.seats, not taken.with_deadlines) == (seats, can_be_held)


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["--stack", "docker", "run", "-p", "18080:80", "x"], True),
        (["--stack", "docker", "run", "-dP", "x"], True),
        (["--daemon", "dockerd", "run", "--publish=80", "x"], True),
        (["--stack", "docker", "run", "--gpus", "all", "-itp80:80", "x"], True),
        (["--stack", "docker", "run", "--rm", "x", "ssh", "-p", "22"], False),
        (["--stack", "docker", "run", "--pid", "host", "--name", "p", "x"], False),
        (["--client", "docker", "run", "-p", "80:80", "x"], False),
        (["--attach", "dockerd", "run", "-p", "80:80", "x"], False),
        (["run", "-p", "80:80", "x"], False),
    ],
)
def test_ports_that_a_private_dockerd_cannot_publish_are_known(words: list[str], warned: bool) -> None:
    """Where the real dockerd is in a network of its own, and docker's own words ask for ports."""
    assert publishes_nothing(take_apart(words, SEATS)) is warned


def test_attach_follows_the_hosts_daemons_with_the_real_client() -> None:
    """docker's own --attach is given a stream, and stays docker's."""
    followed = take_apart(["--attach", "dockerd,containerd", "--", "docker", "run", "x"], SEATS)
    streams = take_apart(["--attach", "stderr", "x"], SEATS)
    stream = take_apart(["--attach=STDOUT", "x"], SEATS)

    assert (followed.seats, followed.with_deadlines) == ({"client": "docker"}, ("docker",))
    assert (streams.options, streams.docker) == ({}, ["--attach", "stderr", "x"])
    assert (stream.options, stream.docker) == ({}, ["--attach=STDOUT", "x"])

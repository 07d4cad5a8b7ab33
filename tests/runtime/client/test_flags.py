"""Docker's flag syntax, and its words for mistakes (recorded from docker CLI 28)."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import runtime.client
from runtime.client.complaints import check_run_words
from runtime.client.flags import UsageError, describe, parse
from runtime.client.run_flags import RUN_FLAGS


def test_flags_end_at_the_image() -> None:
    """What follows IMAGE is the container's command line, flags and all."""
    given, words = parse(RUN_FLAGS, ["--rm", "hostbox", "ls", "--rm", "-l"])

    assert given.on("rm")
    assert words == ["hostbox", "ls", "--rm", "-l"]


@pytest.mark.parametrize(
    "spelling", [["-m64m"], ["-m=64m"], ["-m", "64m"], ["--memory", "64m"], ["--memory=64m"], ["-itm64m"]]
)
def test_flags_every_spelling_means_the_same(spelling: list[str]) -> None:
    """A short flag's argument may be attached, and a cluster may end in one that has an argument."""
    given, words = parse(RUN_FLAGS, [*spelling, "hostbox"])

    assert given.number("memory") == 64 << 20
    assert words == ["hostbox"]


def test_flags_a_cluster_is_several_flags() -> None:
    """-itd is -i -t -d."""
    given, _ = parse(RUN_FLAGS, ["-itd", "hostbox"])

    assert [name for name in ("interactive", "tty", "detach", "rm") if given.on(name)] == [
        "interactive",
        "tty",
        "detach",
    ]


def test_flags_a_repeated_list_flag_adds() -> None:
    """-e twice sets two variables; --name twice keeps the last."""
    given, _ = parse(RUN_FLAGS, ["-e", "A=1", "-eB=2", "--name=x", "--name", "y", "hostbox"])

    assert given.many("env") == ["A=1", "B=2"]
    assert given.text("name") == "y"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--foo", "hostbox"], "unknown flag: --foo"),
        (["-x", "hostbox"], "unknown shorthand flag: 'x' in -x"),
        (["--name"], "flag needs an argument: --name"),
        (["-e"], "flag needs an argument: 'e' in -e"),
        (["--memory", "abc"], 'invalid argument "abc" for "-m, --memory" flag: invalid size: \'abc\''),
        (["--cpus", "abc"], 'invalid argument "abc" for "--cpus" flag: failed to parse abc as a rational number'),
        (
            ["--rm=maybe"],
            'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            ["--pids-limit=x"],
            'invalid argument "x" for "--pids-limit" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (["-a", "foo"], 'invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
        (["--add-host", "foo"], 'invalid argument "foo" for "--add-host" flag: bad format for add-host: "foo"'),
    ],
)
def test_flags_mistakes_are_named_in_dockers_words(words: list[str], expected: str) -> None:
    """What people search the web for when a flag is wrong."""
    with pytest.raises(UsageError) as raised:
        parse(RUN_FLAGS, words)

    assert str(raised.value) == expected


@pytest.mark.parametrize(
    ("words", "code", "start"),
    [
        (["--foo", "hostbox"], 125, "unknown flag: --foo\n\nUsage:  docker run [OPTIONS] IMAGE"),
        ([], 1, "docker: 'docker run' requires at least 1 argument"),
        (["-d", "-a", "stdout", "hostbox"], 1, "conflicting options: cannot specify both --attach and --detach"),
        (
            ["--rm", "--restart", "always", "x"],
            125,
            "docker: conflicting options: cannot specify both --restart and --rm",
        ),
        (["--pull", "foo", "hostbox"], 125, "docker: invalid pull option: 'foo'"),
        (
            ["--gpus", "all", "hostbox"],
            125,
            "docker: docker has --gpus, this client leaves it out; try --client docker\n\nRun 'docker run --help'",
        ),
        (["-p", "x:80", "hostbox"], 125, "docker: invalid hostPort: x"),
        (["--env-file", "/nonexistent", "hostbox"], 125, "docker: open /nonexistent: no such file or directory"),
    ],
)
def test_a_run_can_be_refused_before_anything_is_started(words: list[str], code: int, start: str) -> None:
    """The tracer asks this before it starts a stack."""
    complaint = check_run_words(words)

    assert complaint is not None
    assert complaint.exit_code == code
    assert complaint.text.startswith(start)


def test_a_sound_run_is_not_refused() -> None:
    """Nor is a request for help."""
    assert check_run_words(["-it", "--rm", "hostbox", "sh"]) is None
    assert check_run_words(["--help"]) is None


def test_every_flag_of_docker_run_is_known(require: Callable[..., None]) -> None:
    """Each is taken, or left out by name; those left out are not offered."""
    require("docker")
    shown = subprocess.run(["docker", "run", "--help"], capture_output=True, text=True, check=True).stdout
    dockers = set(re.findall(r"^ +(?:-\w, )?--([\w-]+)", shown, re.MULTILINE))
    left_out = {flag.name for flag in RUN_FLAGS if flag.left_out}
    offered = set(re.findall(r"--([\w-]+)", describe(RUN_FLAGS)))

    assert dockers <= {flag.name for flag in RUN_FLAGS}
    assert left_out <= dockers
    assert not left_out & offered


def test_the_readme_names_every_flag_that_is_left_out() -> None:
    """No more and no less."""
    readme = Path(runtime.client.__file__).with_name("README.md").read_text()
    named = set(re.findall(r"`--([\w-]+)`", readme.partition("Of `docker run` are left out")[2].partition("\n-")[0]))

    assert named == {flag.name for flag in RUN_FLAGS if flag.left_out}

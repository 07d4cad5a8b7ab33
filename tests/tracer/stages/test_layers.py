"""Who sits in which seat."""

import pytest

from tracer.events import ActionSeen, ProcessExecuted, ProcessForked
from tracer.stages.layers import Layer, LayerFold, Seat, recognise

PYTHON = "/venv/bin/python3"


@pytest.mark.parametrize(
    ("argv", "seat"),
    [
        ([PYTHON, "-m", "runtime.client", "-H", "unix:///x", "run", "-it", "box"], ("client", "run")),
        ([PYTHON, "-m", "runtime.daemon", "-H", "unix:///x"], ("daemon", "")),
        ([PYTHON, "-I", "-X", "utf8", "-m", "runtime.containerd"], ("containerd", "")),
        ([PYTHON, "/site/runtime/oci/__main__.py", "--root", "/r", "create", "c1"], ("runtime", "create")),
        ([PYTHON, "/venv/bin/glassbottom-oci", "--log-format", "json", "start", "c1"], ("runtime", "start")),
        ([PYTHON, "/venv/bin/containerd-shim-glassbottom-v1", "-id", "c1", "start"], ("shim", "start")),
        (["/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", "c1"], ("shim", "serve")),
        (["docker", "--context", "default", "run", "alpine"], ("client", "run")),
        (["dockerd"], ("daemon", "")),
        (["runc", "init"], ("runtime", "init")),
        (["/usr/bin/crun", "--root=/r", "--log", "create", "delete", "c1"], ("runtime", "delete")),
    ],
)
def test_seat_is_read_off_the_argv(argv: list[str], seat: tuple[str, str]) -> None:
    """Ours and the real ones; an option's value is not the verb."""
    found = recognise(argv[0], argv)

    assert found is not None
    assert (found.layer.value, found.verb) == seat


@pytest.mark.parametrize("argv", [["bash"], [PYTHON, "script.py"], [PYTHON, "-c", "pass"], [], [PYTHON]])
def test_other_programs_have_no_seat(argv: list[str]) -> None:
    """A stranger is no part of the stack."""
    assert recognise("/bin/x", argv) is None


def test_runc_that_executes_itself_is_recognised_by_its_argv() -> None:
    """runc init runs from a sealed copy whose path says nothing."""
    assert recognise("/memfd:runc_cloned:/proc/self/exe (deleted)", ["runc", "init"]) == Seat(
        Layer.RUNTIME, "runc", "init"
    )


def executed(pid: int, *argv: str) -> ProcessExecuted:
    return ProcessExecuted(0, pid, pid, argv[0], argv, (), "/", 1)


def a_container() -> LayerFold:
    """A runc create (pid 5) whose init (pid 6) has pivoted and executed `runc`, as a container may."""
    fold = LayerFold()
    fold.feed(ProcessForked(0, 0, 5, 5, "launched"))
    fold.feed(executed(5, "runc", "create", "c1"))
    fold.feed(ProcessForked(0, 5, 6, 6, "fork"))
    fold.feed(ActionSeen(0, 6, 6, "RootPivoted", {}, ()))
    assert fold.is_sealed(6)
    fold.feed(executed(6, "runc", "--version"))
    return fold


def test_what_init_executes_is_the_container() -> None:
    """Whatever its name: after pivot_root the next execve is the user's program."""
    fold = a_container()

    assert fold.layer_of(6) is Layer.CONTAINER
    assert fold.is_init(6)
    assert fold.layer_of(5) is Layer.RUNTIME


def test_nothing_leaves_the_container() -> None:
    """Docker in docker stays in the container's seat."""
    fold = a_container()
    fold.feed(ProcessForked(0, 6, 7, 7, "fork"))
    fold.feed(executed(7, "dockerd"))

    assert fold.layer_of(7) is Layer.CONTAINER
    assert not fold.is_init(7)


def test_hooks_stay_with_the_runtime() -> None:
    """A child of the runtime that has not the container's root is a helper of the runtime."""
    fold = a_container()
    fold.feed(ProcessForked(0, 5, 8, 8, "fork"))
    fold.feed(executed(8, "libnetwork-setkey"))

    assert fold.layer_of(8) is Layer.RUNTIME


def test_reused_pid_starts_anew() -> None:
    """A pid that comes back is another process."""
    fold = a_container()
    fold.feed(ProcessForked(0, 0, 6, 6, "launched"))

    assert fold.layer_of(6) is None
    assert not fold.is_init(6)


def test_thread_belongs_to_its_process() -> None:
    """A tid is asked for as well as a pid."""
    fold = a_container()
    fold.feed(ProcessForked(0, 5, 50, 5, "thread"))

    assert fold.layer_of(50) is Layer.RUNTIME
    assert fold.pid_of(50) == 5

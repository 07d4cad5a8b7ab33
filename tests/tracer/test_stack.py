"""A stack's plan: names, command lines and folders, fixed and written down before anything starts."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tracer.stack import PARTS, StackError, StackPlan, adopt, load, owner_lives, plan_stack, registered


@pytest.fixture
def runtime_dir(runtime_dir: Path) -> Iterator[Path]:
    """The plans made in it are never started, and need no more than this to be gone."""
    yield runtime_dir
    shutil.rmtree(runtime_dir / "glassbottom", ignore_errors=True)


def registered_in(runtime_dir: Path) -> list[StackPlan]:
    """Only this test's: others may have theirs in /tmp, where cleanup looks too."""
    return [plan for plan in registered() if plan.registry.startswith(f"{runtime_dir}/")]


def test_plan_is_on_disk_before_anything_starts(runtime_dir: Path) -> None:
    """What cleanup needs to know, it can read from the first moment."""
    plan = plan_stack()

    assert Path(plan.registry, "stack.json").is_file()
    assert load(plan.registry) == plan
    assert registered_in(runtime_dir) == [plan]
    assert plan.registry == f"{runtime_dir}/glassbottom/{plan.id}"
    assert plan.cgroup_parent == f"/glassbottom-{plan.id}"
    assert len(plan.bridge) <= 15
    assert owner_lives(plan)


def test_plans_do_not_meet(runtime_dir: Path) -> None:
    """Two stacks share no name, socket or folder."""
    one, two = plan_stack(), plan_stack()

    assert not {one.id, one.root, one.socket, one.containerd_socket, one.cgroup_parent, one.bridge} & {
        *(two.id, two.root, two.socket, two.containerd_socket, two.cgroup_parent, two.bridge)
    }


def test_plan_of_an_owner_that_ended_is_abandoned(runtime_dir: Path) -> None:
    """A pid that is used again is another process: its start time tells."""
    plan = plan_stack()
    ended = subprocess.Popen(["true"])
    ended.wait()

    assert not owner_lives(adopt(plan, ended.pid))
    later = adopt(plan, os.getpid())
    assert owner_lives(later)
    assert not owner_lives(replace(later, owner_started=later.owner_started + 1))


def test_plan_command_lines_are_those_of_the_real_programs(runtime_dir: Path) -> None:
    """Any seat can be taken by the real part with the same flags."""
    shutil_which_finds_it = sys.executable
    plan = plan_stack()
    real = plan_stack(runtime=shutil_which_finds_it, daemon=shutil_which_finds_it, containerd=shutil_which_finds_it)
    name = os.path.basename(sys.executable)

    assert plan.containerd_argv[:3] == (sys.executable, "-m", "runtime.containerd")
    assert plan.daemon_argv(plan.containerd_socket)[:3] == (sys.executable, "-m", "runtime.daemon")
    assert plan.client_argv(["run", "hostbox"])[-4:] == ("-H", plan.docker_host, "run", "hostbox")
    assert real.daemon_argv(real.containerd_socket)[1:5] == ("--net", "--", sys.executable, "-H")
    assert real.daemon_argv(real.containerd_socket)[-4:] == (
        "--add-runtime",
        f"{name}={sys.executable}",
        "--default-runtime",
        name,
    )
    assert "--iptables=false" in real.daemon_argv(real.containerd_socket)
    assert real.seats["daemon"] == name
    assert plan.seats["daemon"] == "python -m runtime.daemon"


def test_plan_of_a_dockerd_puts_our_shim_and_runtime_where_it_finds_them(
    runtime_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the real ones would be used, and the seats would not be as they are told."""
    here = os.path.dirname(sys.executable)
    (tmp_path / "containerd-shim-runc-v2").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    plan = plan_stack(daemon=sys.executable)
    with_theirs = plan_stack(daemon=sys.executable, shim="runc", runtime=shutil.which("sh") or "")
    path = next(entry for entry in plan.environment if entry.startswith("PATH=")).removeprefix("PATH=").split(":")[0]

    assert os.readlink(f"{path}/containerd-shim-runc-v2") == f"{here}/containerd-shim-glassbottom-v1"
    assert f"glassbottom={here}/glassbottom-oci" in plan.daemon_argv(plan.containerd_socket)
    assert os.listdir(f"{with_theirs.root}/bin") == []
    assert f"sh={shutil.which('sh')}" in with_theirs.daemon_argv(with_theirs.containerd_socket)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("", ""),
        ("glass", "io.containerd.glass.v2"),
        ("com.example.glass.v7", "com.example.glass.v7"),
        ("io.containerd.glassbottom.v1", "io.containerd.glassbottom.v1"),
        ("/bin/true", "/bin/true"),
    ],
)
def test_plan_knows_a_shim_by_the_names_that_containerd_does(
    runtime_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, name: str
) -> None:
    """In PATH, beside our own programs, or at a path."""
    for program in ("containerd-shim-glass-v2", "containerd-shim-glass-v7"):
        (tmp_path / program).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    assert plan_stack(shim=given).shim == name


def test_plan_environment_finds_our_programs_and_keeps_temporary_files_in_the_root(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DOCKER_HOST of the user's is not ours to follow."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///elsewhere")
    plan = plan_stack()
    environment = dict(entry.split("=", 1) for entry in plan.environment)

    assert environment["PATH"].split(":")[0] == os.path.dirname(sys.executable)
    assert environment["TMPDIR"] == environment["XDG_RUNTIME_DIR"] == f"{plan.root}/tmp"
    assert "DOCKER_HOST" not in environment
    assert os.path.isdir(environment["TMPDIR"])


def test_plan_with_a_root_of_the_users_is_registered_all_the_same(runtime_dir: Path) -> None:
    """Or nobody would find it after a kill -9."""
    plan = plan_stack(f"{runtime_dir}/mine")

    assert plan.root == f"{runtime_dir}/mine"
    assert registered_in(runtime_dir) == [plan]


def test_plan_refuses_a_socket_path_that_no_socket_can_have(runtime_dir: Path) -> None:
    """unix(7): 107 bytes. Said before anything is made."""
    with pytest.raises(StackError, match="longer than the 107 bytes"):
        plan_stack(socket=f"/tmp/{'x' * 110}")

    assert registered_in(runtime_dir) == []


def test_plan_refuses_a_socket_in_use(runtime_dir: Path) -> None:
    """Whatever is there is somebody else's."""
    (runtime_dir / "taken.sock").touch()

    with pytest.raises(StackError, match=r"taken\.sock is in use"):
        plan_stack(socket=f"{runtime_dir}/taken.sock")


@pytest.mark.parametrize("part", PARTS)
def test_plan_refuses_a_root_that_has_what_a_stack_would_remove(runtime_dir: Path, part: str) -> None:
    """A folder of the user's with a `data` in it: that is not the stack's to clean up."""
    (runtime_dir / "mine" / part).mkdir(parents=True)

    with pytest.raises(StackError, match=f"mine/{part} is in use: there is something already"):
        plan_stack(f"{runtime_dir}/mine")

    assert sorted(os.listdir(runtime_dir / "mine")) == [part]


def test_plan_refuses_a_part_that_is_not_installed(runtime_dir: Path) -> None:
    """Named with the seat it was meant for."""
    with pytest.raises(StackError, match="cannot put 'nosuchrunc' in the runtime seat"):
        plan_stack(runtime="nosuchrunc")


def test_plan_refuses_a_folder_that_others_can_write_to(runtime_dir: Path) -> None:
    """They could put a stack there for us to clean up."""
    (runtime_dir / "glassbottom").mkdir()
    (runtime_dir / "glassbottom").chmod(0o777)

    with pytest.raises(StackError, match="only this user can write to"):
        plan_stack()


def test_a_damaged_description_is_left_alone(runtime_dir: Path) -> None:
    """It says not what to remove."""
    plan = plan_stack()
    Path(plan.registry, "stack.json").write_text(json.dumps({"id": "x"}))

    assert registered_in(runtime_dir) == []
    with pytest.raises(StackError, match="does not describe a stack"):
        load(plan.registry)

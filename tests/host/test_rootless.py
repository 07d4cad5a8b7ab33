"""An ordinary user, with ranges of ids or without: root of a namespace, and a whole stack in it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.host.conftest import OrdinaryUser

pytestmark = [pytest.mark.root]


@pytest.fixture(params=["account", "bare_id"])
def user(request: pytest.FixtureRequest, require: Callable[..., None]) -> "OrdinaryUser":
    """Both kinds of ordinary user."""
    require("setpriv", "useradd", "newuidmap")
    found: OrdinaryUser = request.getfixturevalue(request.param)
    return found


def rootless(user: "OrdinaryUser", *words: str) -> "subprocess.CompletedProcess[str]":
    return user.run(user.python, "-m", "runtime.rootless", *words)


def test_rootless_is_root_inside_and_may_mount(user: "OrdinaryUser") -> None:
    """Nobody outside sees the mount."""
    done = rootless(
        user, "--", "sh", "-c", "id -u; mount -t tmpfs gb-inside /mnt && grep -c ' /mnt ' /proc/self/mountinfo"
    )

    assert (done.returncode, done.stdout.split()) == (0, ["0", "1"]), done.stderr
    assert " - tmpfs gb-inside " not in Path("/proc/self/mountinfo").read_text()


def test_rootless_what_it_makes_belongs_to_the_user_outside(user: "OrdinaryUser") -> None:
    """Root inside is the user outside."""
    path = f"{user.home}/made-inside"

    done = rootless(user, "--", "touch", path)

    assert done.returncode == 0
    assert os.stat(path).st_uid == user.uid
    os.unlink(path)


def test_rootless_an_account_has_a_range_of_ids(account: "OrdinaryUser") -> None:
    """The user's own id is 0, the granted ones are 1 and up, and a file can be given to them."""
    path = f"{account.home}/given"

    done = rootless(account, "--", "sh", "-c", f"cat /proc/self/uid_map && touch {path} && chown 1:1 {path}")
    (own, granted) = [line.split() for line in done.stdout.splitlines()]

    assert (done.returncode, own) == (0, ["0", str(account.uid), "1"]), done.stderr
    assert os.stat(path).st_uid == int(granted[1])
    os.unlink(path)


def test_rootless_without_a_range_names_what_is_given_up(bare_id: "OrdinaryUser") -> None:
    """One id, one sentence for each thing lost."""
    done = rootless(bare_id, "--", "cat", "/proc/self/uid_map", "/proc/self/setgroups")

    assert done.stdout.split() == ["0", str(bare_id.uid), "1", "deny"]
    assert f"rootless: uids: /etc/subuid grants no range to {bare_id.uid}, so only one uid exists inside" in done.stderr
    assert "rootless: network: the host's own is kept" in done.stderr


def test_rootless_is_the_command_itself(user: "OrdinaryUser") -> None:
    """Same pid, so that exit codes and signals need nobody to pass them on."""
    process = user.start(
        user.python, "-m", "runtime.rootless", "--", "sh", "-c", "echo $$; exec sleep 1000", stdout=-1, stderr=-3
    )
    assert process.stdout

    assert int(process.stdout.readline()) == process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    process.stdout.close()
    assert rootless(user, "--", "sh", "-c", "exit 7").returncode == 7


def test_rootless_a_command_that_is_not_there(user: "OrdinaryUser") -> None:
    """127, as from a shell."""
    done = rootless(user, "--", "/nonexistent")

    assert done.returncode == 127
    assert "rootless: /nonexistent: no such file or directory" in done.stderr


def test_rootless_for_root_changes_nothing(account: "OrdinaryUser") -> None:
    """Root needs no namespace to be root."""
    done = subprocess.run([account.python, "-m", "runtime.rootless", "--", "id", "-u"], capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_rootless_without_namespaces_says_which_switch_forbids_them(account: "OrdinaryUser") -> None:
    """The limit of a namespace is its own: here it is none, and the host's stays as it is."""
    code = (
        "import ctypes, os\n"
        "ctypes.CDLL(None).unshare(0x10000000)\n"
        "print('unshared', flush=True)\n"
        "input()\n"
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        f"os.setresgid(*[{account.gid}] * 3)\n"
        f"os.setresuid(*[{account.uid}] * 3)\n"
        f"os.execv({account.python!r}, [{account.python!r}, '-m', 'runtime.rootless', '--', 'id'])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, stderr=-1, text=True)
    assert process.stdout
    assert process.stdout.readline() == "unshared\n"
    for kind in ("uid", "gid"):
        Path(f"/proc/{process.pid}/{kind}_map").write_text("0 0 2000000")

    _, complaint = process.communicate("mapped\n")

    assert process.returncode == 1
    assert "user namespaces are switched off here (/proc/sys/user/max_user_namespaces is 0)" in complaint


@pytest.mark.slow
def test_a_whole_stack_runs_for_an_ordinary_user_and_is_gone_after(user: "OrdinaryUser") -> None:
    """containerd, daemon, shim and runtime, as root of the namespace; a container with its own hostname and pids."""
    stack = user.start(user.python, "-m", "tracer", "stack", "up", stdout=-1, stderr=-1)
    assert stack.stdout
    host = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")

    done = user.run(
        *(user.python, "-m", "runtime.client", "-H", host, "run", "--rm", "-h", "inside", "hostbox"),
        *("sh", "-c", "hostname; id -u; echo $$"),
    )
    left = user.run(user.python, "-m", "runtime.client", "-H", host, "run", "-d", "hostbox", "sleep", "1000")
    flags = ("-m", "64m", "--pids-limit", "9", "-p", "18080:80", "-p", "18081:81/udp")
    limited = user.run(
        user.python, "-m", "runtime.client", "-H", host, "run", "--rm", *flags, "hostbox", "cat", "/proc/self/cgroup"
    )
    stack.send_signal(signal.SIGTERM)
    _, complaints = stack.communicate()

    assert limited.returncode == 0, limited.stderr
    given_up = "Running rootless: --memory, --pids-limit given up, no limit is set: /sys/fs/cgroup"
    assert (given_up in limited.stderr) == ("glassbottom-" not in limited.stdout), limited.stderr
    unpublished = "The container has a loopback interface only; not published: 80/tcp, 81/udp."
    assert (unpublished in limited.stderr) == ("No bridge network" in limited.stderr), limited.stderr
    assert (done.returncode, done.stdout.split()) == (0, ["inside", "0", "1"]), done.stderr + complaints
    assert (left.returncode, stack.returncode) == (0, 0)
    assert not os.path.exists(f"/tmp/glassbottom-{user.uid}")
    assert processes_of_user(user.uid) == []


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("--privileged",), ("--device", "/dev/ptmx")], ids=lambda flags: flags[0])
def test_the_hosts_ptmx_is_not_the_containers(account: "OrdinaryUser", flags: tuple[str, ...]) -> None:
    """Devices are bind mounts here, and where the host's /dev/ptmx was bound no link to the container's own goes."""
    record = (account.python, "-m", "tracer", "record", "-o", f"{account.home}/ptmx.jsonl", "--")

    done = account.run(
        *record, "docker", "run", "--rm", *flags, "hostbox", "sh", "-c", "readlink /dev/ptmx; [ -c /dev/pts/ptmx ]"
    )
    os.unlink(f"{account.home}/ptmx.jsonl")

    assert (done.returncode, done.stdout) == (0, "pts/ptmx\n"), done.stderr


@pytest.mark.slow
def test_cleanup_after_kill_9_of_an_ordinary_users_stack(user: "OrdinaryUser") -> None:
    """Its files may belong to ids of the range, its processes to a namespace that is not the cleaner's."""
    stack = user.start(user.python, "-m", "tracer", "stack", "up", stdout=-1, stderr=-3)
    assert stack.stdout
    host = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
    user.run(user.python, "-m", "runtime.client", "-H", host, "run", "-d", "hostbox", "sleep", "1000")
    stack.kill()
    stack.wait()
    stack.stdout.close()

    done = user.run(user.python, "-m", "tracer", "cleanup")

    assert done.returncode == 0, done.stdout + done.stderr
    assert not os.path.exists(f"/tmp/glassbottom-{user.uid}")
    assert processes_of_user(user.uid) == []


def processes_of_user(uid: int) -> list[str]:
    """Everything that runs as this user, zombies aside."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid and (words := (entry / "cmdline").read_text()):
                found.append(words.replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("namespaces", ["-Ur", "-Urm"])
def test_root_of_a_namespace_runs_whosever_the_mounts_are(namespaces: str, tmp_path: Path) -> None:
    """`unshare -Ur` keeps a mount namespace in which it may not mount: the stack makes one of its own."""
    command = [sys.executable, "-m", "tracer", "record", "-o", str(tmp_path / "run.jsonl")]
    done = subprocess.run(
        ["unshare", namespaces, *command, "--", "docker", "run", "--rm", "hostbox", "echo", "hi"],
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr


@pytest.mark.slow
def test_layers_are_copied_where_overlay_is_not_to_be_had(tmp_path: Path) -> None:
    """An overlay takes no other overlay as its upper directory: the daemon turns to the native snapshotter."""
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    merged = tmp_path / "merged"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], check=True)
    command = [sys.executable, "-m", "tracer", "stack", "up", "--root", str(merged / "s")]
    stack = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert stack.stdout
        host = stack.stdout.readline().strip().removeprefix("export DOCKER_HOST=")
        run = [sys.executable, "-m", "runtime.client", "-H", host, "run", "--rm", "--network", "none", "hostbox"]

        done = subprocess.run([*run, "echo", "hi"], capture_output=True, text=True)

        assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr
    finally:
        stack.terminate()
        stack.communicate()
        subprocess.run(["umount", str(merged)], check=True)

"""Conformance of an OCI runtime's command line, seen from outside: runc and crun first, then ours, one body.

Where runc is laxer than the runtime-spec, the case says so in its data; every other difference is a defect.
"""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.oci_bundle import Box, wait_for_exit

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]


def test_container_goes_through_its_states(box: Box) -> None:
    """create, start, kill and delete lead from created over running and stopped to nothing."""
    box.create("sleep", "1000")
    created = box.state()
    box.call("start", box.id)
    running = box.state()
    box.call("kill", box.id, "KILL")
    wait_for_exit(running["pid"])
    stopped = box.state()
    box.call("delete", box.id)

    assert ("created", "running", "stopped") == (created["status"], running["status"], stopped["status"])
    assert created["pid"] == running["pid"] > 1
    assert str(box.directory) == created["bundle"]
    assert box.call("state", box.id, status=None).returncode != 0


def test_create_runs_nothing_of_the_user_before_start(box: Box) -> None:
    """Between create and start the process exists but its program has not run."""
    box.create("/bin/sh", "-c", "touch /data/ran; exec sleep 1000")
    before = (box.rootfs / "data/ran").exists()
    box.call("start", box.id)
    pid = box.state()["pid"]
    box.call("exec", box.id, "/bin/sh", "-c", "while ! [ -e /data/ran ]; do :; done")

    assert not before
    assert b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_pid_file_holds_the_outer_pid_and_no_newline(box: Box) -> None:
    """Callers parse --pid-file untrimmed."""
    pid_file = box.directory / "pid"

    box.create("sleep", "1000", flags=("--pid-file", str(pid_file)))

    assert str(box.state()["pid"]) == pid_file.read_text()


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_run_exits_with_the_status_of_the_process(box: Box, script: str, status: int) -> None:
    """`run` hands the exit status on, and 128 + N for a death by signal N."""
    box.namespaces("network", "ipc", "uts", "mount")  # init of a pid namespace cannot kill itself

    box.run("/bin/sh", "-c", script, status=status)

    assert [] == list((box.directory / "state").iterdir())


@pytest.mark.parametrize(
    ("program", "words"),
    [("nosuch", ("not found",)), ("/bin/nosuch", ("no such file",)), ("/etc/plain", ("permission denied",))],
)
def test_create_fails_when_the_program_cannot_be_executed(box: Box, program: str, words: tuple[str, ...]) -> None:
    """The reason is the log's last error, in words that docker and podman know, and nothing is left."""
    (box.rootfs / "etc/plain").write_text("not a program")

    failed = box.create(program, status=None)

    assert failed.returncode != 0
    assert all(word in box.last_error().lower() for word in words)
    assert box.name == "crun" or program in box.last_error()  # crun 1.8 does not always name it
    assert box.call("state", box.id, status=None).returncode != 0


@pytest.mark.parametrize(
    "words", [("start", "ID"), ("kill", "ID", "KILL"), ("delete", "ID"), ("state", "ID"), ("exec", "ID", "true")]
)
def test_verb_on_unknown_container_fails(box: Box, words: tuple[str, ...]) -> None:
    """No such container: an error in the log and a status that is not 0."""
    done = box.call(*(box.id if word == "ID" else word for word in words), status=None)

    assert done.returncode != 0
    assert "exist" in box.last_error() or "No such file" in box.last_error()


def test_delete_force_of_unknown_container_succeeds(box: Box) -> None:
    """containerd's shim deletes once more to be sure."""
    box.call("delete", "--force", box.id, status=0)


def test_second_create_of_the_same_id_fails_and_spares_the_first(box: Box) -> None:
    """An id is taken until it is deleted."""
    box.create("sleep", "1000")
    pid = box.state()["pid"]

    assert box.create("sleep", "1000", status=None).returncode != 0
    assert ("created", pid) == (box.state()["status"], box.state()["pid"])


def test_running_container_is_neither_started_nor_deleted(box: Box) -> None:
    """start wants a created container, delete a stopped one."""
    box.create("sleep", "1000")
    box.call("start", box.id)

    assert box.call("start", box.id, status=None).returncode != 0
    assert box.call("delete", box.id, status=None).returncode != 0
    assert "running" == box.state()["status"]


def test_stopped_container_cannot_be_killed(box: Box) -> None:
    """kill of a stopped container is an error, as the spec has it."""
    box.create("true")
    pid = box.state()["pid"]
    box.call("start", box.id)
    wait_for_exit(pid)

    assert box.call("kill", box.id, "KILL", status=None).returncode != 0


def test_delete_of_a_created_container_needs_force(box: Box) -> None:
    """The spec wants a stopped one; runc and crun kill and delete a created one anyway."""
    box.create("sleep", "1000")

    done = box.call("delete", box.id, status=None)

    assert (done.returncode == 0) is (box.name != "glassbottom-oci")


@pytest.mark.parametrize("name", ["TERM", "SIGTERM", "15"])
def test_kill_takes_names_and_numbers(box: Box, name: str) -> None:
    """A signal may be written three ways."""
    box.create("/bin/sh", "-c", "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done")
    pid = box.state()["pid"]
    box.call("start", box.id)
    box.call("exec", box.id, "/bin/sh", "-c", "while ! grep -q '^SigCgt.*[4-7c-f]...$' /proc/1/status; do :; done")

    box.call("kill", box.id, name)
    wait_for_exit(pid)

    assert "stopped" == box.state()["status"]


def test_hooks_run_in_order_with_the_state_on_stdin(box: Box) -> None:
    """Six kinds of hooks, each once, in the spec's order, each told the id and its status."""
    script = 'read -r state; echo "$1 $state" >> "$2"'
    log = box.rootfs / "data/hooks"
    names = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    box.config["hooks"] = {
        name: [
            {
                "path": "/bin/sh",
                "args": ["sh", "-c", script, "hook", name, "/data/hooks" if name == "startContainer" else str(log)],
            }
        ]
        for name in names
    }
    box.create("true")
    pid = box.state()["pid"]
    at_create = [line.split(" ", 1)[0] for line in log.read_text().splitlines()]
    box.call("start", box.id)
    wait_for_exit(pid)
    box.call("delete", box.id)

    seen = [line.split(" ", 1) for line in log.read_text().splitlines()]
    states = {name: json.loads(text) for name, text in seen}

    assert list(names[:3]) == at_create[:3]
    assert len(at_create) == 3 or box.name != "glassbottom-oci"  # runc and crun run poststart in create already
    assert set(names) == states.keys()
    assert len(names) == len(seen)
    assert {box.id} == {state["id"] for state in states.values()}
    assert pid == states["prestart"]["pid"]
    assert ("created" if box.name == "crun" else "creating") == states["createRuntime"]["status"]
    assert "poststop" == seen[-1][0]


def test_failing_create_hook_leaves_nothing(box: Box) -> None:
    """A hook that fails before start ends the container."""
    box.config["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}

    assert box.create("true", status=None).returncode != 0
    assert box.call("state", box.id, status=None).returncode != 0


def test_namespaces_are_new_where_asked_and_the_hosts_otherwise(box: Box) -> None:
    """What linux.namespaces lists is made, what it does not list is shared."""
    box.namespaces("pid", "mount", "uts")

    lines = box.shell(
        "for n in pid mnt uts ipc net; do readlink /proc/self/ns/$n; done; hostname; echo $$", status=None
    )
    own = [os.readlink(f"/proc/self/ns/{name}") for name in ("pid", "mnt", "uts", "ipc", "net")]

    assert "box" == lines[-2]
    assert "1" == lines[-1]
    if len(lines) == 7:
        assert [False, False, False, True, True] == [ours == theirs for ours, theirs in zip(own, lines, strict=False)]


def test_namespace_is_joined_by_path(box: Box) -> None:
    """A path in linux.namespaces means that very namespace."""
    other = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    path = f"/proc/{other.pid}/ns/net"
    box.namespaces("pid", "mount", "ipc", "uts", network=path)
    try:
        box.create("sleep", "1000")

        assert os.readlink(path) == os.readlink(f"/proc/{box.state()['pid']}/ns/net")
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_exec_runs_in_the_container(box: Box) -> None:
    """exec shares namespaces and root, hands the status on, and takes user, cwd and environment by flag."""
    box.create("sleep", "1000")
    box.call("start", box.id)
    flags = ("--cwd", "/tmp", "--env", "A=b", "--user", "5:6")

    done = box.call("exec", *flags, box.id, "/bin/sh", "-c", "hostname; pwd; echo $A; id -u; id -g; exit 9", status=9)

    assert ["box", "/tmp", "b", "5", "6"] == done.stdout.splitlines()


def test_exec_detached_takes_a_process_file_and_writes_the_pid(box: Box) -> None:
    """What containerd's shim and conmon do: --process FILE --detach --pid-file F."""
    process_file, pid_file = box.directory / "process.json", box.directory / "exec.pid"
    process = box.config["process"] | {"args": ["sleep", "999"], "cwd": "/tmp"}
    process_file.write_text(json.dumps(process))
    box.create("sleep", "1000")
    box.call("start", box.id)

    box.call("exec", "--process", str(process_file), "--detach", "--pid-file", str(pid_file), box.id)
    pids = json.loads(box.call("ps", "--format", "json", box.id).stdout)

    assert {int(pid_file.read_text()), box.state()["pid"]} == set(pids)


def test_exec_of_a_missing_program_fails_with_its_name(box: Box) -> None:
    """The status is apart from any of the process itself where runc's is: 255."""
    box.create("sleep", "1000")
    box.call("start", box.id)

    done = box.call("exec", box.id, "nosuch", status=None)

    assert done.returncode in ((255, 1) if box.name == "crun" else (255,))
    assert "nosuch" in box.last_error()


def test_pause_stops_and_resume_goes_on(box: Box) -> None:
    """A paused container says so, refuses exec, and is running again after resume."""
    box.create("sleep", "1000")
    box.call("start", box.id)

    box.call("pause", box.id)
    paused = box.state()["status"]
    refused = box.call("exec", box.id, "true", status=None).returncode
    box.call("resume", box.id)

    assert "paused" == paused
    assert refused != 0
    assert "running" == box.state()["status"]


def test_console_socket_receives_the_master_of_the_containers_terminal(box: Box) -> None:
    """With process.terminal the pty's master comes by SCM_RIGHTS, and the container sits at the other end."""
    box.config["process"] |= {"terminal": True, "consoleSize": {"height": 31, "width": 101}}
    path = f"/tmp/gb-console-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    try:
        box.create("/bin/sh", "-c", "tty; stty size; ls -l /dev/console", flags=("--console-socket", path))
        connection, _ = listener.accept()
        _, (master, *_), _, _ = socket.recv_fds(connection, 100, 1)
        box.call("start", box.id)
        printed = b""
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # EIO: the last one at the other end has gone
                break
            printed += chunk
    finally:
        listener.close()
        os.unlink(path)
    connection.close()
    os.close(master)

    lines = printed.decode().split("\r\n")
    assert ["/dev/pts/0", "31 101"] == lines[:2]
    assert "136," in lines[2]


def test_terminal_without_console_socket_is_refused(box: Box) -> None:
    """Nobody would hold the other end."""
    box.config["process"]["terminal"] = True

    assert box.create("true", status=None).returncode != 0


def test_signals_to_a_foreground_run_reach_the_process(box: Box) -> None:
    """`run` hands SIGTERM on to the container's first process."""
    box.write_config("/bin/sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 1000 & wait; done")
    argv = [*box.argv, "run", "--bundle", str(box.directory), box.id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as running:
        assert running.stdout is not None
        assert b"ready\n" == running.stdout.readline()
        running.send_signal(signal.SIGTERM)

    assert 5 == running.returncode

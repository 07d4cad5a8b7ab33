"""A task's life as containerd sees it over ttrpc, from Create to Shutdown, and the events that tell of it."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from runtime.api.containerd.process_pb2 import Status
from runtime.api.containerd.task_shim_pb2 import DeleteResponse

UNKNOWN, NOT_FOUND, FAILED_PRECONDITION = 2, 5, 9


def make_fifo(shim: Any, name: str) -> str:
    """Make a FIFO for a stream, as a client does."""
    path = str(shim.directory / name)
    os.mkfifo(path)
    return path


class Reader(threading.Thread):
    """Reads a FIFO to its end, as a client does."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.data = b""
        self.start()

    def run(self) -> None:
        self.data = Path(self.path).read_bytes()

    def all(self) -> bytes:
        self.join(20)
        assert not self.is_alive()
        return self.data


def test_task_lives_and_is_told_in_order(shim: Any) -> None:
    """create, start, exit, delete: each call has its event, and the shim ends when nothing is left."""
    shim.bundle.joinpath("command").write_text("exit 7")

    pid = shim.call("Create", **shim.create_fields()).pid
    created = shim.call("State", id="one")
    shim.call("Start", id="one")
    ended = shim.call("Wait", id="one")
    stopped = shim.call("State", id="one")
    deleted = shim.call("Delete", id="one")
    events = [shim.event() for _ in range(4)]
    shim.call("Shutdown", id="one")
    shim.wait_for_end()

    assert (created.pid, created.status) == (pid, Status.CREATED)
    assert ended.exit_status == 7
    assert (stopped.status, stopped.exit_status) == (Status.STOPPED, 7)
    assert (deleted.pid, deleted.exit_status) == (pid, 7)
    assert [topic for topic, _ in events] == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]
    assert (events[2][1].id, events[2][1].pid, events[2][1].exit_status) == ("one", pid, 7)
    assert not Path(shim.address.removeprefix("unix://")).exists()


def test_exit_is_told_after_start_even_if_it_comes_first(shim: Any) -> None:
    """A process that is over before `start` returns must not end before it began."""
    shim.bundle.joinpath("linger").touch()
    shim.call("Create", **shim.create_fields())

    shim.call("Start", id="one")
    events = [shim.event()[0] for _ in range(3)]

    assert events == ["/tasks/create", "/tasks/start", "/tasks/exit"]


def test_events_go_out_one_at_a_time(shim: Any) -> None:
    """The second waits for the answer to the first."""
    shim.call("Create", **shim.create_fields())
    shim.call("Start", id="one")
    shim.call("Wait", id="one")

    first, _, acknowledge = shim.unacknowledged_event()
    quiet = shim.no_event_waits()
    acknowledge()
    second, _ = shim.event()

    assert (first, quiet, second) == ("/tasks/create", True, "/tasks/start")


def test_events_wait_for_a_containerd_that_is_away(shim: Any) -> None:
    """The container ends while nobody listens; the next containerd is told, without asking."""
    shim.bundle.joinpath("command").write_text("cat; exit 3")
    stdin = make_fifo(shim, "stdin")
    shim.call("Create", **shim.create_fields(stdin=stdin))
    shim.call("Start", id="one")
    assert [shim.event()[0], shim.event()[0]] == ["/tasks/create", "/tasks/start"]
    shim.containerd_goes()

    os.kill(int((shim.bundle / "init.pid").read_text()), signal.SIGKILL)
    shim.containerd_returns()
    topic, event = shim.event()

    assert (topic, event.exit_status) == ("/tasks/exit", 137)


def test_event_whose_answer_was_lost_is_sent_again(shim: Any) -> None:
    """A containerd that dies between hearing and answering may not have told anybody."""
    shim.call("Create", **shim.create_fields())
    topic, _, _ = shim.unacknowledged_event()

    shim.containerd_goes()
    shim.containerd_returns()
    again, _ = shim.event()

    assert topic == again == "/tasks/create"


def test_output_is_complete_when_the_exit_is_known(shim: Any) -> None:
    """Every byte is in the FIFO before Wait is answered, though the FIFO holds less than was written last."""
    shim.bundle.joinpath("command").write_text("head -c 65536 /dev/zero; head -c 60000 /dev/zero; echo end")
    stdout = make_fifo(shim, "stdout")
    fifo = os.open(stdout, os.O_RDONLY | os.O_NONBLOCK)
    shim.call("Create", **shim.create_fields(stdout=stdout))

    shim.call("Start", id="one")
    shim.call("Wait", id="one")
    data = b""
    while chunk := os.read(fifo, 1 << 20):
        data += chunk
    os.close(fifo)

    assert len(data) == 65536 + 60000 + 4
    assert data.endswith(b"\0end\n")


def test_a_megabyte_comes_through_a_slow_reader(shim: Any) -> None:
    """Back-pressure, not loss."""
    shim.bundle.joinpath("command").write_text("head -c 1000000 /dev/zero")
    reader = Reader(make_fifo(shim, "stdout"))
    shim.call("Create", **shim.create_fields(stdout=reader.path))

    shim.call("Start", id="one")
    shim.call("Wait", id="one")

    assert len(reader.all()) == 1000000


def test_output_waits_for_its_reader(shim: Any) -> None:
    """Create is not done before somebody reads, and other calls are answered meanwhile."""
    stdout = make_fifo(shim, "stdout")
    shim.bundle.joinpath("command").write_text("echo hello")
    create = shim.send("Create", _create_request(shim, stdout=stdout))
    assert shim.call("Connect", id="one").task_pid == 0

    reader = Reader(stdout)
    assert shim.answer(create).status.code == 0
    shim.call("Start", id="one")

    assert reader.all() == b"hello\n"


def _create_request(shim: Any, **stdio: str) -> Any:
    from runtime.api.containerd.task_shim_pb2 import CreateTaskRequest

    return CreateTaskRequest(**shim.create_fields(**stdio))


def test_input_ends_with_close_io(shim: Any) -> None:
    """A client that goes away does not end the input; CloseIO does."""
    shim.bundle.joinpath("command").write_text("cat; echo over")
    stdin, reader = make_fifo(shim, "stdin"), Reader(make_fifo(shim, "stdout"))
    shim.call("Create", **shim.create_fields(stdin=stdin, stdout=reader.path))
    shim.call("Start", id="one")
    for words in (b"first\n", b"second\n"):
        fd = os.open(stdin, os.O_WRONLY)
        os.write(fd, words)
        os.close(fd)
    assert shim.call("State", id="one").status == Status.RUNNING

    shim.call("CloseIO", id="one", stdin=True)

    assert reader.all() == b"first\nsecond\nover\n"


def test_exec_has_its_own_life(shim: Any) -> None:
    """Exec registers, Start makes, Delete forgets; init goes on."""
    shim.bundle.joinpath("command").write_text("cat")
    shim.bundle.joinpath("exec-command").write_text("exit 5")
    shim.call("Create", **shim.create_fields(stdin=make_fifo(shim, "stdin")))
    shim.call("Start", id="one")

    shim.call("Exec", id="one", exec_id="two", spec={"type_url": "x", "value": b'{"args":["x"]}'})
    pid = shim.call("Start", id="one", exec_id="two").pid
    ended = shim.call("Wait", id="one", exec_id="two")
    deleted = shim.call("Delete", id="one", exec_id="two")
    events = [shim.event() for _ in range(5)]

    assert ended.exit_status == 5
    assert (deleted.pid, deleted.exit_status) == (pid, 5)
    assert [topic for topic, _ in events[2:]] == ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"]
    assert (events[4][1].container_id, events[4][1].id) == ("one", "two")
    assert shim.refusal("State", id="one", exec_id="two") == (NOT_FOUND, "process two: not found")
    assert shim.call("State", id="one").status == Status.RUNNING
    assert not (shim.bundle / "two-process.json").exists()


def test_pause_and_resume_are_states(shim: Any) -> None:
    """A frozen container says so, and cannot be deleted."""
    shim.bundle.joinpath("command").write_text("cat")
    shim.call("Create", **shim.create_fields(stdin=make_fifo(shim, "stdin")))
    shim.call("Start", id="one")

    shim.call("Pause", id="one")
    paused = shim.call("State", id="one").status
    refusal = shim.refusal("Delete", id="one")
    shim.call("Resume", id="one")

    assert paused == Status.PAUSED
    assert refusal == (FAILED_PRECONDITION, "cannot delete a running process")
    assert shim.call("State", id="one").status == Status.RUNNING
    assert [process.pid for process in shim.call("Pids", id="one").processes] == [
        int((shim.bundle / "init.pid").read_text())
    ]


def test_update_hands_the_limits_to_the_runtime(shim: Any) -> None:
    """LinuxResources goes to the runtime's stdin as it came."""
    shim.bundle.joinpath("command").write_text("cat")
    shim.call("Create", **shim.create_fields(stdin=make_fifo(shim, "stdin")))
    shim.call("Start", id="one")

    shim.call("Update", id="one", resources={"type_url": "x", "value": b'{"memory":{"limit":1}}'})

    assert (shim.bundle / "resources").read_text() == '{"memory":{"limit":1}}'
    assert "update --resources - one" in (shim.bundle / "calls").read_text()


def test_kill_of_an_ended_process_is_not_found(shim: Any) -> None:
    """The words by which containerd's clients know that there is nothing left to kill."""
    shim.call("Create", **shim.create_fields())
    shim.call("Start", id="one")
    shim.call("Wait", id="one")

    assert shim.refusal("Kill", id="one", signal=9) == (NOT_FOUND, "process already finished: not found")


def test_runtime_that_is_killed_is_called_again_where_that_is_safe(shim: Any) -> None:
    """SIGKILL and delete may be done twice; whether another signal has been sent already, nobody knows."""
    shim.bundle.joinpath("command").write_text("cat")
    shim.call("Create", **shim.create_fields(stdin=make_fifo(shim, "stdin")))
    shim.call("Start", id="one")
    for verb in ("kill", "delete"):
        shim.bundle.joinpath(f"killed-{verb}").touch()

    refusal = shim.refusal("Kill", id="one", signal=15)
    shim.bundle.joinpath("killed-kill").touch()
    shim.call("Kill", id="one", signal=9)
    status = shim.call("Wait", id="one").exit_status
    shim.call("Delete", id="one")

    assert refusal == (UNKNOWN, "OCI runtime kill failed: oci-runtime exited with status 137")
    assert status == 137
    assert (shim.bundle / "calls").read_text().split("\n")[2:-1] == [
        *("kill one 15", "kill one 9", "kill one 9"),
        *("delete one", "delete --force one"),
    ]


def test_failed_create_brings_the_runtime_s_own_words(shim: Any) -> None:
    """The last error of log.json is what the user will read; afterwards there is no container."""
    shim.bundle.joinpath("fail").write_text("exec: nosuch: executable file not found in $PATH")

    refusal = shim.refusal("Create", **shim.create_fields())

    assert refusal == (UNKNOWN, "OCI runtime create failed: exec: nosuch: executable file not found in $PATH")
    assert shim.refusal("Delete", id="one") == (NOT_FOUND, "container not created: not found")
    assert shim.no_event_waits()


def test_missing_runtime_is_named(shim: Any) -> None:
    """A runtime that is not there is told apart from one that fails."""
    shim.binary.unlink()

    code, words = shim.refusal("Create", **shim.create_fields())

    assert code == UNKNOWN
    assert words == f"OCI runtime create failed: {shim.binary}: no such file or directory"


def test_missing_fifo_is_named(shim: Any) -> None:
    """A stdin that is not there is the client's mistake, and says which."""
    code, words = shim.refusal("Create", **shim.create_fields(stdin=str(shim.directory / "gone")))

    assert code == 3
    assert words == f"open stdio {shim.directory}/gone: no such file or directory"


def test_output_may_be_a_file(shim: Any) -> None:
    """A file: URI is appended to, as `ctr run --log-uri` asks."""
    shim.bundle.joinpath("command").write_text("echo logged")
    shim.call("Create", **shim.create_fields(stdout=f"file://{shim.directory}/log"))
    shim.call("Start", id="one")
    shim.call("Wait", id="one")

    assert (shim.directory / "log").read_text() == "logged\n"


def test_logger_program_is_refused_by_name(shim: Any) -> None:
    """What is left out says so."""
    code, words = shim.refusal("Create", **shim.create_fields(stdout="binary:///bin/logger"))

    assert (code, words.split(" in ")[0]) == (3, 'unknown STDIO scheme "binary"')


def test_shutdown_with_a_container_is_not_obeyed(shim: Any) -> None:
    """Only a shim that holds nothing ends."""
    shim.call("Create", **shim.create_fields())

    shim.call("Shutdown", id="one")

    assert shim.call("State", id="one").status == Status.CREATED


def test_start_finds_a_living_shim(shim: Any) -> None:
    """A second start answers with the address of the first."""
    again = shim.run("start")

    assert (again.returncode, again.stdout.decode(), again.stderr) == (0, shim.address, b"")
    assert (shim.bundle / "address").read_text() == shim.address


def test_delete_after_a_killed_shim_cleans_up(shim: Any) -> None:
    """The container that is left is ended through the runtime, and the answer says 137."""
    shim.bundle.joinpath("command").write_text("cat")
    pid = shim.call("Create", **shim.create_fields(stdin=make_fifo(shim, "stdin"))).pid
    shim.call("Start", id="one")
    os.kill(shim.pid, signal.SIGKILL)

    done = shim.run("-bundle", str(shim.bundle), "delete")

    answer = DeleteResponse.FromString(done.stdout)
    assert (done.returncode, answer.pid, answer.exit_status) == (0, pid, 137)
    assert answer.exited_at.seconds > 0
    assert "delete --force one" in (shim.bundle / "calls").read_text()
    assert not Path(shim.address.removeprefix("unix://")).exists()


def test_delete_after_a_clean_end_has_nothing_to_do(shim: Any) -> None:
    """The runtime is not called a second time, and asking twice is no error."""
    shim.call("Create", **shim.create_fields())
    shim.call("Delete", id="one")
    for _ in range(3):
        shim.event()
    shim.call("Shutdown", id="one")
    shim.wait_for_end()

    for _ in range(2):
        done = shim.run("-bundle", str(shim.bundle), "delete")
        assert (done.returncode, done.stderr) == (0, b"")
    assert "--force" not in (shim.bundle / "calls").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explode"], "unknown action 'explode'"),
        ([], "an action is missing"),
        (["-nosuch", "start"], "flag provided but not defined: -nosuch"),
        (["-bundle"], "flag needs an argument: -bundle"),
        (["-id", "../up", "start"], "shim id '../up' must be a plain name"),
    ],
)
def test_bad_command_line_is_a_sentence(shim: Any, arguments: list[str], words: str) -> None:
    """No traceback, no daemon, and a status of its own."""
    done = shim.run(*arguments)

    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"containerd-shim-glassbottom-v1: {words}\n")

"""``--attach``: which of this host's processes are meant, what following them touches, and what the engine is told.

Nothing is planned and nothing cleaned up: the daemons are the host's, and so is whatever the container leaves there.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from tracer import procfs
from tracer.cli import CommandError
from tracer.commands import Attached, Launch, Program, Speed
from tracer.launch import Prepared, check_writable
from tracer.lessons import FIRST, load_lesson
from tracer.run_words import RunWords

_SEATS = {"dockerd": "daemon", "containerd": "containerd"}
_SPEEDS = ("processes", "full")
_WITH_A_STACK = ("--stack", "--daemon", "--containerd", "--shim", "--runtime")


@contextmanager
def prepare_attached(words: RunWords) -> Iterator[Prepared]:
    """Everything the engine needs to be told; the recording is where -o says. Raises CommandError."""
    for option in _WITH_A_STACK:
        if option in words.options:
            raise CommandError(
                f"{option} is for a stack of your own; with --attach the daemons run already, and choose for "
                "themselves (docker's own --runtime, after `run`, names a runtime)"
            )
    speed = words.options.get("--speed", _SPEEDS[0])
    if speed not in _SPEEDS:
        raise CommandError(f"--speed {speed}: a seccomp filter cannot be put into a process that runs already")
    if os.geteuid() != 0:
        raise CommandError("--attach: only root may trace the daemons of this host")
    lesson = load_lesson(words.options.get("--lesson", FIRST))
    followed = find(words.options["--attach"])
    recording = words.options.get("--output") or words.options["-o"]
    check_writable(recording)
    os.truncate(recording, 0)
    sys.stderr.write(f"glassbottom: {warning(followed, speed)}\n")
    client = words.seats["client"]
    labels = [attached.label for attached in followed]
    seats = {_SEATS[label]: label for label in labels if label in _SEATS}
    yield Prepared(
        Launch(
            background=(),
            # The user's own environment: DOCKER_HOST and the docker context say which socket.
            foreground=Program(
                (client, "run", *words.docker),
                tuple(f"{name}={value}" for name, value in os.environ.items()),
                os.getcwd(),
                label="client",
            ),
            stages=lesson.stages,
            lesson=lesson.id,
            typed=("docker", "run", *words.docker),
            seats={"client": os.path.basename(client), **seats},
            hold=False,
            speed=cast("Speed", speed),
            attach=followed,
            recorded_first=(*words.with_deadlines, *labels),
        ),
        recording,
    )


def warning(followed: tuple[Attached, ...], speed: str) -> str:
    """What is touched, before it is: a sentence a line."""
    who = " and ".join(f"{attached.label} (pid {attached.pid})" for attached in followed)
    if speed == "full":
        how = "they are stopped at every system call, and all containers of this host wait for them that much longer"
    else:
        how = "they run at full speed, and stop for a moment where they start a thread or process, or get a signal"
    return (
        f"warning: following {who}, which this host uses: {how}\n"
        "  what they start from now on is stopped at every system call and recorded, whoever asked for it: other "
        "people's containers, commands and environments too\n"
        "  containers that run already are not touched; nothing is held\n"
        "  when the client has ended, and also when this is killed, all of them run on by themselves"
    )


def find(names: str) -> tuple[Attached, ...]:
    """The processes that are meant by `dockerd,containerd` or `812,790`. Raises CommandError."""
    found = []
    for name in dict.fromkeys(names.split(",")):
        pid = int(name) if name.isdigit() else _pid_of(name)
        started = procfs.start_time(pid)
        if not started or not procfs.argv(pid):
            raise CommandError(f"--attach {name}: there is no such process")
        if pid == os.getpid() or pid in _ancestors():
            raise CommandError(f"--attach {name}: process {pid} runs this command, and cannot be followed by it")
        found.append(Attached(pid, started, os.path.basename(procfs.argv(pid)[0])))
    return tuple(found)


def _pid_of(name: str) -> int:
    """The one process of that program."""
    pids = [pid for pid in procfs.pids() if os.path.basename((procfs.argv(pid) or [""])[0]) == name]
    if not name or not pids:
        raise CommandError(f"--attach {name}: no process of that name is running here; a pid will do as well")
    if len(pids) > 1:
        listed = "; ".join(f"{pid}: {' '.join(procfs.argv(pid))[:80]}" for pid in sorted(pids))
        raise CommandError(f"--attach {name}: there are {len(pids)} of that name, say which by its pid ({listed})")
    return pids[0]


def _ancestors() -> set[int]:
    """Who waits for us: to follow them would be to wait for oneself."""
    found: set[int] = set()
    pid = os.getpid()
    while pid := procfs.parent(pid):
        found.add(pid)
    return found

"""`glassbottom record`: to a script it is `docker run`; killed in any part, it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack_leftovers import NOTHING, left_of
from tracer import procfs
from tracer.leftovers import processes_of
from tracer.stack import StackPlan, load

pytestmark = [pytest.mark.root, pytest.mark.slow]


def record(runtime_dir: Path, *words: str, options: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "tracer",
        "record",
        "-o",
        f"{runtime_dir}/run.jsonl",
        *options,
        "--",
        "docker",
        "run",
        *words,
    ]
    return subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True)


def test_record_passes_streams_and_exit_code_on(runtime_dir: Path) -> None:
    """stdin, stdout and stderr are the container's, and so is the exit code; the recording is whole."""
    process = record(runtime_dir, "--rm", "-i", "hostbox", "sh", "-c", "cat; echo err >&2; exit 3")
    out, err = process.communicate("from stdin\n")
    lines = (runtime_dir / "run.jsonl").read_text().splitlines()

    assert (process.returncode, out, err) == (3, "from stdin\n", "err\n")
    assert json.loads(lines[-1])[0] == "ended"
    assert json.loads(lines[-1])[2] == 3
    assert json.loads(lines[0])["typed"][:4] == ["docker", "run", "--rm", "-i"]


def test_end_of_the_story_is_told_to_who_listened_to_nothing(runtime_dir: Path) -> None:
    """What the program printed never arrives: the stages that are told behind that come all the same."""
    process = record(runtime_dir, "--rm", "--attach", "stderr", "hostbox", "echo", "hi")
    out, err = process.communicate()
    rows = [json.loads(row) for row in (runtime_dir / "run.jsonl").read_text().rstrip("\n").split("\n")[1:]]
    stages = [row[4] for row in rows if row[0] == "stage"]

    assert (process.returncode, out, err) == (0, "", "")
    assert "output-arrives" not in stages
    assert stages[-2:] == ["client-told-exit", "client-exits"]


def test_filtered_speed_finds_what_full_speed_finds(runtime_dir: Path) -> None:
    """The same stages and the same kinds of actions and messages, out of a third of the calls; and it says so."""
    found = []
    for speed in ("full", "filtered"):
        process = record(runtime_dir, "--rm", "hostbox", "echo", "hi", options=("--speed", speed))
        out, err = process.communicate()
        assert (process.returncode, out) == (0, "hi\n"), err
        header, *rows = map(json.loads, (runtime_dir / "run.jsonl").read_text().rstrip("\n").split("\n"))
        assert header["mode"] == speed
        found.append(rows)
    full, filtered = found

    def kinds(rows: list[list[object]], kind: str, field: int) -> set[object]:
        # Which helper containerd still has to kill depends on the moment at which the stack is taken down.
        return {row[field] for row in rows if row[0] == kind} - {"SignalSent"}

    assert len(kinds(full, "stage", 4)) > 40
    assert kinds(filtered, "stage", 4) == kinds(full, "stage", 4)
    assert kinds(filtered, "action", 4) == kinds(full, "action", 4)
    assert kinds(filtered, "message", 5) == kinds(full, "message", 5)
    assert len([row for row in filtered if row[0] == "exit"]) * 2 < len([row for row in full if row[0] == "exit"])
    assert [row[2] for row in filtered if row[0] == "note" and row[2] in ("filtered", "watching")] == [
        "filtered",
        "watching",
    ]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--rm", "hostbox", "nosuch"), 127, 'exec: "nosuch": executable file not found in $PATH'),
        (("--rm", "nosuch", "true"), 125, "Unable to find image 'nosuch:latest' locally"),
    ],
)
def test_record_refusals_are_dockers(runtime_dir: Path, words: tuple[str, ...], code: int, text: str) -> None:
    """The client's words and codes come through."""
    process = record(runtime_dir, *words)
    _, err = process.communicate()

    assert (process.returncode, text in err) == (code, True), err


def test_record_keeps_no_secret(runtime_dir: Path) -> None:
    """Of an env file, of a short value, of the client's own environment; whatever the container does with them."""
    secrets = {"FILE_SECRET": "filehunter-9911", "SHORT_TOKEN": "q9z", "ODD_PASSWORD": 'a"b\\c&d1', "SET_KEY": "x~7"}
    options = runtime_dir / "run.env"
    options.write_text("".join(f"{name}={secrets[name]}\n" for name in list(secrets)[:3]) + "PLAIN=visible\n")
    script = 'env; echo "it is $FILE_SECRET."; while read line; do :; done < /proc/self/environ'

    process = record(
        runtime_dir, "--rm", "--network", "none", "--env-file", str(options), "-e", "SET_KEY=x~7", "hostbox",
        "sh", "-c", script,
    )  # fmt: skip
    out, err = process.communicate()
    options.unlink()
    recording = (runtime_dir / "run.jsonl").read_text()

    assert process.returncode == 0, err
    assert [secret for secret in secrets.values() if secret not in out] == []
    spelt = [*secrets.values(), *(json.dumps(secret)[1:-1] for secret in secrets.values())]
    assert [secret for secret in spelt if secret in recording or json.dumps(secret)[1:-1] in recording] == []
    assert all(f"{name}={'*' * len(secret)}" in recording for name, secret in list(secrets.items())[:2])
    assert "PLAIN=visible" in recording


def test_record_says_which_program_did_not_come_up(runtime_dir: Path) -> None:
    """`false` in the daemon's seat; the exit code is docker's for a refusal."""
    done = subprocess.run(
        [sys.executable, "-m", "tracer", "record", "-o", f"{runtime_dir}/run.jsonl", "--daemon", "false", "hostbox"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 125
    assert done.stderr.startswith("glassbottom: daemon ended with exit code 1 before it was ready")


def test_record_passes_signals_on_to_the_client(runtime_dir: Path) -> None:
    """The client is in a session of its own, where no terminal's Ctrl-C would reach it."""
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    process = record(runtime_dir, "--rm", "hostbox", "sh", "-c", script)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()

    assert (process.returncode, out) == (9, "caught\n"), err


def test_record_says_so_when_its_engine_is_killed(runtime_dir: Path) -> None:
    """What was traced dies with the tracer; the rest is cleaned up, and the exit code is docker's for a refusal."""
    process = record(runtime_dir, "--rm", "hostbox", "sh", "-c", "echo ready; exec sleep 1000")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    plan = only_plan(runtime_dir)

    os.kill(pid_of(plan, "tracer.engine"), signal.SIGKILL)
    _, err = process.communicate()

    assert process.returncode == 125
    assert "engine ended early" in err
    assert "Traceback" not in err
    assert left_of(plan) == NOTHING


@pytest.mark.parametrize(
    "victim",
    ["tracer.engine", "runtime.daemon", "containerd-shim"],
)
def test_kill_9_of_a_part_and_of_the_owner_leaves_nothing_after_cleanup(runtime_dir: Path, victim: str) -> None:
    """Whatever died first, everything is found by the names on disk."""
    process = record(runtime_dir, "--rm", "hostbox", "sh", "-c", "echo ready; exec sleep 1000")
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    plan = only_plan(runtime_dir)

    os.kill(pid_of(plan, victim), signal.SIGKILL)
    process.kill()
    process.communicate()
    done = subprocess.run(
        [sys.executable, "-m", "tracer", "cleanup"],
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert left_of(plan) == NOTHING


def only_plan(runtime_dir: Path) -> StackPlan:
    (registry,) = (runtime_dir / "glassbottom").iterdir()
    return load(str(registry))


def pid_of(plan: StackPlan, part: str) -> int:
    """The one process of the stack with this in its command line (the shim's parent has ended by now)."""
    return next(pid for pid in processes_of(plan) if part in " ".join(procfs.argv(pid)))


def test_nohup_keeps_the_recording_and_its_container(runtime_dir: Path) -> None:
    """A SIGHUP that we were told to ignore is neither obeyed nor passed on."""
    command = [sys.executable, "-m", "tracer", "record", "-o", f"{runtime_dir}/run.jsonl", "--", "docker", "run"]
    words = ["--rm", "-i", "hostbox", "sh", "-c", "echo up; read line; exit 7"]
    process = subprocess.Popen(
        [*command, *words],
        stdin=-1,
        stdout=-1,
        stderr=-1,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"

    process.send_signal(signal.SIGHUP)
    _, err = process.communicate("on\n")

    assert (process.returncode, err) == (7, "")

"""`make soak`: what no short test can show. 1,000 containers one after the other, and 200 kill -9 of each program.

Not a test, for it takes an hour: a program that says what it found, and exits with 1 when anything leaked, hung or was
lost. One private stack, with one container in it (the *keeper*) that nobody kills and that must live through it all.

    cycles   run --rm, N times: afterwards the host holds what it held before, and the daemons are not bigger
    kills    run --rm, and somebody is killed at a random moment: the client ends, the daemons can be started again,
             the keeper still runs and is known, `rm --force` takes away what is left, and the host holds what it held
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tracer import cleanup, procfs
from tracer.commands import Program
from tracer.leftovers import cgroup_folders, links_of, processes_of
from tracer.stack import plan_stack

LONGEST_RUN_S = 0.45
"""A `docker run --rm` takes about 0.3 s here: kills fall into all of it, and some after it."""
HUNG_S = 20
"""A client that has not ended so long after somebody was killed never will."""
PROGRAMS = {"client": "", "daemon": "", "containerd": "", "shim": "containerd-shim", "runtime": "glassbottom-oci"}
"""Who is killed; for those that come and go, what their command line holds."""
GROWTH = 1.1
"""How much bigger than after the first tenth a daemon may be at the end."""


class Stack:
    """One private stack whose daemons are started again when they have died."""

    def __init__(self) -> None:
        self.plan = plan_stack()
        self.keeper_id = ""
        self._programs = {program.label: program for program in self.plan.background()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.log = Path(self.plan.root, "tmp", "soak.log").open("ab")  # noqa: SIM115 (it is the daemons' for as long as the stack stands; down() closes it)
        self.revive()
        self.keeper_id = self.docker("run", "-d", "--name", "keeper", "hostbox", "sleep", "1000000").strip()
        self.keeper_pid = self._keeper()

    def revive(self) -> None:
        """Start whichever daemon does not run, containerd first, and wait until both answer."""
        for name, program in self._programs.items():
            if name not in self._running or self._running[name].poll() is not None:
                self._running[name] = self._start(program)
        self.docker("version")

    def _start(self, program: Program) -> subprocess.Popen[bytes]:
        environment = dict(entry.split("=", 1) for entry in program.environment)
        process = subprocess.Popen(
            program.argv, env=environment, cwd=program.cwd, stdout=self.log, stderr=self.log, start_new_session=True
        )
        with_socket = socket.socket(socket.AF_UNIX)
        while process.poll() is None and with_socket.connect_ex(program.listens_on):
            time.sleep(0.01)
        with_socket.close()
        return process

    def docker(self, *words: str) -> str:
        """One command of the real docker CLI, which has to work; a daemon that starts up is asked again."""
        for _ in range(200):
            done = subprocess.run(
                ["docker", "-H", self.plan.docker_host, *words],
                capture_output=True,
                text=True,
                check=False,
                timeout=HUNG_S,
            )
            if done.returncode == 0:
                return done.stdout
            if "Cannot connect" not in done.stderr:
                break
            time.sleep(0.05)
        raise SystemExit(f"soak: docker {' '.join(words)}: {done.stderr}")

    def run(self, name: str) -> subprocess.Popen[bytes]:
        """`run --rm` by our own client, under way."""
        argv = self.plan.client_argv(["run", "--rm", "--name", name, "hostbox", "sh", "-c", "echo hi"])
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log)

    def kill(self, program: str) -> None:
        """The daemon or containerd, until it is gone."""
        self._running[program].kill()
        self._running[program].wait()

    def visitors(self, word: str) -> list[int]:
        """Shims or OCI runtimes at work now, the keeper's own shim excepted."""
        found = []
        for pid in processes_of(self.plan):
            argv = procfs.argv(pid)
            if any(word in part for part in argv[:3]) and self.keeper_id not in argv:
                found.append(pid)
        return found

    def _keeper(self) -> str:
        return self.docker("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "keeper").strip()

    def check_keeper(self) -> Iterator[str]:
        """Nothing, or what became of the keeper."""
        now = self._keeper()
        if now != self.keeper_pid:
            yield f"the keeper was {self.keeper_pid!r} and is {now!r}"

    def remove_others(self) -> None:
        """Everything but the keeper."""
        others = [line for line in self.docker("ps", "-a", "--format", "{{.Names}}").split() if line != "keeper"]
        if others:
            self.docker("rm", "--force", *others)

    def held(self) -> set[str]:
        """What the stack holds on the host now."""
        root = self.plan.root
        mounts = {f"mount {mount.point}" for mount in procfs.mounts() if root in mount.point}
        groups = {f"cgroup {folder}" for parent in cgroup_folders(self.plan) for folder, _, _ in os.walk(parent)}
        links = {f"link {name}" for name in links_of(self.plan)}
        programs = {f"process {' '.join(procfs.argv(pid))}" for pid in processes_of(self.plan)}
        files = {f"file {folder}/{name}" for folder, _, names in os.walk(root) for name in names}
        folders = {f"folder {folder}" for folder, _, _ in os.walk(root)}
        # A container's own files are seen through its mount; its layers are in the snapshots as well.
        return {line for line in mounts | groups | links | programs | files | folders if "/rootfs/" not in line}

    def sizes(self) -> dict[str, int]:
        """Resident memory of the two daemons, in kB."""
        found = {}
        for name, process in self._running.items():
            status = Path(f"/proc/{process.pid}/status").read_text()
            found[name] = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
        return found

    def down(self) -> list[str]:
        """Take everything away; what could not be."""
        for process in reversed(self._running.values()):
            process.terminate()
            process.wait()
        self.log.close()
        return cleanup.cleanup_stack(self.plan).problems


def soak_cycles(stack: Stack, count: int) -> Iterator[str]:
    """Run containers one after the other; what was wrong afterwards."""
    for number in range(3):
        stack.run(f"warm{number}").wait(HUNG_S)
    before, sizes = stack.held(), stack.sizes()
    for number in range(count):
        status = stack.run(f"c{number}").wait(HUNG_S)
        if status:
            yield f"run {number} ended with {status}"
        if number == count // 10:
            sizes = stack.sizes()
    stack.docker("version")
    yield from (f"left behind: {line}" for line in settled(stack, before))
    for name, size in stack.sizes().items():
        print(f"memory of {name}: {sizes[name]} kB after {count // 10} cycles, {size} kB after {count}", flush=True)
        if size > sizes[name] * GROWTH:
            yield f"{name} grew from {sizes[name]} to {size} kB"


def settled(stack: Stack, before: set[str]) -> list[str]:
    """What the stack holds that it did not hold before, once what is still being taken away has gone."""
    for _ in range(100):
        left = stack.held() - before
        if not left:
            return []
        time.sleep(0.1)
    return sorted(left)


def soak_kills(stack: Stack, program: str, count: int, dice: random.Random) -> Iterator[str]:
    """Kill one program at random moments of a run; what was wrong."""
    stack.remove_others()
    before = stack.held()
    for number in range(count):
        client = stack.run(f"k{program}{number}")
        kill_at_random(stack, program, client, dice)
        stack.revive()  # first: a client rightly waits for a containerd that may come back
        try:
            client.wait(HUNG_S)
        except subprocess.TimeoutExpired:
            yield f"{program}, kill {number}: the client hangs"
            client.kill()
            client.wait()
        yield from (f"{program}, kill {number}: {what}" for what in stack.check_keeper())
        stack.remove_others()
    yield from (f"after {count} kills of {program}: left behind: {line}" for line in settled(stack, before))


def kill_at_random(stack: Stack, program: str, client: subprocess.Popen[bytes], dice: random.Random) -> None:
    """Kill it in a while; those that come and go are waited for first."""
    word = PROGRAMS[program]
    while word and not stack.visitors(word) and client.poll() is None:
        time.sleep(0.001)
    time.sleep(dice.uniform(0, LONGEST_RUN_S / 5 if word else LONGEST_RUN_S))
    if program == "client":
        client.kill()
    elif not word:
        stack.kill(program)
    for pid in stack.visitors(word) if word else ():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def main() -> int:
    """Soak, say what was found, and exit with 1 when it was anything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=200, help="of each program")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=f"whom to kill: {', '.join(PROGRAMS)}")
    options = parser.parse_args()
    stack = Stack()
    problems: list[str] = []
    try:
        begin = time.monotonic()
        problems += told(soak_cycles(stack, options.cycles))
        print(f"{options.cycles} cycles in {time.monotonic() - begin:.0f} s, {len(problems)} problems", flush=True)
        for program in options.programs or PROGRAMS:
            found = told(soak_kills(stack, program, options.kills, random.Random(options.seed)))
            print(f"{options.kills} kills of {program}: {len(found)} problems", flush=True)
            problems += found
    finally:
        problems += told(stack.down())
    return bool(problems)


def told(problems: Iterable[str]) -> list[str]:
    """All of them, each printed as soon as it is known."""
    found = []
    for problem in problems:
        print(f"  {problem}", flush=True)
        found.append(problem)
    return found


if __name__ == "__main__":
    sys.exit(main())

"""``glassbottom stack up``: the daemon and containerd in the foreground, untraced, for the real docker CLI and ctr."""

import argparse
import os
import select
import socket
import subprocess
import sys

from tracer import cleanup, privileges, seats
from tracer.cli import CommandError
from tracer.commands import Program
from tracer.stack import StackError, StackPlan, plan_stack
from tracer.stop_signals import StopSignals

DESCRIPTION = """\
Run the built-in stack by itself: containerd and the daemon, in the foreground, not traced.
It prints what to set, and takes everything down again, running containers too, on Ctrl-C or SIGTERM.

  glassbottom stack up &
  export DOCKER_HOST=unix:///...        as printed
  docker run --rm hostbox echo hi       the real docker CLI, on our daemon
  ctr --address /.../containerd.sock events
"""


def main(argv: list[str]) -> int:
    """Bring a stack up and stay until told to go."""
    parser = argparse.ArgumentParser(
        prog="glassbottom stack", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["up"], help="the one thing a stack can be told")
    parser.add_argument("--socket", metavar="PATH", help="where the daemon listens (default: in the stack's root)")
    parser.add_argument("--root", metavar="DIR", help="folder for everything else (default: a fresh one)")
    for option, choices in seats.OPTIONS.items():
        if option != "--client":  # whoever knocks at the daemon's socket is one
            parser.add_argument(option, default="", metavar="NAME", help=f"the real {choices}")
    options = parser.parse_args(argv)
    cleanup.kill_abandoned()
    privileges.become_root_of_a_namespace()
    cleanup.cleanup_abandoned()
    # From here on a signal is a byte to be read, so that none can come between making something and noting it.
    with StopSignals() as stop:
        plan = plan_stack(
            options.root,
            socket=options.socket,
            daemon=options.daemon,
            containerd=options.containerd,
            shim=options.shim,
            runtime=options.runtime,
        )
        try:
            return _stay_up(plan, stop)
        finally:
            for sentence in cleanup.cleanup_stack(plan).problems:
                print(f"glassbottom: {sentence}", file=sys.stderr)


def _stay_up(plan: StackPlan, stop: StopSignals) -> int:
    children: list[subprocess.Popen[bytes]] = []
    for program in plan.background():
        children.append(_start(program))
        if not _await_socket(program.listens_on, children, stop):
            return 0
    for program in plan.preparations():
        preparation = _start(program)
        ended = _await_end([*children, preparation], stop, None)
        if ended is None:
            return 0
        if ended is not preparation or preparation.returncode:
            raise StackError(f"{_name(ended)} ended with status {ended.returncode}; what it said is above")
    print(f"export DOCKER_HOST={plan.docker_host}")
    print(f"# containerd: ctr --address {plan.containerd_socket} --namespace moby events")
    print("# Ctrl-C or SIGTERM takes the stack down, with everything that runs on it", flush=True)
    ended = _await_end(children, stop, None)
    if ended is not None:
        raise CommandError(f"{_name(ended)} ended by itself with status {ended.returncode}; the stack is down")
    # The daemon first: it stops its containers while containerd can still do what it asks. SIGKILL is for the rest.
    for child in reversed(children):
        child.terminate()
        child.wait()
    return 0


def _start(program: Program) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        program.argv,
        env=dict(entry.split("=", 1) for entry in program.environment),
        cwd=program.cwd,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for this process, which takes the others down in order
    )


def _await_socket(path: str, children: list[subprocess.Popen[bytes]], stop: StopSignals) -> bool:
    """Wait until a program accepts connections; False when told to stop meanwhile."""
    while True:
        with socket.socket(socket.AF_UNIX) as knock:
            if knock.connect_ex(path) == 0:
                return True
        ended = _await_end(children, stop, 20)
        if ended is not None:
            raise StackError(f"{_name(ended)} did not start (status {ended.returncode}); what it said is above")
        if select.select([stop], [], [], 0)[0]:
            return False


def _await_end(
    children: list[subprocess.Popen[bytes]], stop: StopSignals, milliseconds: int | None
) -> subprocess.Popen[bytes] | None:
    """Wait until a child ends, or a stop signal comes, or the time is over; the child that ended."""
    poller = select.poll()
    poller.register(stop, select.POLLIN)
    handles = {os.pidfd_open(child.pid): child for child in children}
    for handle in handles:
        poller.register(handle, select.POLLIN)
    ready = {number for number, _ in poller.poll(milliseconds)}
    for handle in handles:
        os.close(handle)
    for handle, child in handles.items():
        if handle in ready:
            child.wait()
            return child
    return None


def _name(child: subprocess.Popen[bytes]) -> str:
    """The program, and not what starts it in a network of its own (`unshare --net -- dockerd`)."""
    words = child.args
    assert isinstance(words, tuple)
    words = words[words.index("--") + 1 :] if "--" in words else words
    return str(words[2] if words[1] == "-m" else os.path.basename(words[0]))

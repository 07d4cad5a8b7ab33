"""What `glassbottom record` runs, without the tracer: for `make bench` to put under strace.

usage: bench_straced_run.py [docker-run flags] IMAGE [COMMAND...]
"""

import os
import signal
import sys

from tests.unix_sockets import wait_for_socket
from tracer import cleanup
from tracer.stack import plan_stack


def main() -> int:
    """Start a stack, run one container on it through our client, and take the stack down."""
    plan = plan_stack()
    daemons = []
    for program in plan.background():
        environment = dict(entry.split("=", 1) for entry in program.environment)
        daemons.append(os.posix_spawn(program.argv[0], program.argv, environment, setsid=True))
        wait_for_socket(program.listens_on, daemons[-1])
    client = plan.foreground(sys.argv[1:] and ["run", *sys.argv[1:]], os.getcwd())
    pid = os.posix_spawn(client.argv[0], client.argv, dict(entry.split("=", 1) for entry in client.environment))
    _, status = os.waitpid(pid, 0)
    for daemon in reversed(daemons):
        os.kill(daemon, signal.SIGTERM)
        os.waitpid(daemon, 0)
    cleanup.cleanup_stack(plan)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())

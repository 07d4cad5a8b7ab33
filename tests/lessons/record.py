"""Record a lesson's own command as a person would run it: `python tests/lessons/record.py 010_docker_run OUTPUT`.

The command gets a terminal of 80 by 24 and a plain environment; once the prompt has come, a few lines are typed at a
person's speed. Run it from an installation in a neutral place (/opt/glassbottom), because a recording holds its paths.
Uses `glassbottom` beside the running interpreter; the output is what `lessons/README.md` says to compress.
"""

import fcntl
import os
import pty
import select
import shlex
import struct
import sys
import termios

from tracer.lessons import load_lesson

TYPED = (b"hostname\n", b"ps\n", b"exit\n")
BETWEEN_KEYS_S = 0.12
QUIET_S = 0.8
"""Silence after a prompt, before a person types on."""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "TERM": "xterm-256color",
    "LANG": "C.UTF-8",
}


def main(lesson_id: str, output: str) -> int:
    """Record, pass the screen on, and end as the client ended."""
    command = shlex.split(load_lesson(lesson_id).command)
    program = os.path.join(os.path.dirname(sys.executable), "glassbottom")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir("/")
        os.execve(program, [program, "record", "--lesson", lesson_id, "-o", output, "--", *command], ENVIRONMENT)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    converse(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def converse(terminal: int) -> None:
    """Type each line after a prompt and some silence, until the terminal closes."""
    waiting = list(TYPED)
    prompted = False
    while True:
        ready, _, _ = select.select([terminal], [], [], QUIET_S)
        if ready:
            try:
                shown = os.read(terminal, 4096)
            except OSError:
                return  # EIO: the other end is closed
            if not shown:
                return
            os.write(1, shown)
            prompted = prompted or b"# " in shown or b"$ " in shown
        elif prompted and waiting:
            prompted = False
            for key in waiting.pop(0):
                os.write(terminal, bytes([key]))
                select.select([], [], [], BETWEEN_KEYS_S)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

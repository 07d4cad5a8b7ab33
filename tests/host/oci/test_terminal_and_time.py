"""The relay of `run` on a terminal of our own, and the two namespaces that runc and crun of Debian 12 may lack."""

import fcntl
import os
import pty
import struct
import termios
from pathlib import Path

import pytest

from tests.oci_bundle import Box

pytestmark = [pytest.mark.root, pytest.mark.slow]


def test_run_on_a_terminal_relays_it(box: Box) -> None:
    """Our size is the container's, what was typed ahead arrives, and the exit status comes back."""
    box.config["process"]["terminal"] = True
    box.write_config("/bin/sh", "-c", "tty; stty size; read word; echo got $word; exit 4")
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        os.execv(box.argv[0], [*box.argv, "run", "--bundle", str(box.directory), box.id])
    os.write(master, b"hello\n")
    printed = b""
    while True:
        try:
            printed += os.read(master, 4096)
        except OSError:  # EIO: the runtime has ended
            break
    os.close(master)

    assert 4 == os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    # each of the two terminals may echo what was typed, at any moment
    lines = [line for line in printed.split(b"\r\n") if line not in (b"hello", b"")]
    assert [b"/dev/pts/0", b"33 77", b"got hello"] == lines


def test_time_namespace_has_its_own_boot_time(box: Box) -> None:
    """linux.timeOffsets moves the clocks of the container alone."""
    box.namespaces("pid", "network", "ipc", "uts", "mount", "time")
    box.config["linux"]["timeOffsets"] = {"boottime": {"secs": 1_000_000}}

    (uptime,) = box.shell("cut -d. -f1 /proc/uptime")

    host = float(Path("/proc/uptime").read_text().split()[0])
    assert 999_000 < int(uptime) - host < 1_001_000


def test_cgroup_namespace_hides_where_the_group_is(box: Box) -> None:
    """The container's own group is / for it, in /proc/self/cgroup and in the cgroup mount."""
    box.namespaces("pid", "network", "ipc", "uts", "mount", "cgroup")
    box.config["mounts"].append(
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "noexec"]}
    )

    lines = box.shell("cut -d: -f3 /proc/self/cgroup; touch /sys/fs/cgroup/x 2>/dev/null || echo read-only")

    assert {"/", "read-only"} == set(lines)

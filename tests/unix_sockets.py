"""Wait until somebody listens on a unix socket: for tests and benchmarks that start a daemon."""

import os
import select
import socket


def wait_for_socket(path: str, pid: int) -> None:
    """Until a connection is accepted there; an AssertionError if the process, a child of ours, ends before that."""
    handle = os.pidfd_open(pid)
    try:
        while True:
            with socket.socket(socket.AF_UNIX) as knock:
                if knock.connect_ex(path) == 0:
                    return
            # Nothing tells that a socket has begun to listen; that the program is gone, its pidfd does.
            ended, _, _ = select.select([handle], [], [], 0.005)
            assert not ended, f"process {pid} ended instead of listening at {path}"
    finally:
        os.close(handle)

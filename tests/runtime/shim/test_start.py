"""How a shim comes to serve: by a program that is waited for, and forks."""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

from runtime.shim.address import socket_path
from tests.runtime.shim.conftest import PATIENCE, SHIM


def wait_until(so: Callable[[], bool]) -> None:
    """Look again and again, for a while."""
    until = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_shim_that_nobody_was_told_of_ends(shim: Any) -> None:
    """`start` is killed once it has forked, while it waits to print: what serves ends, and takes its socket along."""
    address, bundle = str(shim.directory / "c.sock"), shim.directory / "two"
    path = socket_path(address, "tests", "two")
    bundle.mkdir()
    reader, writer = os.pipe()
    os.write(writer, b"x" * fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ))
    argv = [str(SHIM), "-namespace", "tests", "-address", address, "-id", "two", "start"]
    start = subprocess.Popen(argv, cwd=bundle, stdin=subprocess.DEVNULL, stdout=writer)
    wait_until((bundle / "address").exists)  # the last that it does before it prints

    start.kill()
    start.wait()

    wait_until(lambda: not os.path.exists(path))
    os.close(reader)
    os.close(writer)

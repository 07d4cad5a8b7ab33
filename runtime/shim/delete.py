"""`delete`: clean up after a shim, whatever became of it, and say how the container ended.

Real counterpart: containerd runtime/v2/runc/manager (Stop). containerd runs this after *every* end of a shim. After a
clean one there is nothing to do; after a killed one the container may still run, with nobody left to own it, and is
killed here by `delete --force`. The answer, a serialized DeleteResponse on stdout, counts only in that case: containerd
publishes TaskExit and TaskDelete from it.

It runs on the way of every `docker run --rm`, so it starts lean: the three fields are encoded here by hand, since
importing protobuf would take longer than all the rest.
"""

import os
import sys
import time

from runtime.shim.address import socket_path
from runtime.shim.bundle import RuntimeOptions, forget_runtime, read_note, read_options

KILLED = 128 + 9


def delete(namespace: str, container_id: str, address: str, bundle: str) -> int:
    """Remove what is left of the container and print the answer."""
    try:
        pid = int(read_note(f"{bundle}/init.pid") or 0)
    except ValueError:
        pid = 0
    options = read_options(bundle)
    if options is not None:
        _force_delete(container_id, bundle, options)
        forget_runtime(bundle)
    if os.path.ismount(f"{bundle}/rootfs"):
        from runtime.shim.rootfs import unmount_all

        unmount_all(f"{bundle}/rootfs")
    if address:
        _remove_socket(socket_path(address, namespace, container_id))
    sys.stdout.buffer.write(delete_response(pid, KILLED, time.time_ns()))
    return 0


def _force_delete(container_id: str, bundle: str, options: RuntimeOptions) -> None:
    from runtime.shim.errors import TaskError
    from runtime.shim.runc import Stdio, find_binary, spawn_program

    argv = [options.binary, "--root", options.root, "--log", f"{bundle}/log.json", "--log-format", "json"]
    if options.systemd_cgroup:
        argv.append("--systemd-cgroup")
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    try:
        argv, stdio = [*argv, "delete", "--force", container_id], Stdio(null, null, 2)
        _pid, status = os.waitpid(spawn_program(find_binary(options.binary), argv, stdio), 0)
        if os.WIFSIGNALED(status):  # what a killed call has left is for the next
            _pid, status = os.waitpid(spawn_program(find_binary(options.binary), argv, stdio), 0)
    except (OSError, TaskError) as reason:
        sys.stderr.write(f"failed to remove container {container_id}: {reason}\n")
        return
    if status:
        sys.stderr.write(f"failed to remove container {container_id}: {options.binary} failed\n")


def _remove_socket(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def delete_response(pid: int, exit_status: int, exited_at_ns: int) -> bytes:
    """Serialize DeleteResponse{pid=1 exit_status=2 exited_at=3 Timestamp{seconds=1 nanos=2}}."""
    seconds, nanos = divmod(exited_at_ns, 1_000_000_000)
    exited_at = b"\x08" + varint(seconds) + b"\x10" + varint(nanos)
    return b"\x08" + varint(pid) + b"\x10" + varint(exit_status) + b"\x1a" + varint(len(exited_at)) + exited_at


def varint(number: int) -> bytes:
    """Encode as protobuf does: seven bits a byte, lowest first, the top bit saying that more follows."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)

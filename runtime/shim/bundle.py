"""The shim's own notes in the bundle, by which a later shim process can clean up after it.

Real counterpart: containerd runtime/v2/runc/util.go (WriteRuntime, WriteOptions) and runtime/v2/shim (WriteAddress,
WritePidFile). The bundle's config.json, work, log and shim-binary-path are containerd's.

    address       unix:///... of the shim's socket: read by a containerd that restarts
    shim.pid      the serving process
    runtime       the OCI runtime's path: there from before `create` to after `delete`, so that its presence means
                  "a container may be left" (runc's shim leaves it there, and always calls `delete --force` once more)
    options.json  the options that came with Create
    init.pid      written by the OCI runtime
"""

import os
from typing import NamedTuple


class RuntimeOptions(NamedTuple):
    """How to call the OCI runtime: what containerd.runc.v1.Options says of it."""

    binary: str
    """Path of the program, or its name."""
    root: str
    """Directory of the runtime's own state (`--root`)."""
    systemd_cgroup: bool = False
    no_pivot_root: bool = False
    no_new_keyring: bool = False


def write_note(path: str, text: str) -> None:
    """Write a whole file or none: whoever reads it may come at any moment, also after our death."""
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(temporary, path)


def read_note(path: str) -> str:
    """Return a note, or nothing if there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def write_options(bundle: str, options: RuntimeOptions) -> None:
    """Note which runtime holds the container and how to call it, before it does."""
    import json  # not for `start` and `delete`, which have no use for it

    write_note(f"{bundle}/options.json", json.dumps(options._asdict()))
    write_note(f"{bundle}/runtime", options.binary)


def forget_runtime(bundle: str) -> None:
    """Take the note back: the runtime holds nothing any more."""
    try:
        os.unlink(f"{bundle}/runtime")
    except FileNotFoundError:
        pass


def read_options(bundle: str) -> RuntimeOptions | None:
    """Return how to call the runtime that may still hold the container; None if none does."""
    binary = read_note(f"{bundle}/runtime")
    if not binary:
        return None
    import json

    try:
        known = json.loads(read_note(f"{bundle}/options.json") or "{}")
        return RuntimeOptions(
            binary=binary, root=str(known["root"]), systemd_cgroup=bool(known.get("systemd_cgroup", False))
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def has_own_pid_namespace(bundle: str) -> bool:
    """Whether the death of init kills all the others: only the init of a new pid namespace has that effect."""
    import json

    try:
        with open(f"{bundle}/config.json", encoding="utf-8") as file:
            namespaces = json.load(file).get("linux", {}).get("namespaces", [])
        return any(entry.get("type") == "pid" and not entry.get("path") for entry in namespaces)
    except (OSError, ValueError, AttributeError):
        return True  # without a readable config nothing more can be said, and nothing is killed on a guess

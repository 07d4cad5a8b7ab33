"""The bundle: the directory that containerd gives to a shim, and by which it finds the shim again.

Real counterpart: containerd `runtime/v2/bundle.go`; runtime-spec "Filesystem Bundle".

    STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/
        config.json        the container's spec, as the client gave it
        rootfs/            empty; the shim mounts the snapshot here
        work -> ROOT/io.containerd.runtime.v2.task/NAMESPACE/ID
        log                FIFO: what the shim writes there, containerd copies to its own stderr
        address            written by the shim: where it listens (read again when containerd restarts)
        shim-binary-path   written by containerd: which program to run for `delete` after a restart
        runtime            name of the runtime, as Tasks.Create got it
"""

import errno
import os
import shutil
from typing import NamedTuple

from runtime.containerd import mounts
from runtime.containerd.errors import AlreadyExistsError, ContainerdError

PLUGIN = "io.containerd.runtime.v2.task"


class Bundle(NamedTuple):
    """A bundle on disk."""

    namespace: str
    id: str
    path: str

    def read(self, name: str) -> str:
        """Return the text of one of the small files, or an empty string if it is not there."""
        try:
            with open(os.path.join(self.path, name), encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except FileNotFoundError:
            return ""

    def write(self, name: str, text: str) -> None:
        """Write one of the small files whole: another containerd may read it after this one is killed."""
        partial = os.path.join(self.path, f".{name}")
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(partial, os.path.join(self.path, name))

    def remove(self) -> None:
        """Remove the bundle and its work directory, but never what is mounted on its rootfs."""
        rootfs = os.path.join(self.path, "rootfs")
        mounts.unmount_all(rootfs)
        try:
            # rmdir, not rmtree: if something is mounted or left there after all, it is somebody's file system.
            os.rmdir(rootfs)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ContainerdError(
                f"failed to remove bundle rootfs {rootfs}: {(error.strerror or '').lower()}"
            ) from None
        try:
            work = os.readlink(os.path.join(self.path, "work"))
        except OSError:
            work = ""
        _remove_at_once(self.path)
        if work:
            _remove_at_once(work)


def create(root: str, state: str, namespace: str, container_id: str, spec: bytes) -> Bundle:
    """Make the bundle of a new task."""
    path = os.path.join(state, PLUGIN, namespace, container_id)
    work = os.path.join(root, PLUGIN, namespace, container_id)
    os.makedirs(os.path.dirname(path), mode=0o711, exist_ok=True)
    os.makedirs(os.path.dirname(work), mode=0o711, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        raise AlreadyExistsError(f"bundle {path}") from None
    try:
        # A work directory without a bundle is left over from a crash: the bundle decides.
        shutil.rmtree(work, ignore_errors=True)
        os.mkdir(work, 0o711)
        os.symlink(work, os.path.join(path, "work"))
        os.mkdir(os.path.join(path, "rootfs"), 0o711)
        with open(os.path.join(path, "config.json"), "wb") as file:
            file.write(spec)
    except OSError:
        _remove_at_once(path)
        _remove_at_once(work)
        raise
    return Bundle(namespace, container_id, path)


def existing(root: str, state: str) -> list[Bundle]:
    """Return the bundles that an earlier containerd has left, and remove what it has left half removed."""
    found: list[Bundle] = []
    top = os.path.join(state, PLUGIN)
    for namespace in _names(top):
        for container_id in _names(os.path.join(top, namespace)):
            path = os.path.join(top, namespace, container_id)
            if container_id.startswith("."):
                _remove_at_once(path)  # was being removed when containerd ended
            else:
                found.append(Bundle(namespace, container_id, path))
    kept = {(bundle.namespace, bundle.id) for bundle in found}
    for namespace in _names(os.path.join(root, PLUGIN)):
        for container_id in _names(os.path.join(root, PLUGIN, namespace)):
            if (namespace, container_id) not in kept:
                _remove_at_once(os.path.join(root, PLUGIN, namespace, container_id))
    return found


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_at_once(path: str) -> None:
    """Rename first, so that a half-removed directory is never taken for a bundle."""
    doomed = os.path.join(os.path.dirname(path), f".{os.path.basename(path).lstrip('.')}")
    if doomed != path:
        shutil.rmtree(doomed, ignore_errors=True)
    try:
        os.rename(path, doomed)
    except FileNotFoundError:
        return
    while True:
        try:
            shutil.rmtree(doomed)
            return
        except OSError as error:
            # A runtime whose shim was killed may just have been opening its log there.
            if error.errno != errno.ENOTEMPTY:
                raise

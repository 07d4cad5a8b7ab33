"""How a layer says that something of the layers below is gone.

Real counterpart: image-spec "layer.md" (Whiteouts), containerd `archive/tar.go` and `archive/tar_opts_linux.go`.

In the tar: an empty file `.wh.NAME` hides NAME; `.wh..wh..opq` in a directory hides all that the layers below have in
it. On disk it depends on who will put the layers together: for overlayfs (Documentation/filesystems/overlayfs.rst) a
hidden name is a character device 0:0 and an opaque directory has an attribute; in a plain directory that holds a copy
of the layers below, the names are removed.
"""

import os
import stat
from typing import Protocol

from runtime.containerd import mounts
from runtime.containerd.archive.tree import Place, Tree, lstat, proc_path

PREFIX = ".wh."
OPAQUE = ".wh..wh..opq"
META = ".wh..wh."
"""Other names of this kind are aufs's own bookkeeping and mean nothing here."""


class Whiteouts(Protocol):
    """What to do with the two kinds of whiteout."""

    def hide(self, tree: Tree, place: Place) -> None:
        """Make a name of the layers below invisible."""

    def hide_all(self, tree: Tree, directory: str, unpacked: set[str]) -> None:
        """Make all that the layers below have in a directory invisible; what this layer has put there stays."""


class OverlayWhiteouts:
    """For an upper directory of overlayfs."""

    def hide(self, tree: Tree, place: Place) -> None:
        tree.remove(place)
        # Allowed without CAP_MKNOD, and in user namespaces, since Linux 5.8.
        os.mknod(place.name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=place.directory)

    def hide_all(self, tree: Tree, directory: str, unpacked: set[str]) -> None:
        place = tree.place(f"{directory}/{OPAQUE}".lstrip("/"))
        attribute = "user.overlay.opaque" if mounts.in_user_namespace() else "trusted.overlay.opaque"
        os.setxattr(proc_path(Place(place.directory, ".")), attribute, b"y")


class PlainWhiteouts:
    """For a directory that holds a copy of the layers below."""

    def hide(self, tree: Tree, place: Place) -> None:
        tree.remove(place)

    def hide_all(self, tree: Tree, directory: str, unpacked: set[str]) -> None:
        place = tree.place(f"{directory}/{OPAQUE}".lstrip("/"))
        for name in os.listdir(proc_path(Place(place.directory, "."))):
            path = f"{directory}/{name}".lstrip("/")
            child = tree.place(path)
            status = lstat(child)
            if path not in unpacked:
                tree.remove(child)
            elif status is not None and stat.S_ISDIR(status.st_mode):
                self.hide_all(tree, path, unpacked)

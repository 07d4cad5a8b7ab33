"""An image layer as an uncompressed tar, the same bytes for the same input (OCI image-spec, layer.md).

Whatever differs between two builds of the same files is fixed: order, times, owners. So the layer's digest names its
content, and a second build on the same host finds its blobs in the store already.
"""

import io
import os
import stat
import tarfile


class LayerTar:
    """Collects files, links and directories, then writes them in a fixed order."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
        self.newest_seconds = 0
        """When the newest of the host's files that are in it was last changed."""

    def __contains__(self, path: str) -> bool:
        return path.strip("/") in self._entries

    def add_directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory and those above it."""
        path = path.strip("/")
        if path and path not in self._entries:
            self._parents(path)
            self._add(path, tarfile.DIRTYPE, mode)

    def add_link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        path = path.strip("/")
        self._parents(path)
        self._add(path, tarfile.SYMTYPE, 0o777).linkname = target

    def add_hard_link(self, path: str, target: str) -> None:
        """Give a file of the layer another name."""
        path = path.strip("/")
        self._parents(path)
        self._add(path, tarfile.LNKTYPE, 0o755).linkname = target.strip("/")

    def add_file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        path = path.strip("/")
        self._parents(path)
        self._add(path, tarfile.REGTYPE, mode, data)

    def mirror(self, host_path: str) -> None:
        """Add a file of the host under its own path, with every symbolic link on the way to it.

        `/lib/x86_64-linux-gnu/libc.so.6` on a host where /lib is a link to usr/lib becomes that link and the file
        behind it: the loader in the container then finds by the same names what the loader here finds.
        """
        waiting = host_path.strip("/").split("/")
        done: list[str] = []
        for _ in range(256):  # more links than that are a loop (ELOOP in path_resolution(7) is at 40)
            if not waiting:
                return
            part = waiting.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            path = "/".join([*done, part])
            status = os.lstat(f"/{path}")
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(f"/{path}")
                if path not in self._entries:
                    self.add_link(path, target)
                waiting = target.strip("/").split("/") + waiting
                done = [] if target.startswith("/") else done
                continue
            done.append(part)
            if stat.S_ISDIR(status.st_mode):
                self.add_directory(path, status.st_mode & 0o1777)
            elif path not in self._entries:
                self.copy(f"/{path}", path, 0o755 if status.st_mode & 0o111 else 0o644)

    def copy(self, host_path: str, path: str, mode: int) -> None:
        """Add what a file of the host holds."""
        with open(host_path, "rb") as file:
            self.add_file(path, file.read(), mode)
            self.newest_seconds = max(self.newest_seconds, int(os.fstat(file.fileno()).st_mtime))

    def to_bytes(self) -> bytes:
        """The whole layer; hard links come last, because they are made when what they name is there."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(self._entries, key=lambda path: (self._entries[path][0].islnk(), path)):
                info, data = self._entries[path]
                tar.addfile(info, io.BytesIO(data))
        return out.getvalue()

    def _parents(self, path: str) -> None:
        parent = os.path.dirname(path)
        if parent and parent not in self._entries:
            self.add_directory(parent)

    def _add(self, path: str, kind: bytes, mode: int, data: bytes = b"") -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)  # owner 0:0 and time 0 unless told otherwise
        info.type, info.mode, info.size = kind, mode, len(data)
        self._entries[path] = (info, data)
        return info

"""`python -m runtime.daemon.files_program REQUEST`: reads and writes a container's files from inside of its root.

Counterpart: dockerd's re-executed `docker-tar` and `docker-untar`, and stat in daemon/archive.go. A process of its own,
because a namespace and a chroot are for good, and because what an archive or a hostile link can reach is then only the
container. The daemon and this program speak thus:

    daemon  -> program   argv: what to do, and the root's parts, in JSON         stdin: a tar (unpack only)
    program -> daemon    stdout: one line of JSON, {"stat": ...} or {"error": ..., "status": HTTP status}
                                 then a tar (pack, export)

For unpack the line comes last, when all of stdin has been read. Everything is imported before the root changes.
"""

import json
import os
import stat
import sys
from datetime import UTC, datetime
from typing import Any

from runtime.daemon.archive_read import ArchiveError, unpack
from runtime.daemon.archive_write import pack_tree
from runtime.daemon.copy_up import copy_directory
from runtime.daemon.root_view import IMAGE, Bind, enter, enter_beside

_GO_MODE_BITS = (
    (stat.S_ISDIR, 1 << 31),
    (stat.S_ISLNK, 1 << 27),
    (stat.S_ISBLK, 1 << 26),
    (stat.S_ISCHR, 1 << 26 | 1 << 21),
    (stat.S_ISFIFO, 1 << 25),
    (stat.S_ISSOCK, 1 << 24),
)
"""Kinds of files in Go's os.FileMode, which is how the API writes modes."""
_GO_SETUID, _GO_SETGID, _GO_STICKY = 1 << 23, 1 << 22, 1 << 20


class RefusalError(Exception):
    """Said to the client with an HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def absolute(path: str) -> str:
    """The path from the container's root; a final `/` or `/.`, which says something to cp, is kept."""
    clean = os.path.normpath("/" + path.lstrip("/"))
    if path.endswith("/.") or path == ".":
        return f"{clean.rstrip('/')}/."
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


def base_name(path: str) -> str:
    """The last part of a path as Go's filepath.Base has it."""
    return path.rstrip("/").rpartition("/")[2] or "/"


def resolve(path: str) -> str:
    """The path with every link followed but one at the very end."""
    directory, _, base = path.rpartition("/")
    return f"{os.path.realpath(directory or '/').rstrip('/')}/{base}"


def path_stat(path: str) -> dict[str, Any]:
    """What X-Docker-Container-Path-Stat says about an absolute path (types.ContainerPathStat)."""
    status = os.lstat(resolve(path))
    mode = stat.S_IMODE(status.st_mode) & 0o777
    mode |= next((bits for is_kind, bits in _GO_MODE_BITS if is_kind(status.st_mode)), 0)
    for bit, go_bit in ((stat.S_ISUID, _GO_SETUID), (stat.S_ISGID, _GO_SETGID), (stat.S_ISVTX, _GO_STICKY)):
        mode |= go_bit if status.st_mode & bit else 0
    return {
        "name": base_name(path),
        "size": status.st_size,
        "mode": mode,
        "mtime": _go_time(status.st_mtime_ns),
        "linkTarget": os.path.realpath(path) if stat.S_ISLNK(status.st_mode) else "",
    }


def _go_time(time_ns: int) -> str:
    seconds, fraction = divmod(time_ns, 10**9)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{digits}Z"


def _say(**answer: Any) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def _send(tar: tuple[str, str | None]) -> int:
    """Write a file or directory under the name that it is to have. It is too late now to say what goes wrong."""
    try:
        with open(1, "wb", buffering=0, closefd=False) as out:
            pack_tree(*tar, out)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _unpack(path: str, keep_kind: bool) -> None:
    """Extract stdin in a directory."""
    with open(0, "rb", closefd=False) as archive:
        try:
            target = os.path.realpath(path)
            if not stat.S_ISDIR(os.lstat(target).st_mode):
                raise RefusalError("extraction point is not a directory", 500)
            unpack(archive, target, keep_kind)
        finally:
            while archive.read(1 << 20):  # the client hears our answer only when it may finish its own words
                pass


def _answer(request: dict[str, Any]) -> tuple[str, str | None] | None:
    """Do what is asked and say that it is done; returns which tree is to follow as a tar, and its name there."""
    binds = [Bind(*bind) for bind in request["binds"]]
    mounts = [tuple(mount) for mount in request["mounts"]]
    verb, path = request["verb"], absolute(request["path"])
    if verb == "copy-up":
        sides = enter_beside(mounts, [volume for _, volume in request["copies"]], request["mount_point"])
        for (inside, _), volume in zip(request["copies"], sides, strict=True):
            copy_directory(f"{IMAGE}{inside}", volume)
        _say()
        return None
    enter(request["pid"], mounts, binds, request["mount_point"])
    if verb == "unpack":
        _unpack(path, request["keep_kind"])
        _say()
        return None
    if verb == "export":
        _say()
        return "/", None  # names are relative to the root, which is no entry itself
    _say(stat=path_stat(path))
    name = base_name(path)
    return (os.path.normpath(resolve(path)), "" if name == "/" else name) if verb == "pack" else None


def main(arguments: list[str]) -> int:
    """Serve one request; exit 0 when it was answered, refusals included, and 1 when a tar breaks off."""
    request = json.loads(arguments[0])
    try:
        tar = _answer(request)
    except FileNotFoundError:
        _say(error=f"Could not find the file {request['path']} in container {request['name']}", status=404)
    except RefusalError as error:
        _say(error=error.message, status=error.status)
    except ArchiveError as error:
        _say(error=f"Error processing tar file(exit status 1): {error}", status=500)
    except OSError as error:
        _say(error=f"{error.filename}: {(error.strerror or str(error)).lower()}", status=500)
    else:
        return _send(tar) if tar else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

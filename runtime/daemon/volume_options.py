"""`docker volume create -o type=... -o device=... -o o=...`: a volume that is mounted while somebody uses it.

The three words are mount(8)'s: `type=tmpfs device=tmpfs o=size=1m`, or `type=none device=/srv o=bind`. The daemon
mounts it over the volume's directory before the first container that has it starts, and unmounts it after the last one
has ended (moby: volume/local/local_unix.go).
"""

from collections.abc import Iterable

from runtime.daemon.errors import InvalidParameterError, ServerError
from runtime.daemon.mount_calls import (
    MS_BIND,
    MS_DIRSYNC,
    MS_MANDLOCK,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_SHARED,
    MS_SLAVE,
    MS_STRICTATIME,
    MS_SYNCHRONOUS,
    MS_UNBINDABLE,
    is_mounted,
    mount,
    unmount,
)

_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type"), "size": ()}
"""Option -> the options that it makes no sense without."""
_SET = {
    "bind": MS_BIND,
    "rbind": MS_BIND | MS_REC,
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "sync": MS_SYNCHRONOUS,
    "dirsync": MS_DIRSYNC,
    "mand": MS_MANDLOCK,
    "noatime": MS_NOATIME,
    "nodiratime": MS_NODIRATIME,
    "relatime": MS_RELATIME,
    "strictatime": MS_STRICTATIME,
}
_CLEAR = {
    "rw": MS_RDONLY,
    "suid": MS_NOSUID,
    "dev": MS_NODEV,
    "exec": MS_NOEXEC,
    "async": MS_SYNCHRONOUS,
    "atime": MS_NOATIME,
    "diratime": MS_NODIRATIME,
    "norelatime": MS_RELATIME,
    "nostrictatime": MS_STRICTATIME,
    "nomand": MS_MANDLOCK,
    "defaults": 0,
}
_PROPAGATION = {
    f"{recursive}{word}": flag | (MS_REC if recursive else 0)
    for recursive in ("", "r")
    for word, flag in (
        ("private", MS_PRIVATE),
        ("shared", MS_SHARED),
        ("slave", MS_SLAVE),
        ("unbindable", MS_UNBINDABLE),
    )
}
"""Said by a mount(2) of its own."""


def verify(name: str, options: dict[str, str]) -> None:
    """Refuse what the local driver does not know."""
    for option in options:
        if option not in _NEEDS:
            raise InvalidParameterError(f'create {name}: invalid option: "{option}"')
    for option in options:
        for needed in _NEEDS[option]:
            if needed not in options:
                raise InvalidParameterError(f'create {name}: missing required option: "{needed}"')
    if "size" in options:
        raise InvalidParameterError(f"create {name}: quota size requested but no quota support")


class VolumeMounts:
    """Which volumes are mounted, and for whom."""

    def __init__(self) -> None:
        self._users: dict[str, set[str]] = {}
        """Directory -> IDs of the containers that use it."""

    def use(self, directory: str, options: dict[str, str], user: str) -> None:
        """Mount a volume unless it is; ServerError if the kernel refuses."""
        if not is_mounted(directory):
            _mount(directory, options)
        self.keep(directory, user)

    def keep(self, directory: str, user: str) -> None:
        """Note a user that an earlier daemon has mounted it for."""
        self._users.setdefault(directory, set()).add(user)

    def leave(self, directory: str, user: str) -> None:
        """Unmount it if nobody uses it any more."""
        users = self._users.get(directory, set())
        users.discard(user)
        if not users:
            self._users.pop(directory, None)
            unmount(directory)


def _mount(directory: str, options: dict[str, str]) -> None:
    words = options.get("o", "").split(",")
    flags, data = _parse(word for word in words if word not in _PROPAGATION)
    try:
        mount(options["device"], directory, options["type"], flags, data)
        if flags & MS_BIND and flags & MS_RDONLY:  # a bind has its source's flags until it is asked once more
            mount("", directory, "", flags | MS_REMOUNT, "")
        for word in words:
            if word in _PROPAGATION:
                mount("", directory, "", _PROPAGATION[word], "")
    except OSError as error:
        unmount(directory)
        said = [f", flags: {flags:#x}"] if flags else []
        said += [f", data: {data}"] if data else []
        raise ServerError(
            f"failed to mount local volume: mount {options['device']}:{directory}{''.join(said)}: "
            f"{(error.strerror or '').lower()}"
        ) from error


def _parse(words: Iterable[str]) -> tuple[int, str]:
    """Words of mount(8) as flags and data for mount(2)."""
    flags, data = 0, []
    for word in words:
        if word in _SET:
            flags |= _SET[word]
        elif word in _CLEAR:
            flags &= ~_CLEAR[word]
        elif word:
            data.append(word)
    return flags, ",".join(data)

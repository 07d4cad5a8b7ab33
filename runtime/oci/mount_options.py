"""The words of a mount's `options`, as mount(8) has them, and what they mean to mount(2).

Counterpart: runc's libcontainer/specconv `parseMountOptions`. A word is a flag, a propagation type, a recursive
attribute (mount_setattr(2)), an extension that the runtime does itself, or else data for the file system.
"""

from runtime.oci import syscalls as sc
from runtime.oci.errors import ConfigError

SET_FLAGS = {
    "bind": sc.MS_BIND,
    "rbind": sc.MS_BIND | sc.MS_REC,
    "dirsync": sc.MS_DIRSYNC,
    "iversion": sc.MS_I_VERSION,
    "lazytime": sc.MS_LAZYTIME,
    "mand": sc.MS_MANDLOCK,
    "noatime": sc.MS_NOATIME,
    "nodev": sc.MS_NODEV,
    "nodiratime": sc.MS_NODIRATIME,
    "noexec": sc.MS_NOEXEC,
    "nosuid": sc.MS_NOSUID,
    "nosymfollow": sc.MS_NOSYMFOLLOW,
    "relatime": sc.MS_RELATIME,
    "remount": sc.MS_REMOUNT,
    "ro": sc.MS_RDONLY,
    "strictatime": sc.MS_STRICTATIME,
    "sync": sc.MS_SYNCHRONOUS,
}
CLEAR_FLAGS = {
    "async": sc.MS_SYNCHRONOUS,
    "atime": sc.MS_NOATIME,
    "dev": sc.MS_NODEV,
    "diratime": sc.MS_NODIRATIME,
    "exec": sc.MS_NOEXEC,
    "loud": 0,
    "noiversion": sc.MS_I_VERSION,
    "nolazytime": sc.MS_LAZYTIME,
    "nomand": sc.MS_MANDLOCK,
    "norelatime": sc.MS_RELATIME,
    "nostrictatime": sc.MS_STRICTATIME,
    "rw": sc.MS_RDONLY,
    "suid": sc.MS_NOSUID,
    "symfollow": sc.MS_NOSYMFOLLOW,
    "defaults": 0,
}
PROPAGATION = {
    "private": sc.MS_PRIVATE,
    "rprivate": sc.MS_PRIVATE | sc.MS_REC,
    "slave": sc.MS_SLAVE,
    "rslave": sc.MS_SLAVE | sc.MS_REC,
    "shared": sc.MS_SHARED,
    "rshared": sc.MS_SHARED | sc.MS_REC,
    "unbindable": sc.MS_UNBINDABLE,
    "runbindable": sc.MS_UNBINDABLE | sc.MS_REC,
}
RECURSIVE_SET = {"rro": 1, "rnosuid": 2, "rnodev": 4, "rnoexec": 8, "rnoatime": 0x10, "rnodiratime": 0x80}
RECURSIVE_CLEAR = {"rrw": 1, "rsuid": 2, "rdev": 4, "rexec": 8, "rdiratime": 0x80}
EXTENSIONS = frozenset(("tmpcopyup",))
REFUSED = {"idmap": "id-mapped mounts", "ridmap": "id-mapped mounts"}


class Options:
    """The options of one mount, sorted by what they are for."""

    __slots__ = ("clear", "data", "extensions", "flags", "propagation", "recursive_clear", "recursive_set")

    def __init__(self) -> None:
        self.flags = 0
        self.clear = 0
        """Flags that a word like "rw" or "exec" asks to be off."""
        self.propagation: list[int] = []
        self.recursive_set = 0
        self.recursive_clear = 0
        self.extensions: set[str] = set()
        self.data: list[str] = []

    @property
    def is_bind(self) -> bool:
        return bool(self.flags & sc.MS_BIND)


def parse(words: list[str], field: str) -> Options:
    """Sort the words; a later word wins over an earlier one, as in mount(8)."""
    options = Options()
    for word in words:
        if word in SET_FLAGS:
            options.flags |= SET_FLAGS[word]
            options.clear &= ~SET_FLAGS[word]
        elif word in CLEAR_FLAGS:
            options.flags &= ~CLEAR_FLAGS[word]
            options.clear |= CLEAR_FLAGS[word]
        elif word in PROPAGATION:
            options.propagation.append(PROPAGATION[word])
        elif word in RECURSIVE_SET:
            options.recursive_set |= RECURSIVE_SET[word]
            options.recursive_clear &= ~RECURSIVE_SET[word]
        elif word in RECURSIVE_CLEAR:
            options.recursive_clear |= RECURSIVE_CLEAR[word]
            options.recursive_set &= ~RECURSIVE_CLEAR[word]
        elif word in EXTENSIONS:
            options.extensions.add(word)
        elif word in REFUSED:
            raise ConfigError(field, f'"{word}": {REFUSED[word]} are not supported')
        else:
            options.data.append(word)
    return options

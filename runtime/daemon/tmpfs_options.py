"""`--tmpfs /in:OPTIONS` (mount(8), tmpfs(5); moby: pkg/mount MergeTmpfsOptions)."""

from runtime.daemon.errors import InvalidParameterError
from runtime.daemon.go_words import quoted

_FLAGS = frozenset(
    (
        "rw ro suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime "
        "nodiratime relatime norelatime strictatime nostrictatime bind rbind unbindable runbindable private rprivate "
        "shared rshared slave rslave"
    ).split()
)
_DATA = ("", "size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")


def read(text: str) -> list[str]:
    """The words of the options. The last one that no tmpfs knows is refused, in dockerd's words."""
    words = [word for word in text.split(",") if word and word != "defaults"]
    for word in reversed(words):
        parts = word.split("=", 1)
        if word not in _FLAGS and (len(parts) != 2 or parts[0] not in _DATA):
            raise InvalidParameterError(f"invalid tmpfs option [{' '.join(map(quoted, parts))}]")
    return words

"""Which binds a host's mounts allow: lines as in proc_pid_mountinfo(5)."""

import pytest

from runtime.daemon import propagation
from runtime.daemon.errors import ServerError
from runtime.daemon.mount_points import MountPoint

MOUNTINFO = r"""21 1 0:1 / / rw - ext4 /dev/vda rw
22 21 0:2 / /both rw shared:1 master:2 - tmpfs x rw
23 21 0:3 / /slave rw,nosuid master:3 - tmpfs x rw
24 22 0:4 / /both/own rw - tmpfs x rw
25 21 0:5 / /covered rw shared:7 - tmpfs x rw
26 25 0:6 / /covered rw - tmpfs x rw
27 21 0:7 / /a\040blank rw shared:8 - tmpfs x rw
""".splitlines()


def bind(source: str, mode: str) -> MountPoint:
    """A mount point of a container."""
    return MountPoint("bind", source, "/in", propagation=mode)


@pytest.mark.parametrize(
    ("source", "mode"),
    [
        *(("/both/x", mode) for mode in ("shared", "rshared", "slave", "rslave", "private", "rprivate")),
        *(("/slave", mode) for mode in ("slave", "rslave")),
        *(("/anywhere", mode) for mode in ("private", "rprivate", "")),
        ("/a blank/x", "rshared"),
    ],
)
def test_binds_that_the_source_allows(source: str, mode: str) -> None:
    """Nothing is said."""
    propagation.verify([bind(source, mode)], MOUNTINFO)


@pytest.mark.parametrize(
    ("source", "mode", "place", "wanted"),
    [
        ("/anywhere", "rslave", "/", "shared or slave"),
        ("/bothers", "slave", "/", "shared or slave"),
        ("/slave/x", "rshared", "/slave", "shared"),
        ("/both/own/x", "rslave", "/both/own", "shared or slave"),
        ("/covered", "shared", "/covered", "shared"),
    ],
)
def test_binds_that_it_does_not(source: str, mode: str, place: str, wanted: str) -> None:
    """The bind's source and the mount below it are named, in dockerd's words."""
    with pytest.raises(ServerError, match=f"^path {source} is mounted on {place} but it is not a {wanted} mount$"):
        propagation.verify([bind(source, mode)], MOUNTINFO)


def test_bind_where_the_root_is_in_no_mount_is_refused() -> None:
    """A chroot's `/` may be no mount point."""
    with pytest.raises(ServerError, match="is mounted on / but"):
        propagation.verify([bind("/x", "rslave")], [])


@pytest.mark.parametrize(
    ("modes", "root"),
    [
        (["", "rprivate"], ""),
        (["rprivate", "slave"], "rslave"),
        (["rslave", "rshared", "private"], "shared"),
    ],
)
def test_the_root_is_as_open_as_the_most_open_bind(modes: list[str], root: str) -> None:
    """Or the host's mounts would be cut off before the bind is made."""
    assert root == propagation.of_root([bind("/x", mode) for mode in modes])

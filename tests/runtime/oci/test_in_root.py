"""Files inside a root file system that somebody else wrote."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.oci import in_root
from runtime.oci.errors import OCIError


@pytest.fixture
def directory_fd(tmp_path: Path) -> Iterator[int]:
    """A directory of the image."""
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_file_to_be_covered_is_made_for_nobody(tmp_path: Path, directory_fd: int) -> None:
    """It stays when the mount is gone; devices are made with an umask of 0."""
    old_umask = os.umask(0)
    try:
        os.close(in_root.open_file_itself(directory_fd, "/dev/null"))
    finally:
        os.umask(old_umask)

    assert 0 == stat.S_IMODE((tmp_path / "null").stat().st_mode)


def test_link_is_refused_by_its_whole_path(tmp_path: Path, directory_fd: int) -> None:
    """A device may lie anywhere, not in /dev alone."""
    (tmp_path / "fuse").symlink_to("elsewhere")

    with pytest.raises(OCIError, match=r"^/data/fuse is a link"):
        in_root.open_file_itself(directory_fd, "/data/fuse")
    assert ["fuse"] == os.listdir(tmp_path)

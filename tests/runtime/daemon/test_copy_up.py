"""A directory copied into a volume: what is kept of its files, and what is not followed."""

import os
from pathlib import Path

from runtime.daemon.copy_up import copy_directory


def test_copy_keeps_links_modes_times_and_which_names_are_one_file(tmp_path: Path) -> None:
    """Symbolic links are copied as text, wherever they lead."""
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "sub").mkdir(parents=True)
    target.mkdir()
    (source / "sub" / "one").write_text("1")
    (source / "sub" / "one").chmod(0o4711)
    os.utime(source / "sub" / "one", ns=(1, 5))
    os.link(source / "sub" / "one", source / "two")
    (source / "out").symlink_to("/../../etc/passwd")
    os.mkfifo(source / "fifo", 0o600)
    (source / "sub").chmod(0o500)
    os.utime(source / "sub", ns=(1, 7))
    source.chmod(0o750)

    copy_directory(str(source), str(target))

    assert ["fifo", "out", "sub", "two"] == sorted(os.listdir(target))
    assert "/../../etc/passwd" == os.readlink(target / "out")
    assert (0o104711, 5, 2) == _mode_time_links(target / "two")
    assert os.path.samefile(target / "sub" / "one", target / "two")
    assert (0o40500, 7) == _mode_time_links(target / "sub")[:2]
    assert 0o10600 == _mode_time_links(target / "fifo")[0]
    assert 0o40750 == _mode_time_links(target)[0]


def _mode_time_links(path: Path) -> tuple[int, int, int]:
    status = os.lstat(path)
    return status.st_mode, status.st_mtime_ns, status.st_nlink

"""A bundle for our OCI runtime alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.oci_bundle import Box, become_subreaper


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A bundle of busybox; at the end nothing of it may be left on the host."""
    if shutil.which("busybox") is None:
        pytest.skip("not installed: busybox")
    become_subreaper()
    made = Box("glassbottom-oci", tmp_path)
    yield made
    made.close()

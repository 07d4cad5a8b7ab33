"""What every test shares: skips that CI turns into failures, and a check that nothing is left on the host."""

import os
import shutil
from collections.abc import Generator

import pytest

REQUIRE_ALL = os.environ.get("GLASSBOTTOM_REQUIRE_ALL") == "1"
"""Set by .ci/run: a test skipped because something is missing counts as a failure."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be missing."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where GLASSBOTTOM_REQUIRE_ALL forbids it: {report.longrepr}"
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the host cannot run: tests marked root need uid 0."""
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


def require(*binaries: str) -> None:
    """Skip the calling test unless every named program is installed (a failure under GLASSBOTTOM_REQUIRE_ALL)."""
    missing = [name for name in binaries if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(name="require")
def _require() -> object:
    return require

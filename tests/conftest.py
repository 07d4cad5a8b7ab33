"""What every test shares: skips that CI turns into failures, and a check that nothing is left on the host."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

REQUIRE_ALL = os.environ.get("GLASSBOTTOM_REQUIRE_ALL") == "1"
"""Set by .ci/run: a test skipped because something is missing counts as a failure."""


def pytest_configure() -> None:
    """Take away what a program inherits and shows: ignored signals (a background job's, nohup's), a terminal's size."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for name in ("LINES", "COLUMNS"):  # readline sets them in pytest, and they go before a pty's own size
        os.environ.pop(name, None)


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


@pytest.fixture
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An XDG_RUNTIME_DIR of the test's own, short as real ones are; no stack may be left in it."""
    folder = Path(tempfile.mkdtemp(prefix="gb-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    left = [str(path) for path in folder.glob("glassbottom/*")]
    shutil.rmtree(folder)
    assert left == []


STACK_PROGRAM = re.compile(
    r"glassbottom|runtime\.|tracer\.|dockerd|containerd|runc|crun|conmon|docker-registry|slirp4netns|pasta"
)
KEPT = (
    *("/tmp/pytest-of-", "/tmp/tmux-"),  # pytest keeps the folders of the last three runs
    *("/run/docker", "/var/run/docker", "/run/containerd", "/run/containers", "/run/libpod", "/run/crun", "/run/runc"),
    *("/run/netns", "/run/mount", "/run/glassbottom-oci", "/var/lib/containers", "/var/lib/cni"),
)
"""Folders that programs make for themselves when they are first used, and keep: how these lines begin."""
HOST_STATE = pytest.StashKey[set[str]]()


def host_state() -> set[str]:
    """Whatever a test could leave behind, a line each: mounts, cgroups, links, nft tables, files, programs."""
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    cgroups = {folder for folder, _, _ in os.walk("/sys/fs/cgroup")}
    links = {f"link {name}" for name in os.listdir("/sys/class/net")}
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=False).stdout.splitlines()
    places = ("/tmp", "/run", "/run/netns", "/var/lib", "/var/run/docker")
    files = {f"{place}/{name}" for place in places if os.path.isdir(place) for name in os.listdir(place)}
    return mounts | cgroups | links | set(tables) | files | set(_programs())


def _programs() -> Generator[str]:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            argv = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended while we looked
            continue
        if STACK_PROGRAM.search(argv) and "pytest" not in argv:
            yield f"process {pid}: {argv}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Look at the host before the first test, where the whole run is ours to judge (CI, and no other run beside it)."""
    if REQUIRE_ALL and not hasattr(session.config, "workerinput"):
        session.config.stash[HOST_STATE] = host_state()


def _remove_parents_of_real_runtimes(before: set[str]) -> None:
    """dockerd and runc make cgroups to make cgroups in, and leave them when they end: only what is empty goes."""
    for name in ("docker", "default"):
        for group in Path("/sys/fs/cgroup").glob(f"*/{name}"):
            if str(group) not in before:
                with contextlib.suppress(OSError):
                    group.rmdir()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run when something is on the host that was not there before, and name it."""
    before = session.config.stash.get(HOST_STATE, None)
    if before is None:
        return
    _remove_parents_of_real_runtimes(before)
    left = sorted(line for line in host_state() - before if not line.startswith(KEPT))
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print("\nleft behind on the host:", *left, sep="\n  ")

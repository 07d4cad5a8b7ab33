"""What a machine allows is found by trying; what it forbids is explained."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tracer import doctor, seats
from tracer.tui.screens import panes


def test_doctor_every_refusal_says_what_would_help() -> None:
    """A finding that is not ok has a second sentence."""
    findings = doctor.examine()

    assert [finding.name for finding in findings if not finding.ok and not finding.help] == []
    assert findings[0].name == "system"
    assert {finding.needed_for for finding in findings} <= {"live", "full", "seat"}


@pytest.mark.root
def test_doctor_root_can_run_live() -> None:
    """Nothing is in the way, and all of the rest is there."""
    assert doctor.can_run_live() == []
    assert doctor.check_overlay().ok
    assert doctor.check_cgroups().ok
    assert doctor.check_network().ok


def test_doctor_leaves_nothing_behind() -> None:
    """Trials happen in children, folders are temporary, cgroups are removed."""
    before = (sorted(os.listdir("/tmp")), os.listdir("/proc/self/fd"))

    for check in (doctor.check_ptrace, doctor.check_privileges, doctor.check_overlay, doctor.check_cgroups):
        check()

    assert not any(name.startswith("glassbottom-doctor") for name in os.listdir("/tmp"))
    assert len(os.listdir("/proc/self/fd")) == len(before[1])


def test_doctor_lets_no_real_part_leave_anything_in_the_users_runtime_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """crun makes a folder in XDG_RUNTIME_DIR even when it only tells its version."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    findings = [doctor.check_real_part(part) for part in seats.PARTS]

    assert [finding.name for finding in findings] == [part.program for part in seats.PARTS]
    assert list(tmp_path.iterdir()) == []


def test_doctor_names_the_option_that_puts_a_part_in_its_seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the part is there or not; a version is found where the program tells one."""
    program = tmp_path / "containerd-shim-runc-v2"
    program.write_text("#!/bin/sh\necho containerd-shim-runc-v2:\necho '  Version:  1.6.20~ds1'\n")
    program.chmod(0o755)
    (part,) = [part for part in seats.PARTS if part.seat == "--shim"]

    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    found = doctor.check_real_part(part)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    missing = doctor.check_real_part(part)

    assert (found.ok, found.detail) == (True, f"1.6.20~ds1, {program} (fits: --shim runc)")
    assert (missing.ok, missing.detail, missing.help) == (False, "not installed", "not to be had here: --shim runc")


def test_doctor_gives_the_true_reason_where_there_is_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To install a helper is advice for who has none; where it is there already, something else is in the way."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("runtime.rootless_network._TUN", f"{tmp_path}/tun")
    monkeypatch.setenv("PATH", str(tmp_path))
    without = doctor.check_network()
    (tmp_path / "pasta").symlink_to("/bin/true")
    with_it = doctor.check_network()

    assert "neither pasta nor slirp4netns is installed" in without.detail
    assert without.help.endswith("a bridge of their own needs root, or pasta or slirp4netns")
    assert f"{tmp_path}/tun cannot be opened (no such file or directory)" in with_it.detail
    assert with_it.help == "containers have the host's network or none"


@pytest.mark.root
@pytest.mark.parametrize(("uid", "fits"), [(0, True), (65534, False)])
def test_doctor_does_not_offer_a_runtime_that_wants_a_cgroup_to_who_can_make_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, fits: bool
) -> None:
    """runc and crun end there; ours goes on without."""
    program = tmp_path / "runc"
    program.write_text("#!/bin/sh\necho runc version 1.1.5\n")
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    (part,) = [part for part in seats.PARTS if part.program == "runc"]
    os.seteuid(uid)
    try:
        finding = doctor.check_real_part(part)
    finally:
        os.seteuid(0)

    assert finding.ok == fits
    assert ("fits: --runtime runc" in finding.detail) == fits
    assert finding.help.startswith("" if fits else "--runtime runc fits for root only: it makes no container without")


@pytest.mark.slow
def test_doctor_where_ptrace_is_taken_says_so(require: Callable[..., None]) -> None:
    """Under strace -f a child has its tracer already: a live run is refused, a replay is not."""
    require("strace")

    done = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            "-e",
            "trace=none",
            "-o",
            "/dev/null",
            sys.executable,
            "-m",
            "tracer",
            "doctor",
            "--json",
        ],
        capture_output=True,
        text=True,
    )
    ptrace = next(finding for finding in json.loads(done.stdout) if finding["name"] == "ptrace")

    assert done.returncode == 1
    assert ptrace["ok"] is False
    assert "tracing a child is refused" in ptrace["detail"]
    assert ptrace["help"]


@pytest.mark.parametrize(
    ("size", "ok", "says"),
    [((59, 15), False, "no pane fits"), ((60, 15), True, "one pane at a time"), ((110, 34), True, "all panes at once")],
)
def test_doctor_tells_what_fits_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], ok: bool, says: str
) -> None:
    """The sizes are those that the screen itself goes by."""
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size(size))

    finding = doctor.check_terminal()

    assert (finding.ok, says in f"{finding.detail} {finding.help}") == (ok, True)
    assert (panes.LEAST, panes.WIDE) == (doctor.ONE_PANE, doctor.ALL_PANES)

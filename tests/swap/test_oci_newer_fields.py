"""Fields of config.json that came with runtime-spec 1.1 and later: done, or refused by name; one body for all runtimes.

Where an older runc or crun passes over a field without a word, the case says so; one that knows it must do it.
"""

import ctypes
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.oci_bundle import Box

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]


def scheduling_of(pid: int) -> tuple[int, int, int]:
    """A process's scheduling policy, nice value and I/O priority, as the kernel tells them from outside."""
    get = {"x86_64": 252, "aarch64": 31}[os.uname().machine]
    return os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid), ctypes.CDLL(None).syscall(get, 1, pid)


def test_scheduler_and_io_priority_are_set_for_each_process_of_the_container(box: Box) -> None:
    """By the runtime, which still has CAP_SYS_NICE: the process gets it no more. runc 1.1 and crun 1.8 ignore both."""
    process_file, pid_file = box.directory / "process.json", box.directory / "exec.pid"
    process_file.write_text(
        json.dumps(
            box.config["process"]
            | {"args": ["sleep", "999"], "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0}}
            | {"scheduler": {"policy": "SCHED_OTHER", "nice": 9, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}}
        )
    )
    own = scheduling_of(os.getpid())
    box.config["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": -5}
    box.config["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_RT", "priority": 3}
    box.create("sleep", "1000")
    box.call("start", box.id)
    found = [scheduling_of(box.state()["pid"])]
    for words in ((box.id, "sleep", "999"), ("--process", str(process_file), box.id)):
        box.call("exec", "--detach", "--pid-file", str(pid_file), *words)
        found.append(scheduling_of(int(pid_file.read_text())))

    batch, idle = (os.SCHED_BATCH, -5, 1 << 13 | 3), (os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, 9, 3 << 13)
    ignored = box.name != "glassbottom-oci" and [own] * 3 == found
    assert ignored or [batch, batch, idle] == found


def test_scheduler_by_deadlines_is_set(box: Box) -> None:
    """SCHED_DEADLINE with its three times; a policy of this kind must not be inherited by children."""
    box.config["process"]["scheduler"] = {
        "policy": "SCHED_DEADLINE",
        "flags": ["SCHED_FLAG_RESET_ON_FORK"],
        "runtime": 10_000_000,
        "deadline": 30_000_000,
        "period": 40_000_000,
    }
    box.create("sleep", "1000")
    box.call("start", box.id)
    attributes = (ctypes.c_uint64 * 7)()
    get = {"x86_64": 315, "aarch64": 275}[os.uname().machine]

    assert 0 == ctypes.CDLL(None).syscall(get, box.state()["pid"], attributes, ctypes.sizeof(attributes), 0)
    policy, times = attributes[0] >> 32, attributes[3:6]
    ignored = box.name != "glassbottom-oci" and policy == os.sched_getscheduler(0)
    assert ignored or (6, [10_000_000, 30_000_000, 40_000_000]) == (policy, times)


def test_personality_is_set_for_each_process_of_the_container(box: Box) -> None:
    """Of init, and of whatever exec brings in. runc 1.1 ignores it."""
    box.config["linux"]["personality"] = {"domain": "LINUX32"}
    box.create("sleep", "1000")
    box.call("start", box.id)
    pid = box.state()["pid"]

    found = [Path(f"/proc/{pid}/personality").read_text().strip()]
    found.append(box.call("exec", box.id, "cat", "/proc/self/personality").stdout.strip())

    assert ["00000008"] * 2 == found or (box.name != "glassbottom-oci" and "00000000" in found)


@pytest.mark.parametrize(
    ("place", "field", "value"),
    [
        ("process", "scheduler", {"policy": "SCHED_OTHER", "priority": 3}),
        ("process", "ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}),
        ("process", "execCPUAffinity", {"initial": "0"}),
        ("linux", "netDevices", {"eth7": {}}),
        ("linux", "memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0"}),
    ],
)
def test_field_that_cannot_be_done_is_refused_by_name(box: Box, place: str, field: str, value: dict[str, Any]) -> None:
    """Before anything is made. A runtime older than the field passes over it."""
    box.config[place][field] = value

    done = box.create("true", status=None)

    assert box.name != "glassbottom-oci" or (done.returncode != 0 and f"{place}.{field}" in box.last_error())


def test_minor_version_newer_than_the_runtime_is_taken(box: Box) -> None:
    """A caller on a newer Go module of the spec writes its number, whichever fields it uses. crun 1.8 refuses it."""
    box.config["ociVersion"] = "1.3.0"

    assert ["here"] == box.shell("echo here", status=None) or box.name == "crun"

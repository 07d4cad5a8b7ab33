"""What calls amount to, however they are spelled."""

import struct

import pytest

from tracer.decode.actions import ActionFold
from tracer.decode.intents import calls_of, intent
from tracer.events import ActionSeen, ProcessExecuted, SyscallExited
from tracer.stages.layers import LayerFold

NAMES = dict(
    enumerate(
        "unshare clone clone3 setns mount move_mount fsopen fsconfig fsmount open_tree mount_setattr pivot_root capset "
        "prctl seccomp write openat openat2 mknodat sethostname prlimit64 sendmsg execve setresuid ioctl listen kill "
        "tgkill pidfd_send_signal".split()
    )
)
NUMBERS = {name: number for number, name in NAMES.items()}
NEW_EVERYTHING = 0x6C020000  # mount, uts, ipc, pid, network


class Tracee:
    """Calls of one runtime process, fed to the fold."""

    def __init__(self) -> None:
        self.layers = LayerFold()
        self.layers.feed(ProcessExecuted(0, 7, 7, "/usr/sbin/runc", ("runc", "create", "c1"), (), "/", 1))
        self.fold = ActionFold(NAMES, self.layers)
        self.sequence = 0

    def call(
        self,
        name: str,
        *arguments: int,
        result: int = 0,
        data: dict[str, bytes | None] | None = None,
        files: dict[int, str] | None = None,
    ) -> list[ActionSeen]:
        self.sequence += 1
        padded = (*arguments, *[0] * (6 - len(arguments)))
        event = SyscallExited(0, 7, NUMBERS[name], padded, result, 0, data or {}, files or {})
        return self.fold.feed(self.sequence, event)


@pytest.mark.parametrize(
    ("name", "arguments", "data"),
    [
        ("unshare", (NEW_EVERYTHING,), {}),
        ("clone", (NEW_EVERYTHING | 17,), {}),
        ("clone3", (0, 88), {"0": struct.pack("<8Q", NEW_EVERYTHING, 0, 0, 0, 17, 0, 0, 0)}),
        ("setns", (5, NEW_EVERYTHING), {}),
    ],
)
def test_namespaces_are_entered_by_any_of_four_calls(
    name: str, arguments: tuple[int, ...], data: dict[str, bytes | None]
) -> None:
    """unshare, clone, clone3 and setns are one action, with a field for each kind."""
    [action] = Tracee().call(name, *arguments, data=data)

    assert action.action == "NamespaceEntered"
    assert action.fields["kinds"] == "mount,uts,ipc,pid,network"
    assert action.fields["pid"] is True


def test_setns_without_type_is_read_off_the_file() -> None:
    """runc opens /proc/PID/ns/net and passes no type."""
    [action] = Tracee().call("setns", 5, 0, files={0: "net:[4026531840]"})

    assert action.fields["kinds"] == "network"


def test_threads_are_no_namespaces() -> None:
    """An ordinary clone3 of a Go runtime means nothing."""
    assert Tracee().call("clone3", 0, 88, data={"0": struct.pack("<8Q", 0x3D0F00, *[0] * 7)}) == []


def mount_data(source: str, target: str, kind: str, options: str = "") -> dict[str, bytes | None]:
    return {"0": source.encode(), "1": target.encode(), "2": kind.encode(), "4": options.encode()}


def test_mount_is_attached_masked_remounted_or_told_apart_by_its_flags() -> None:
    """One call, five meanings."""
    tracee = Tracee()

    found = [
        *tracee.call("mount", 0, 0, 0, 0, data=mount_data("proc", "/proc", "proc")),
        *tracee.call("mount", 0, 0, 0, 4096, data=mount_data("/dev/null", "/proc/kcore", "")),
        *tracee.call("mount", 0, 0, 0, 1, data=mount_data("tmpfs", "/sys/firmware", "tmpfs")),
        *tracee.call("mount", 0, 0, 0, 4096 | 32 | 1, data=mount_data("", "/proc/bus", "")),
        *tracee.call("mount", 0, 0, 0, 16384 | 1 << 19, data=mount_data("", "/", "")),
    ]

    assert [action.action for action in found] == [
        "MountAttached",
        "PathMasked",
        "PathMasked",
        "MountRemounted",
        "PropagationSet",
    ]
    assert found[3].fields["readonly"] is True
    assert found[4].fields["propagation"] == "slave"


def test_mounting_through_a_descriptor_names_the_path() -> None:
    """Runtimes mount on /proc/self/fd/N, so that no symbolic link can lead them astray."""
    tracee = Tracee()
    tracee.call("openat", 0, 0, 0o10000000, result=6, data={"1": b"/box/rootfs/proc"})

    [action] = tracee.call("mount", 0, 0, 0, 0, data=mount_data("proc", "/proc/self/fd/6", "proc"))

    assert action.fields["target"] == "/box/rootfs/proc"
    assert action.fields["through"] == "/proc/self/fd/6"


def test_new_mount_api_is_one_mount() -> None:
    """fsopen, fsconfig, fsmount and move_mount say together what mount(2) says at once."""
    tracee = Tracee()
    tracee.call("fsopen", result=3, data={"0": b"overlay"})
    tracee.call("fsconfig", 3, 1, data={"2": b"source", "3": b"overlay"})
    tracee.call("fsconfig", 3, 1, data={"2": b"lowerdir", "3": b"/a:/b"})
    tracee.call("fsmount", 3, result=4)

    [action] = tracee.call("move_mount", 4, 0, 0, 0, 4, data={"1": b"", "3": b"/merged"})

    assert action.action == "MountAttached"
    assert action.fields["type"] == "overlay"
    assert action.fields["options"] == "lowerdir=/a:/b"
    assert action.calls == (1, 2, 3, 4, 5)


def test_null_device_moved_over_a_file_masks_it() -> None:
    """open_tree and move_mount do what a bind mount of /dev/null does, and say so."""
    tracee = Tracee()
    tracee.call("open_tree", 0, 0, 1, result=4, data={"1": b"/dev/null"})

    [action] = tracee.call("move_mount", 4, 0, 0, 0, 4, data={"1": b"", "3": b"/proc/keys"})

    assert ("PathMasked", "/proc/keys", "/dev/null") == (action.action, action.fields["path"], action.fields["how"])


@pytest.mark.parametrize("moved", [False, True], ids=["mount", "open_tree and move_mount"])
def test_null_device_bound_on_its_own_name_masks_nothing(*, moved: bool) -> None:
    """Without the right to make devices, a runtime binds the host's into the container's /dev, through a descriptor."""
    tracee = Tracee()
    tracee.call("openat", 0, 0, 0o10000000, result=6, data={"1": b"/box/rootfs/dev/null"})

    if moved:
        tracee.call("open_tree", 0, 0, 1, result=4, data={"1": b"/dev/null"})
        [action] = tracee.call("move_mount", 4, 0, 0, 0, 4, data={"1": b"", "3": b"/proc/self/fd/6"})
    else:
        [action] = tracee.call("mount", 0, 0, 0, 4096, data=mount_data("/dev/null", "/proc/self/fd/6", ""))

    assert action.action == "MountAttached"
    told = {key: action.fields[key] for key in ("target", "source", "type", "through")}
    bound = {"target": "/box/rootfs/dev/null", "source": "/dev/null", "type": "bind"}
    assert told == {**bound, "through": "/proc/self/fd/6"}


def test_bounding_set_and_capset_are_one_action() -> None:
    """Twenty-odd prctl calls and a capset: one action that cites them all."""
    tracee = Tracee()
    assert tracee.call("prctl", 24, 21) == []
    assert tracee.call("prctl", 24, 16) == []

    [action] = tracee.call("capset", data={"1": struct.pack("<6I", 1 << 5, 1 << 5, 0, 0, 0, 0)})

    assert action.action == "CapabilitiesDropped"
    assert action.fields["effective"] == "CAP_KILL"
    assert action.fields["bounding_dropped"] == "CAP_SYS_ADMIN,CAP_SYS_MODULE"
    assert action.calls == (1, 2, 3)


def test_failed_call_is_no_action() -> None:
    """What did not happen is not told."""
    assert Tracee().call("pivot_root", result=-1, data={"0": b".", "1": b"."}) == []


@pytest.mark.parametrize(
    ("file", "value", "action", "expected"),
    [
        ("/sys/fs/cgroup/memory/docker/c1/memory.limit_in_bytes", b"67108864", "CgroupLimitSet", "67108864"),
        ("/sys/fs/cgroup/docker/c1/memory.max", b"67108864\n", "CgroupLimitSet", "67108864"),
        ("/proc/4711/uid_map", b"0 100000 65536\n", "UidMapped", "0 100000 65536"),
        ("/proc/self/oom_score_adj", b"500", "OomScoreSet", "500"),
        ("/proc/sys/net/ipv4/ip_forward", b"1", "SysctlSet", "1"),
    ],
)
def test_writes_to_control_files_are_actions(file: str, value: bytes, action: str, expected: str) -> None:
    """Some files are system calls in disguise."""
    [seen] = Tracee().call("write", 3, 0, len(value), result=len(value), data={"1": value}, files={0: file})

    assert seen.action == action
    assert seen.fields["value"] == expected


def test_joining_a_cgroup_names_group_and_process() -> None:
    """A pid written to cgroup.procs moves that process."""
    files = {0: "/sys/fs/cgroup/docker/c1/cgroup.procs"}

    [seen] = Tracee().call("write", 3, 0, 4, result=4, data={"1": b"4711"}, files=files)

    assert seen.action == "CgroupJoined"
    assert seen.fields == {"cgroup": "/docker/c1", "process": "4711"}


def test_probing_for_seccomp_is_not_installing_it() -> None:
    """libseccomp asks with a null program what the kernel can do."""
    tracee = Tracee()
    program = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000) + struct.pack("<HBBI", 0x06, 0, 0, 0x00050001)

    assert tracee.call("seccomp", 1, 1, 0) == []
    [installed] = tracee.call("seccomp", 1, 0, 4096, data={"2": b"", "2.program": program})

    assert installed.action == "SeccompInstalled"
    assert installed.fields == {"instructions": 2, "summary": "allow for every call"}


def test_descriptors_in_a_message_are_counted() -> None:
    """A console's master travels as SCM_RIGHTS."""
    control = struct.pack("<QIIi", 20, 1, 1, 9) + bytes(4)

    [sent] = Tracee().call("sendmsg", 3, result=9, data={"1": b"/dev/ptmx", "1.control": control})

    assert sent.fields["count"] == 1
    assert sent.fields["payload"] == "/dev/ptmx"


def test_intent_is_known_before_the_call() -> None:
    """A stage may stop before what a call amounts to happens."""
    found = intent("pivot_root", (1, 2), {"0": b".", "1": b"."}, {})

    assert found is not None
    assert found.action == "RootPivoted"
    assert calls_of("SeccompInstalled") == {"seccomp", "prctl"}


def test_capabilities_that_were_dropped_are_forgotten_with_the_process() -> None:
    """What was begun is finished by nobody else: a number comes again, and memory is bounded."""
    tracee = Tracee()
    tracee.call("prctl", 24, 21)
    tracee.fold.forget(7)

    [action] = tracee.call("capset", 0, 1, data={"1": bytes(24)})

    assert "bounding_dropped" not in action.fields
    assert action.calls == (2,)


@pytest.mark.parametrize(
    ("name", "arguments", "fields"),
    [
        ("kill", (9, 15), {"signal": "SIGTERM", "pid": 9}),
        ("tgkill", (9, 10, 15), {"signal": "SIGTERM", "pid": 9}),
        ("pidfd_send_signal", (4, 15, 0, 0), {"signal": "SIGTERM", "pidfd": 4}),
    ],
)
def test_signal_is_sent_by_any_of_three_calls(name: str, arguments: tuple[int, ...], fields: dict[str, object]) -> None:
    """By number, to one thread of a process, or by descriptor."""
    [action] = Tracee().call(name, *arguments)

    assert (action.action, action.fields) == ("SignalSent", fields)


def test_interrupts_that_go_makes_are_no_signals_sent() -> None:
    """The scheduler's SIGURG, and the question whether a process lives."""
    assert Tracee().call("tgkill", 9, 10, 23) == []
    assert Tracee().call("kill", 9, 0) == []

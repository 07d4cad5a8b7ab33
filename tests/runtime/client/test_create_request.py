"""Where each flag ends up in the body of POST /containers/create (as recorded from docker CLI 28)."""

from pathlib import Path
from typing import Any

import pytest

from runtime.client.create_request import build
from runtime.client.flags import ConflictError, parse
from runtime.client.run_flags import RUN_FLAGS


def body_of(*words: str, size: tuple[int, int] = (24, 80)) -> Any:
    given, (image, *command) = parse(RUN_FLAGS, words)
    return build(given, image, list(command), size)


def test_create_request_of_a_plain_run() -> None:
    """stdout and stderr are attached, the command is the image's own, the network the default one."""
    body = body_of("hostbox")

    assert (body["Image"], body["Cmd"], body["Entrypoint"], body["Env"]) == ("hostbox", None, None, None)
    assert (body["AttachStdin"], body["AttachStdout"], body["AttachStderr"]) == (False, True, True)
    assert (body["OpenStdin"], body["StdinOnce"], body["Tty"]) == (False, False, False)
    assert body["HostConfig"]["NetworkMode"] == "default"
    assert body["HostConfig"]["ConsoleSize"] == [0, 0]


def test_create_request_of_an_interactive_terminal() -> None:
    """-it opens stdin, closes it when this client's ends, and tells the terminal's size."""
    body = body_of("-it", "--rm", "hostbox", "sh")

    assert (body["AttachStdin"], body["OpenStdin"], body["StdinOnce"], body["Tty"]) == (True, True, True, True)
    assert body["HostConfig"]["ConsoleSize"] == [24, 80]
    assert body["HostConfig"]["AutoRemove"] is True
    assert body["Cmd"] == ["sh"]


def test_create_request_of_a_detached_run() -> None:
    """-d attaches nothing; -i then only keeps stdin open."""
    body = body_of("-di", "hostbox", "cat")

    assert (body["AttachStdin"], body["AttachStdout"], body["AttachStderr"]) == (False, False, False)
    assert (body["OpenStdin"], body["StdinOnce"]) == (True, False)


@pytest.mark.parametrize(
    ("words", "field", "expected"),
    [
        (["-m", "64m"], "Memory", 67108864),
        (["--cpus", "0.5"], "NanoCpus", 500000000),
        (["--pids-limit", "20"], "PidsLimit", 20),
        (["--cap-add", "net_admin"], "CapAdd", ["CAP_NET_ADMIN"]),
        (["--cap-drop", "ALL"], "CapDrop", ["ALL"]),
        (["--read-only"], "ReadonlyRootfs", True),
        (["--privileged"], "Privileged", True),
        (["--network", "none"], "NetworkMode", "none"),
        (["-v", "/a:/b:ro"], "Binds", ["/a:/b:ro"]),
        (["--tmpfs", "/t:size=1m"], "Tmpfs", {"/t": "size=1m"}),
        (["--ulimit", "nofile=1:2"], "Ulimits", [{"Name": "nofile", "Hard": 2, "Soft": 1}]),
        (["--sysctl", "a.b=1"], "Sysctls", {"a.b": "1"}),
        (["--security-opt", "no-new-privileges"], "SecurityOpt", ["no-new-privileges"]),
        (["--security-opt", "systempaths=unconfined"], "MaskedPaths", []),
        (["--pid", "host"], "PidMode", "host"),
        (["--ipc", "private"], "IpcMode", "private"),
        (["--uts", "host"], "UTSMode", "host"),
        (["--add-host", "foo=1.2.3.4"], "ExtraHosts", ["foo:1.2.3.4"]),
        (["--dns", "1.1.1.1"], "Dns", ["1.1.1.1"]),
        (["--shm-size", "1m"], "ShmSize", 1048576),
        (["--init"], "Init", True),
        (["--restart", "on-failure:3"], "RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 3}),
        (["-p", "8080:80"], "PortBindings", {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}),
        (["-P"], "PublishAllPorts", True),
        (["--mount", "type=tmpfs,dst=/t"], "Mounts", [{"Type": "tmpfs", "Target": "/t"}]),
        (["--link", "x:y", "--link", "z"], "Links", ["x:y", "z"]),
        (["--annotation", "a=b"], "Annotations", {"a": "b"}),
        (["--storage-opt", "size=1g"], "StorageOpt", {"size": "1g"}),
        (["--volume-driver", "local"], "VolumeDriver", "local"),
        (["--isolation", "default"], "Isolation", "default"),
        (["--blkio-weight", "300"], "BlkioWeight", 300),
        (["--blkio-weight-device", "/dev/sda:300"], "BlkioWeightDevice", [{"Path": "/dev/sda", "Weight": 300}]),
        (["--device-read-bps", "/dev/sda:1mb"], "BlkioDeviceReadBps", [{"Path": "/dev/sda", "Rate": 1 << 20}]),
        (["--device-write-bps", "/dev/sda:1"], "BlkioDeviceWriteBps", [{"Path": "/dev/sda", "Rate": 1}]),
        (["--device-read-iops", "/dev/sda:5"], "BlkioDeviceReadIOps", [{"Path": "/dev/sda", "Rate": 5}]),
        (["--device-write-iops", "/dev/sda:5"], "BlkioDeviceWriteIOps", [{"Path": "/dev/sda", "Rate": 5}]),
        (["--device-cgroup-rule", "c 1:3 rwm"], "DeviceCgroupRules", ["c 1:3 rwm"]),
        (["--cpu-rt-period", "1000"], "CpuRealtimePeriod", 1000),
        (["--cpu-rt-runtime", "1000"], "CpuRealtimeRuntime", 1000),
        (["--memory-swappiness", "50"], "MemorySwappiness", 50),
        (["--oom-kill-disable"], "OomKillDisable", True),
    ],
)
def test_create_request_puts_a_flag_in_its_field(words: list[str], field: str, expected: object) -> None:
    """One flag, one field of HostConfig."""
    assert body_of(*words, "hostbox")["HostConfig"][field] == expected


@pytest.mark.parametrize(
    ("words", "field", "expected"),
    [
        (["-e", "A=1"], "Env", ["A=1"]),
        (["-w", "/tmp"], "WorkingDir", "/tmp"),
        (["-u", "1:2"], "User", "1:2"),
        (["-h", "name"], "Hostname", "name"),
        (["--entrypoint", "/bin/sh"], "Entrypoint", ["/bin/sh"]),
        (["--entrypoint", ""], "Entrypoint", [""]),
        (["-l", "a=b", "--label", "c"], "Labels", {"a": "b", "c": ""}),
        (["-v", "/anonymous"], "Volumes", {"/anonymous": {}}),
        (["--stop-signal", "USR1"], "StopSignal", "USR1"),
        (["--mac-address", "92:d0:c6:0a:29:33"], "MacAddress", "92:d0:c6:0a:29:33"),
        (["-p", "80"], "ExposedPorts", {"80/tcp": {}}),
        (["--expose", "80", "-p", "90:91"], "ExposedPorts", {"80/tcp": {}, "91/tcp": {}}),
        (["--no-healthcheck"], "Healthcheck", {"Test": ["NONE"]}),
    ],
)
def test_create_request_puts_a_flag_at_the_top(words: list[str], field: str, expected: object) -> None:
    """What belongs to the container rather than to the host."""
    assert body_of(*words, "hostbox")[field] == expected


def test_create_request_reads_environment_files_before_flags(tmp_path: Path) -> None:
    """The later entry wins in the daemon, so a flag overrides a file."""
    file = tmp_path / "env"
    file.write_text("# a comment\n\nA=file\nB=file\n")

    assert body_of("-e", "A=flag", "--env-file", str(file), "hostbox")["Env"] == ["A=file", "B=file", "A=flag"]


def test_create_request_sends_the_text_of_a_seccomp_profile(tmp_path: Path) -> None:
    """The file is on this side; the daemon could not open it."""
    file = tmp_path / "profile.json"
    file.write_text('{ "defaultAction" : "SCMP_ACT_ALLOW" }')

    options = body_of("--security-opt", f"seccomp={file}", "hostbox")["HostConfig"]["SecurityOpt"]

    assert options == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']


def test_create_request_gives_the_first_network_what_flags_say_of_it() -> None:
    """Addresses, names and links are of one endpoint; a second network says its own."""
    flags = (
        "--network",
        "n",
        "--ip",
        "1.2.3.4",
        "--network-alias",
        "a",
        "--link",
        "x:y",
        "--network",
        "name=m,ip6=::1",
    )

    assert body_of(*flags, "hostbox")["NetworkingConfig"]["EndpointsConfig"] == {
        "n": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}, "Aliases": ["a"], "Links": ["x:y"]},
        "m": {"IPAMConfig": {"IPv6Address": "::1"}},
    }
    with pytest.raises(ConflictError, match="network-scoped aliases are only supported for user-defined networks"):
        body_of("--network-alias", "a", "hostbox")

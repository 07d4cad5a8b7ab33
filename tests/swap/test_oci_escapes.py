"""The published escapes from containers, each tried: runc and crun first, then ours, one body.

Where the runc or crun of Debian 12 lets one through, the case says so: they are older than the fix, or have none.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.oci_bundle import Box

pytestmark = [pytest.mark.root, pytest.mark.swap, pytest.mark.slow]

SWAP = """
import ctypes, os, sys
exchange = ctypes.CDLL(None).renameat2
one, other = (os.fsencode(name) for name in sys.argv[1:])
print("swapping", flush=True)
while True:
    exchange(-100, one, -100, other, 2)
"""
"""renameat2(RENAME_EXCHANGE) as fast as it goes: what a hostile process in a shared volume does."""


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Two names change places all the time."""
    argv = [sys.executable, "-c", SWAP, str(one), str(other)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout
        swapper.stdout.readline()
        try:
            yield
        finally:
            swapper.kill()


@contextmanager
def leaked(path: Path) -> Iterator[int]:
    """A directory of the host is open and inheritable, as in a runtime that forgot to close it."""
    fd = os.open(path, os.O_RDONLY)
    number = fcntl.fcntl(fd, fcntl.F_DUPFD, 50)  # a number that no runtime uses itself
    os.close(fd)
    try:
        yield number
    finally:
        os.close(number)


@pytest.mark.parametrize("type", ["bind", "tmpfs"])
def test_link_of_the_image_does_not_lead_a_mount_into_proc(box: Box, type: str) -> None:
    """CVE-2019-16884: over /proc/1/attr an image could swallow the request for a label."""
    source = box.directory / "source"
    source.mkdir()
    (box.rootfs / "x").symlink_to("/proc")
    options = ["bind"] if type == "bind" else []
    box.config["mounts"].append(
        {"destination": "/x/1/attr", "type": type, "source": str(source) if options else "tmpfs", "options": options}
    )

    done = box.create("true", status=None)

    refused = done.returncode != 0 and "cannot be mounted because it is inside /proc" in box.last_error()
    # runc 1.1 looks at bind mounts only
    assert refused or box.name == "crun" or (box.name == "runc" and type == "tmpfs")


@pytest.mark.parametrize("type", ["tmpfs", "sysfs"])
def test_link_of_the_image_does_not_cover_proc(box: Box, type: str) -> None:
    """The written path is harmless, and what it leads to is not."""
    (box.rootfs / "x").symlink_to("/proc")
    box.config["mounts"].append({"destination": "/x", "type": type, "source": type})

    done = box.create("true", status=None)

    assert done.returncode != 0 or box.name == "crun" or (box.name == "runc" and type == "tmpfs")


def test_directory_of_the_host_is_no_proc(box: Box) -> None:
    """`docker run -v /tmp:/proc`: everything that init checks in /proc could be forged."""
    source = box.directory / "source"
    source.mkdir()
    box.config["mounts"][0] = {"destination": "/proc", "type": "bind", "source": str(source), "options": ["rbind"]}

    done = box.create("true", status=None)

    assert (done.returncode != 0 and "it is not of type proc" in box.last_error()) or box.name == "crun"


@pytest.mark.parametrize("box", ["glassbottom-oci"], indirect=True)  # runc 1.1 and crun 1.8 look no closer
def test_part_of_proc_is_no_proc(box: Box) -> None:
    """Its file system is procfs, and /proc/self is not in it."""
    box.config["mounts"][0] = {"destination": "/proc", "type": "bind", "source": "/proc/1", "options": ["rbind"]}

    assert box.create("true", status=None).returncode != 0


def test_real_proc_may_be_bound(box: Box) -> None:
    """As with --pid host in a user namespace."""
    box.config["mounts"][0] = {"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"]}

    assert box.shell("cat /proc/version")


def with_dev_of_the_image(box: Box) -> Path:
    """/dev is a directory that somebody else has filled."""
    dev = box.directory / "dev"
    dev.mkdir()
    box.config["mounts"][1:3] = [
        {"destination": "/dev", "type": "bind", "source": str(dev), "options": ["rbind"]},
    ]
    return dev


def test_masks_are_not_what_the_image_calls_null(box: Box) -> None:
    """CVE-2025-31133: a link at /dev/null would show another file in the place of each masked one."""
    (with_dev_of_the_image(box) / "null").symlink_to("/proc/version")
    box.config["linux"]["maskedPaths"] = ["/proc/keys"]

    lines = box.shell("cat /proc/keys", status=None)

    assert [] == lines or box.name == "runc"


def test_console_is_not_mounted_through_a_link(box: Box) -> None:
    """CVE-2025-52565: the terminal's bind mount would cover a file of the image's choice."""
    dev = with_dev_of_the_image(box)
    (dev / "console").symlink_to("/etc/covered")
    (box.rootfs / "etc/covered").write_text("as it was")
    os.mknod(dev / "null", 0o20666, os.makedev(1, 3))
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "pts").mkdir()
    options = ["newinstance", "ptmxmode=0666", "mode=0620"]
    box.config["mounts"].append({"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": options})
    box.config["process"]["terminal"] = True
    box.write_config("/bin/sh", "-c", "grep -q ' /etc/covered ' /proc/self/mountinfo && echo is-covered")

    argv = ["script", "-qec", " ".join([*box.argv, "run", "--bundle", str(box.directory), box.id]), "/dev/null"]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)

    assert "is-covered" not in done.stdout or box.name != "glassbottom-oci"


def test_dev_that_a_link_makes_the_hosts_keeps_its_files(box: Box) -> None:
    """`docker run -v /dev:/x` with an image whose /x leads to /dev: the host's ptmx must not be replaced."""
    dev = box.directory / "dev"
    dev.mkdir()
    (dev / "ptmx").write_text("the host's")
    os.mknod(dev / "null", 0o20666, os.makedev(1, 3))
    (box.rootfs / "x").symlink_to("/dev")
    box.config["mounts"].append({"destination": "/x", "type": "bind", "source": str(dev), "options": ["rbind"]})

    box.run("true", status=None)

    assert ["null", "ptmx"] == sorted(path.name for path in dev.iterdir()) or box.name != "glassbottom-oci"
    assert not (dev / "ptmx").is_symlink() or box.name != "glassbottom-oci"


@pytest.mark.parametrize(
    ("link", "destination", "folder"),
    [
        ("/mydev", "/dev", "."),  # -v /dev:/dev, and the bind lands beside /dev
        ("/hostdev", "/hostdev", "."),  # -v /dev:/hostdev, and it covers the tmpfs that was meant for /dev
        ("/volume/dev", "/volume", "dev"),  # deeper in the volume
    ],
)
def test_link_at_dev_does_not_make_the_hosts_ours(box: Box, link: str, destination: str, folder: str) -> None:
    """Whatever /dev leads to, nothing is made or replaced in a directory of the host's (a stand-in for its /dev)."""
    volume = box.directory / "volume"
    dev = volume / folder
    dev.mkdir(parents=True)
    (dev / "ptmx").write_text("the host's")
    (dev / "pts").mkdir()
    os.mknod(dev / "null", 0o20666, os.makedev(1, 3))
    (box.rootfs / "dev").rmdir()
    (box.rootfs / "dev").symlink_to(link)
    (box.rootfs / link.strip("/")).mkdir(parents=True)
    bind = {"destination": destination, "type": "bind", "source": str(volume), "options": ["rbind"]}
    if destination == "/dev":
        box.config["mounts"][1:3] = [bind]
    else:
        box.config["mounts"].append(bind)

    box.run("true", status=None)

    as_it_was = ["null", "ptmx", "pts"] == sorted(path.name for path in dev.iterdir())
    kept = as_it_was and not (dev / "ptmx").is_symlink()
    # runc 1.1 and crun 1.8 look at the written destination only
    assert kept or (box.name != "glassbottom-oci" and destination != "/dev")


@pytest.mark.parametrize("through_link", [False, True])
def test_working_directory_is_not_a_descriptor_of_the_host(box: Box, through_link: bool) -> None:
    """CVE-2024-21626: a directory of the host that the runtime holds open, as process.cwd."""
    with leaked(box.directory) as fd:
        cwd = f"/proc/self/fd/{fd}"
        (box.rootfs / "work").symlink_to(cwd)
        box.config["process"]["cwd"] = "/work" if through_link else cwd

        lines = box.shell("ls", status=None, pass_fds=(fd,))

    assert "config.json" not in lines or box.name == "crun"  # as of 1.8.1


def test_working_directory_of_exec_is_not_a_descriptor_of_the_host(box: Box) -> None:
    """CVE-2024-21626 by `exec --cwd`: whichever number it may have."""
    box.create("sleep", "1000")
    box.call("start", box.id)

    with leaked(box.directory) as fd:
        for number in (*range(3, 14), fd):
            words = ("--cwd", f"/proc/self/fd/{number}", box.id, "ls")
            done = box.call("exec", *words, status=None, pass_fds=(fd,))
            assert "config.json" not in done.stdout or box.name == "crun"  # as of 1.8.1


def test_hooks_and_process_get_no_descriptor_of_the_caller(box: Box) -> None:
    """What leaks into the runtime stays there."""
    for name in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
        script = f"ls -l /proc/self/fd > {box.directory}/{name}"
        box.config.setdefault("hooks", {})[name] = [{"path": "/bin/sh", "args": ["sh", "-c", script]}]
    script = "ls -l /proc/self/fd > /data/startContainer"
    box.config["hooks"]["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", script]}]

    secret = box.directory / "secret"
    secret.mkdir()
    with leaked(secret) as fd:
        in_process = box.run("ls", "-l", "/proc/self/fd", pass_fds=(fd,))

    assert str(secret) not in in_process
    for name in box.config["hooks"]:
        place = box.rootfs / "data" if name == "startContainer" else box.directory
        listed = (place / name).read_text()
        assert "pipe:" in listed
        assert str(secret) not in listed, name


@pytest.mark.parametrize("box", ["crun", "glassbottom-oci"], indirect=True)  # runc 1.1 makes folders (CVE-2024-45310)
def test_mount_target_that_changes_all_the_time_stays_in_the_root(box: Box) -> None:
    """CVE-2021-30465: a volume whose directory becomes a link to the host between the check and the mount."""
    volume, outside = box.directory / "volume", box.directory / "outside"
    (volume / "swap").mkdir(parents=True)
    outside.mkdir()
    (volume / "link").symlink_to(outside)
    box.config["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(volume), "options": ["rbind"]},
        {"destination": "/data/swap/deep", "type": "tmpfs", "source": "tmpfs"},
    ]
    box.write_config("cat", "/proc/self/mountinfo")

    with swapping(volume / "swap", volume / "link"):
        for _ in range(20):
            done = box.call("run", "--bundle", str(box.directory), box.id, status=None)
            inside = [line for line in done.stdout.splitlines() if line.split()[4].endswith("/deep")]
            assert done.returncode != 0 or 1 == len(inside)

    assert [] == list(outside.iterdir())


@pytest.mark.parametrize("box", ["glassbottom-oci"], indirect=True)  # runc 1.1 follows them; crun 1.8 copies nothing
def test_copied_up_files_are_not_links_to_the_host(box: Box) -> None:
    """tmpcopyup reads while the root is still the host's: a file that becomes a link must not be followed."""
    volume, secret = box.directory / "volume", box.directory / "secret"
    (volume / "inner").mkdir(parents=True)
    secret.write_text("secret")
    (volume / "inner/file").write_text("harmless")
    for number in range(200):  # time to swap, between the reading of the directory and that of the file
        (volume / f"inner/{number}").write_text("harmless")
    (volume / "link").symlink_to(secret)
    box.config["mounts"] += [
        {"destination": "/data", "type": "bind", "source": str(volume), "options": ["rbind"]},
        {"destination": "/data/inner", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]},
    ]
    box.write_config("cat", "/data/inner/file")

    with swapping(volume / "inner/file", volume / "link"):
        for _ in range(40):
            assert "secret" not in box.call("run", "--bundle", str(box.directory), box.id, status=None).stdout


@pytest.mark.parametrize("name", ["net.ipv4/../../vm/overcommit_memory", "net/../vm/overcommit_memory", "net.."])
def test_sysctl_does_not_climb(box: Box, name: str) -> None:
    """A name that begins in the container's namespace and ends in the host's."""
    before = Path("/proc/sys/vm/overcommit_memory").read_text()
    box.config["linux"]["sysctl"] = {name: "1"}

    assert box.create("true", status=None).returncode != 0
    assert before == Path("/proc/sys/vm/overcommit_memory").read_text()


def test_destination_does_not_climb(box: Box) -> None:
    """.. at the root stays at the root."""
    outside = box.directory / "outside"
    outside.mkdir()
    box.config["mounts"].append({"destination": "/../outside/deep", "type": "tmpfs", "source": "tmpfs"})

    box.run("true", status=None)

    assert [] == list(outside.iterdir())


@pytest.mark.parametrize(
    "user", [{"uid": 4294967295, "gid": 5}, {"uid": -1, "gid": 5}, {"uid": 5, "gid": 4294967295}, {"uid": 1 << 31}]
)
def test_id_that_means_no_change_does_not_leave_root(box: Box, user: dict[str, int]) -> None:
    """setresuid(-1) is a no-op: the process would be root."""
    box.config["process"]["user"] = user

    done = box.create("true", status=None)

    assert done.returncode != 0 or box.name == "crun"


def test_exec_does_not_take_such_an_id_either(box: Box) -> None:
    """By --user."""
    box.create("sleep", "1000")
    box.call("start", box.id)

    for user in ("4294967295", "5:4294967295"):
        done = box.call("exec", "--user", user, box.id, "id", "-u", status=None)
        assert done.returncode != 0 or box.name == "crun"


@pytest.mark.parametrize("box", ["glassbottom-oci"], indirect=True)  # runc 1.1 and crun 1.8 wait for ever
def test_pipe_in_etc_does_not_hold_the_runtime(box: Box) -> None:
    """An image with a FIFO at /etc/passwd would block whoever asks it for a home directory."""
    os.mkfifo(box.rootfs / "etc/passwd")

    assert ["/"] == box.shell("echo $HOME")


def test_directory_in_the_place_of_passwd_does_not_stop_the_container(box: Box) -> None:
    """It tells no home, like a file that is missing."""
    (box.rootfs / "etc/passwd").mkdir()

    assert ["/"] == box.shell("echo $HOME", status=None) or box.name != "glassbottom-oci"


def with_hook_in_the_container(box: Box, *args: str) -> None:
    """A startContainer hook, which runs when nobody but init is left to report an error."""
    box.config["hooks"] = {"startContainer": [{"path": "/bin/true", "args": list(args)}]}


def test_descriptor_of_the_images_making_may_have_any_number(box: Box) -> None:
    """Without a mount at /proc, /proc/self/fd is a directory of the image."""
    del box.config["mounts"][0]
    for name in ("3", str(1 << 31), "9" * 20, "x"):
        (box.rootfs / "proc/self/fd" / name).mkdir(parents=True)
    with_hook_in_the_container(box, "true")

    assert ["here"] == box.shell("echo here", status=None) or box.name != "glassbottom-oci"


def test_init_ends_by_itself_whatever_the_error(box: Box) -> None:
    """It is a fork of `create`: an error that nobody catches would go on in the frames of that one."""
    with_hook_in_the_container(box, "true", "a\0b")
    box.write_config("true")

    done = box.call("run", "--bundle", str(box.directory), box.id, status=None)

    assert done.returncode != 0 or box.name == "crun"
    if box.name == "glassbottom-oci":
        assert "exec /bin/true: embedded null byte\n" == done.stderr

"""What the container must not get hold of, and what a runtime that dies half-way leaves."""

import os
import signal
import struct
import subprocess
import time

import pytest

from tests.oci_bundle import Box, cgroups_named, wait_for_exit

pytestmark = [pytest.mark.root, pytest.mark.slow]


def elf_with_interpreter(interpreter: bytes, table: int) -> bytes:
    """The headers of a program whose only segment is PT_INTERP, with the table of segments at an offset (elf(5))."""
    machine = {"x86_64": 62, "aarch64": 183}[os.uname().machine]
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400000, table, 0, 0, 64, 56, 1, 0, 0, 0)
    where = table + 56
    segment = struct.pack("<IIQQQQQQ", 3, 4, where, 0, 0, len(interpreter) + 1, len(interpreter) + 1, 1)
    return header.ljust(table, b"\0") + segment + interpreter + b"\0"


@pytest.mark.parametrize("kind", ["link", "script", "ELF interpreter", "ELF interpreter far away"])
def test_image_cannot_run_the_hosts_interpreter(box: Box, kind: str) -> None:
    """/proc/self/exe of the process that enters the container is the host's python (CVE-2019-5736)."""
    program = box.rootfs / "bin/self"
    if kind == "link":
        program.symlink_to("/proc/self/exe")
    elif kind == "script":
        program.write_text("#!/proc/self/exe\n")
        program.chmod(0o755)
    else:
        program.write_bytes(elf_with_interpreter(b"/proc/self/exe", 64 if kind == "ELF interpreter" else 70_000))
        program.chmod(0o755)

    assert 1 == box.create("/bin/self", status=None).returncode
    assert "it leads to the runtime itself" in box.last_error()


@pytest.mark.parametrize("content", [b"", b"\x7fELF\x02", b"\x7fELF\x02".ljust(64, b"\xff"), b"#!", b"#! \n"])
def test_damaged_program_is_a_sentence(box: Box, content: bytes) -> None:
    """Headers that point nowhere are the kernel's to refuse: exec format error, as with runc."""
    (box.rootfs / "bin/odd").write_bytes(content)
    (box.rootfs / "bin/odd").chmod(0o755)

    box.run("/bin/odd", status=255)

    # the kernel answers EACCES, not ENOEXEC, where the name after #! is empty
    assert (box.directory / "err").read_text() in {
        f"exec /bin/odd: /bin/odd: {words}\n" for words in ("exec format error", "permission denied")
    }


def test_waiting_init_hides_its_executable_from_the_container(box: Box) -> None:
    """Until execve nobody in a shared pid namespace may follow /proc/PID/exe, without CAP_SYS_PTRACE over us."""
    box.create("sleep", "1000")
    pid = box.state()["pid"]

    script = f"readlink /proc/{pid}/exe"
    unprivileged = subprocess.run(
        ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "sh", "-c", script]
    )

    assert 0 != unprivileged.returncode
    assert os.readlink(f"/proc/{pid}/exe").rpartition("/")[2].startswith("python")


def test_waiting_init_holds_no_descriptor_of_the_host(box: Box) -> None:
    """Streams and the FIFO, nothing else, and a working directory inside."""
    extra = os.open("/", os.O_RDONLY)
    os.set_inheritable(extra, True)
    try:
        box.create("sleep", "1000", pass_fds=(extra,))
    finally:
        os.close(extra)
    pid = box.state()["pid"]

    targets = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    root = os.stat(f"/proc/{pid}/root")

    assert 4 == len(targets)
    assert 1 == sum(target.endswith("exec.fifo") for target in targets)
    assert (root.st_dev, root.st_ino) == (box.rootfs.stat().st_dev, box.rootfs.stat().st_ino)


def test_container_without_any_python_starts(box: Box) -> None:
    """Everything init needs is imported before pivot_root: users, hooks and seccomp need nothing more."""
    box.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    box.config["hooks"] = {"startContainer": [{"path": "/bin/true", "timeout": 20}]}
    box.config["process"]["user"] = {"uid": 5, "gid": 5, "additionalGids": [6]}
    del box.config["mounts"][0]  # no /proc either
    box.config["linux"]["resources"]["memory"] = {"limit": 6 << 20}

    assert ["5"] == box.shell("id -u")


def test_missing_capability_is_a_warning(box: Box) -> None:
    """The spec: what cannot be granted is logged, and the container runs without."""
    box.config["process"]["capabilities"] = {"bounding": ["CAP_CHOWN", "CAP_TELEPORT"], "permitted": ["CAP_CHOWN"]}

    box.run("true")

    assert "CAP_TELEPORT: unknown capability" in box.log.read_text()


@pytest.mark.parametrize("hook", ["createRuntime", "createContainer"])
def test_create_that_is_killed_leaves_only_what_delete_force_removes(box: Box, hook: str) -> None:
    """init ends when its parent does; the state says "creating" until it is deleted."""
    at_hook, gate = box.directory / "at-hook", box.directory / "gate"
    os.mkfifo(at_hook)
    os.mkfifo(gate)
    box.config["hooks"] = {hook: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo > {at_hook}; read x < {gate}"]}]}
    box.write_config("sleep", "1000")
    argv = [*box.argv, "create", "--bundle", str(box.directory), box.id]
    create = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    at_hook.read_text()  # opened by the hook: create is in the middle of it
    creating = box.state()
    create.send_signal(signal.SIGKILL)
    create.wait()
    with gate.open("w"):
        pass  # let the hook end

    wait_for_exit(creating["pid"])
    box.call("delete", "--force", box.id)

    assert "creating" == creating["status"]
    assert [] == cgroups_named(box.id)


@pytest.mark.parametrize("milliseconds", range(0, 40, 2))
def test_create_that_is_killed_at_any_moment_leaves_only_what_delete_force_removes(box: Box, milliseconds: int) -> None:
    """Whatever there is by then, it is known where: cgroups above all, which nobody could find by their looks."""
    box.write_config("sleep", "1000")
    argv = [*box.argv, "create", "--bundle", str(box.directory), box.id]
    create = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(milliseconds / 1000)
    create.kill()
    create.wait()

    box.call("delete", "--force", box.id)

    assert [] == cgroups_named(box.id)
    assert not (box.directory / "state" / box.id).exists()

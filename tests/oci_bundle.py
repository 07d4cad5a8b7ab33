"""A bundle of busybox alone and an OCI runtime by its path: what the suites of the OCI runtime stand on."""

import copy
import ctypes
import fnmatch
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE_MS = 20_000
"""After this a test that waits for a process to end has failed."""
PR_SET_CHILD_SUBREAPER = 36
APPLETS = "sh cat cut echo env grep hostname id ip kill ls mkdir mknod mount ps pwd sleep stat stty touch true tty wc"

NO_UNIFIED = """#!/bin/sh
# crun refuses hybrid cgroups: let it see a plain v1 host
exec unshare -m --propagation slave sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' - crun "$@"
"""

CONFIG: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "process": {
        "args": ["true"],
        "cwd": "/",
        "env": ["PATH=/bin"],
        "user": {"uid": 0, "gid": 0},
        "capabilities": {name: ["CAP_KILL", "CAP_CHOWN"] for name in ("bounding", "effective", "permitted")},
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
    },
}

CGROUP_PARENT = f"glassbottom-test-{os.getpid()}"
"""A parent of this worker's own: one that all shared would be removed by one while another makes a group in it."""


def cgroups_named(pattern: str) -> list[str]:
    """Every control group whose own name matches (fnmatch), in all trees; others may come and go meanwhile."""
    folders = (folder for folder, _, _ in os.walk("/sys/fs/cgroup"))  # Path.glob raises when one is gone
    return [folder for folder in folders if fnmatch.fnmatch(os.path.basename(folder), pattern)]


def become_subreaper() -> None:
    """Take the place of a shim: what a runtime leaves running becomes our child."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_exit(pid: int) -> None:
    """Wait until a process is gone or a zombie, then reap it."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(PATIENCE_MS), f"process {pid} does not end"
    os.close(pidfd)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # never was ours, or the runtime itself reaped it


def reap_strays() -> None:
    """Reap what a runtime left to us and nobody waits for: crun's failed exec, for one."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def runtime_argv(name: str, directory: Path) -> list[str]:
    """How to call a runtime: ours, or an installed one by its name."""
    if name == "glassbottom-oci":
        return [sys.executable, "-m", "runtime.oci"]
    if name == "crun" and Path("/sys/fs/cgroup/unified").is_dir():
        wrapper = directory / "crun-without-unified"
        wrapper.write_text(NO_UNIFIED)
        wrapper.chmod(0o755)
        return [str(wrapper)]
    return [name]


class Box:
    """One bundle, one runtime with a state root of its own, and the containers made with them."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.argv = [*runtime_argv(name, directory), "--root", str(directory / "state")]
        self.log = directory / "log.json"
        self.config = copy.deepcopy(CONFIG)
        self.id = f"gb-{name}-{os.getpid()}"
        self.config["linux"]["cgroupsPath"] = f"/{CGROUP_PARENT}/{self.id}"
        self.rootfs = directory / "rootfs"
        for folder in ("bin", "proc", "sys", "dev", "tmp", "etc", "data"):
            (self.rootfs / folder).mkdir(parents=True)
        busybox = shutil.which("busybox")
        assert busybox
        shutil.copy2(busybox, self.rootfs / "bin/busybox")
        for applet in APPLETS.split():
            (self.rootfs / "bin" / applet).symlink_to("busybox")

    def call(self, *words: str, status: int | None = 0, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run the runtime with a log file; its exit status must be the given one (None: any)."""
        argv = [*self.argv, "--log", str(self.log), "--log-format", "json", *words]
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("timeout", PATIENCE_MS / 1000)
        # files, not pipes: a created container holds its streams for as long as it lives
        out, err = self.directory / "out", self.directory / "err"
        with out.open("w") as stdout, err.open("w") as stderr:
            done = subprocess.run(argv, stdout=stdout, stderr=stderr, text=True, check=False, **options)
        done.stdout, done.stderr = out.read_text(), err.read_text()
        assert status is None or done.returncode == status, f"{words}: {done.returncode}: {done.stderr}{done.stdout}"
        return done

    def write_config(self, *args: str) -> None:
        """Write config.json as it stands, with these process.args."""
        if args:
            self.config["process"]["args"] = list(args)
        (self.directory / "config.json").write_text(json.dumps(self.config))

    def create(self, *args: str, flags: tuple[str, ...] = (), **options: Any) -> "subprocess.CompletedProcess[str]":
        """`create` with these process.args."""
        self.write_config(*args)
        return self.call("create", "--bundle", str(self.directory), *flags, self.id, **options)

    def run(self, *args: str, status: int | None = 0, **options: Any) -> str:
        """`run` in the foreground; what the container printed."""
        self.write_config(*args)
        return self.call("run", "--bundle", str(self.directory), self.id, status=status, **options).stdout

    def shell(self, script: str, status: int | None = 0, **options: Any) -> list[str]:
        """Run a shell script in the container; the lines it printed."""
        return self.run("/bin/sh", "-c", script, status=status, **options).splitlines()

    def state(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.call("state", self.id).stdout)
        return loaded

    def output(self) -> str:
        """What a created container has printed up to now."""
        return (self.directory / "out").read_text()

    def last_error(self) -> str:
        """The message of the log's last error, which is what containerd's shim reads."""
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return str([entry["msg"] for entry in entries if entry["level"] == "error"][-1])

    def namespaces(self, *names: str, **paths: str) -> None:
        """Choose the namespaces: these made, those joined by path."""
        self.config["linux"]["namespaces"] = [{"type": name} for name in names]
        self.config["linux"]["namespaces"] += [{"type": name, "path": path} for name, path in paths.items()]

    def close(self) -> None:
        """Force everything away and see that it is: no state, no cgroup, no mount."""
        known = self.call("state", self.id, status=None)
        status = json.loads(known.stdout)["status"] if known.returncode == 0 else "unknown"
        if status in ("created", "running", "paused"):
            if status == "paused":
                self.call("resume", self.id)
            init = json.loads(known.stdout)["pid"]
            pids = json.loads(self.call("ps", "--format", "json", self.id).stdout)
            self.call("kill", "--all", self.id, "KILL", status=None)
            # init of a pid namespace ends when everyone in it has been reaped, and the reaper is us
            reap_strays()
            for pid in sorted(pids, key=lambda pid: pid == init):
                wait_for_exit(pid)
        self.call("delete", "--force", self.id)
        state_root = self.directory / "state"
        assert [] == (list(state_root.iterdir()) if state_root.exists() else [])
        parents = cgroups_named(CGROUP_PARENT)
        assert [] == [parent for parent in parents if os.path.isdir(f"{parent}/{self.id}")]
        mounts = Path("/proc/self/mounts").read_text()
        assert str(self.directory) not in mounts
        for parent in parents:
            try:
                os.rmdir(parent)
            except OSError:
                pass  # this test's other container is in it

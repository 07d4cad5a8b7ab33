"""Measures an OCI runtime alone: create, start and delete of one container from the bundle that `runc spec` describes.

What lies between start and delete, the container's own `true` and its end, is waited for and not counted.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.oci_bundle import become_subreaper, wait_for_exit


class Cycle:
    """One bundle and one runtime; called, it makes a container, ends it, and returns the seconds of the three verbs."""

    def __init__(self, runtime: str, folder: Path) -> None:
        become_subreaper()
        self._argv = [runtime, "--root", str(folder / "state")]
        self._bundle = folder / Path(runtime).name
        self._id = f"bench-{Path(runtime).name}-{os.getpid()}"
        (self._bundle / "rootfs/bin").mkdir(parents=True)
        busybox = shutil.which("busybox")
        if not busybox:
            raise SystemExit("bench: busybox is not installed (apt-get install busybox-static)")
        shutil.copy2(busybox, self._bundle / "rootfs/bin/true")
        subprocess.run(["runc", "spec"], cwd=self._bundle, check=True)
        config = json.loads((self._bundle / "config.json").read_text())
        config["process"] |= {"args": ["true"], "terminal": False}
        config["linux"]["cgroupsPath"] = f"/glassbottom-bench-{os.getpid()}/{self._id}"
        (self._bundle / "config.json").write_text(json.dumps(config))

    def __call__(self) -> float:
        pid_file = self._bundle / "pid"
        seconds = self._timed("create", "--bundle", str(self._bundle), "--pid-file", str(pid_file), self._id)
        seconds += self._timed("start", self._id)
        wait_for_exit(int(pid_file.read_text()))
        return seconds + self._timed("delete", self._id)

    def _timed(self, *words: str) -> float:
        nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
        begin = time.perf_counter()
        pid = os.posix_spawnp(self._argv[0], [*self._argv, *words], os.environ, file_actions=nowhere)
        _, status = os.waitpid(pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            raise SystemExit(
                f"bench: {' '.join((*self._argv, *words))}: exit status {os.waitstatus_to_exitcode(status)}"
            )
        return seconds

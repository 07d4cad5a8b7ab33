"""A containerd and a daemon of the test's own, to be spoken to byte by byte and killed."""

import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.oci_bundle import cgroups_named
from tests.unix_sockets import wait_for_socket


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


class Stack:
    """One containerd, and a daemon that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / "d.sock")
        self.bridge = f"gbt-{os.getpid()}"
        self.start_containerd()
        self.start()

    def start_containerd(self) -> None:
        folder = self.folder
        self.containerd = self._spawn(
            *(
                "runtime.containerd",
                "--root",
                f"{folder}/cr",
                "--state",
                f"{folder}/cs",
                "--address",
                f"{folder}/c.sock",
            )
        )
        wait_for_socket(f"{folder}/c.sock", self.containerd.pid)

    def _spawn(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        with log:
            return subprocess.Popen([sys.executable, "-m", module, *arguments], stderr=log, stdout=log)

    def daemon_flags(self) -> list[str]:
        folder = self.folder
        places = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--bridge", self.bridge]
        return ["-H", f"unix://{self.socket}", "--containerd", f"{folder}/c.sock", *places, "--shutdown-timeout", "1"]

    def start(self) -> None:
        self.daemon = self._spawn("runtime.daemon", *self.daemon_flags(), "--cgroup-parent", f"/gbt-{os.getpid()}")
        wait_for_socket(self.socket, self.daemon.pid)

    def kill(self) -> None:
        self.daemon.kill()
        self.daemon.wait()

    def stop(self) -> None:
        for process in (self.daemon, self.containerd):
            process.terminate()
            process.wait()
        for parent in cgroups_named(f"gbt-{os.getpid()}"):
            os.rmdir(parent)  # like dockerd's /docker it stays; that it can be removed shows that it is empty

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """One request; the body is JSON unless it is bytes."""
        connection = UnixConnection(self.socket)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **{key.replace("_", "-"): value for key, value in headers.items()}}
        connection.request(method, path, data, sent)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text) if text.strip() and reply.status != 101 else None

    def run(self, name: str, script: str, **fields: object) -> str:
        """Create and start a container that runs a shell script."""
        body = {"Image": "hostbox", "Cmd": ["sh", "-c", script], **fields}
        status, created = self.ask("POST", f"/containers/create?name={name}", body)
        assert status == 201, created
        assert (204, None) == self.ask("POST", f"/containers/{name}/start")
        return str(created["Id"])

    def logs(self, name: str) -> bytes:
        connection = UnixConnection(self.socket)
        connection.request("GET", f"/containers/{name}/logs?stdout=1&stderr=1&follow=1")
        data = connection.getresponse().read()
        connection.close()
        return data


def veths(stack: Stack) -> set[str]:
    """The ends of veth pairs in the stack's bridge."""
    return set(os.listdir(f"/sys/class/net/{stack.bridge}/brif"))

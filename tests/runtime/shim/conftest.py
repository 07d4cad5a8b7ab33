"""A shim process of our own, with both its seams held by the test: containerd's sockets and the OCI runtime's argv.

No root is needed: the OCI runtime is a shell script that starts ordinary processes, and containerd is this test, which
dials the shim's socket and listens where the shim reports events.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass

from runtime.api.containerd import events_pb2, task_shim_pb2
from runtime.api.containerd.events_ttrpc_pb2 import ForwardRequest
from runtime.api.containerd.runc_options_pb2 import Options
from runtime.api.containerd.ttrpc_pb2 import Request, Response
from runtime.api.ttrpc import REQUEST, RESPONSE, Frame, FrameDecoder, encode

PATIENCE = 20.0
"""Seconds after which a test that waits for an answer has failed."""

SHIM = Path(sys.executable).parent / "containerd-shim-glassbottom-v1"
TASK = task_shim_pb2.DESCRIPTOR.services_by_name["Task"]

OCI_RUNTIME = r"""#!/bin/sh
# An OCI runtime without namespaces: `create` starts BUNDLE/command behind a FIFO, `start` opens the FIFO.
while [ "${1#--}" != "$1" ]; do
  case $1 in --log) log=$2;; esac
  shift; case $1 in --*) ;; create|start|exec|kill|delete|ps|pause|resume|update) ;; *) shift;; esac
done
verb=$1; shift
echo "$verb $*" >> calls
[ -e "killed-$verb" ] && rm "killed-$verb" && kill -9 $$
while [ $# -gt 1 ]; do
  case $1 in
    --pid-file) pid_file=$2; shift 2;;
    --bundle|--process|--format|--resources|--console-socket) shift 2;;
    --*) flags="$flags $1"; shift;;
    *) break;;
  esac
done
fail() { printf '{"level":"error","msg":"%s"}\n' "$1" >> "$log"; exit 1; }
exec 3<&0
case $verb in
create)
  [ -e fail ] && fail "$(cat fail)"
  mkfifo exec.fifo
  (read -r _ < exec.fifo; exec sh -c "$(cat command)" <&3 3<&-) &
  printf %s $! > "$pid_file";;
start)
  echo > exec.fifo
  # Come back only after a short process is over, so that its end is known before its start is.
  if [ -e linger ]; then
    while kill -0 "$(cat init.pid)" 2>/dev/null && ! grep -qs ') Z' /proc/"$(cat init.pid)"/stat; do :; done
  fi;;
exec)
  # The process waits until this shell, which alone holds the write end, is gone: dash would reap its child otherwise.
  mkfifo hold; exec 4<>hold 5<hold; rm hold
  (read -r _ <&5; exec sh -c "$(cat exec-command)" <&3 3<&- 5<&-) 4>&- &
  printf %s $! > "$pid_file";;
kill) kill -"$2" "$(cat init.pid)" 2>/dev/null || fail "container not running";;
pause) kill -STOP "$(cat init.pid)";;
resume) kill -CONT "$(cat init.pid)";;
ps) printf '[%s]' "$(cat init.pid)";;
update) cat > resources;;
delete) [ -e init.pid ] && kill -9 "$(cat init.pid)" 2>/dev/null; rm -f exec.fifo;;
esac
exit 0
"""


class Peer:
    """One end of a ttrpc connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._decoder = FrameDecoder()
        self._frames: list[Frame] = []

    def frame(self) -> Frame:
        """Return the next frame that comes in."""
        while not self._frames:
            assert select.select([self.socket], [], [], PATIENCE)[0], "no frame came"
            data = self.socket.recv(65536)
            assert data, "the connection was closed"
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def closed(self) -> bool:
        """Wait until the other end closes, and say whether it did so without another byte."""
        assert select.select([self.socket], [], [], PATIENCE)[0]
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Shim:
    """A running shim, as its containerd sees it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bundle = directory / "bundle"
        (self.bundle / "rootfs").mkdir(parents=True)
        self.bundle.joinpath("config.json").write_text('{"linux":{"namespaces":[{"type":"pid"}]}}')
        self.bundle.joinpath("command").write_text("exit 0")
        self.binary = directory / "oci-runtime"
        self.binary.write_text(OCI_RUNTIME)
        self.binary.chmod(0o755)
        self.listener = self._listen()
        self._events: Peer | None = None
        self._stream_id = -1
        self._answers: dict[int, Response] = {}
        self.address = self.run("start").stdout.decode()
        self.peer = self.connect()

    @property
    def pid(self) -> int:
        return int((self.bundle / "shim.pid").read_text())

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        path = self.directory / "c.sock.ttrpc"
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o660)
        return listener

    def run(self, *action: str) -> "subprocess.CompletedProcess[bytes]":
        """Run the shim's program as containerd does."""
        argv = [str(SHIM), "-namespace", "tests", "-address", str(self.directory / "c.sock"), "-id", "one", *action]
        environment = {"PATH": os.environ["PATH"], "TTRPC_ADDRESS": str(self.directory / "c.sock.ttrpc")}
        return subprocess.run(
            argv,
            cwd=self.bundle,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=20,
        )

    def connect(self) -> Peer:
        """Dial the shim once more."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(self.address.removeprefix("unix://"))
        return Peer(sock)

    # -- calls

    def send(self, method: str, request: Any, service: str = TASK.full_name) -> int:
        """Send a request and return its stream, without waiting for the answer."""
        self._stream_id += 2
        payload = request if isinstance(request, bytes) else request.SerializeToString()
        body = Request(service=service, method=method, payload=payload).SerializeToString()
        self.peer.socket.sendall(encode(Frame(self._stream_id, REQUEST, 0, body)))
        return self._stream_id

    def answer(self, stream_id: int) -> Response:
        """Return the answer on this stream; those on others are kept for later."""
        while stream_id not in self._answers:
            frame = self.peer.frame()
            assert frame.type == RESPONSE
            self._answers[frame.stream_id] = Response.FromString(frame.payload)
        return self._answers.pop(stream_id)

    def call(self, method: str, **fields: Any) -> Any:
        """Call a method, expect it to succeed, and return its message."""
        descriptor = TASK.methods_by_name[method]
        response = self.answer(self.send(method, GetMessageClass(descriptor.input_type)(**fields)))
        assert response.status.code == 0, response.status.message
        return GetMessageClass(descriptor.output_type).FromString(response.payload)

    def refusal(self, method: str, **fields: Any) -> tuple[int, str]:
        """Call a method, expect it to fail, and return the code and the words."""
        descriptor = TASK.methods_by_name[method]
        response = self.answer(self.send(method, GetMessageClass(descriptor.input_type)(**fields)))
        return response.status.code, response.status.message

    def create_fields(self, **stdio: str) -> dict[str, Any]:
        """What Create needs to use the script as its runtime."""
        options = Options(binary_name=str(self.binary), root=str(self.directory / "root"))
        packed = {"type_url": "containerd.runc.v1.Options", "value": options.SerializeToString()}
        return {"id": "one", "bundle": str(self.bundle), "options": packed, **stdio}

    # -- events

    def event(self) -> tuple[str, Any]:
        """Take the next event, acknowledge it, and return its topic and message."""
        topic, message, acknowledge = self.unacknowledged_event()
        acknowledge()
        return topic, message

    def unacknowledged_event(self) -> tuple[str, Any, Any]:
        """Take the next event, and leave the answer to the test."""
        if self._events is None:
            assert select.select([self.listener], [], [], PATIENCE)[0], "the shim does not dial"
            self._events = Peer(self.listener.accept()[0])
        peer = self._events
        frame = peer.frame()
        request = Request.FromString(frame.payload)
        assert (request.service, request.method) == ("containerd.services.events.ttrpc.v1.Events", "Forward")
        assert [("containerd-namespace-ttrpc", "tests")] == [(pair.key, pair.value) for pair in request.metadata]
        envelope = ForwardRequest.FromString(request.payload).envelope
        message = getattr(events_pb2, envelope.event.type_url.rsplit(".", 1)[1]).FromString(envelope.event.value)

        def acknowledge() -> None:
            peer.socket.sendall(encode(Frame(frame.stream_id, RESPONSE, 0, b"")))

        return envelope.topic, message, acknowledge

    def no_event_waits(self) -> bool:
        """Whether nothing has been sent that we did not take."""
        sockets = [self.listener] if self._events is None else [self.listener, self._events.socket]
        return not select.select(sockets, [], [], 0)[0]

    def containerd_goes(self) -> None:
        """Close all that containerd would have open when it ends."""
        self.listener.close()
        self.peer.socket.close()
        if self._events is not None:
            self._events.socket.close()
            self._events = None

    def containerd_returns(self) -> None:
        """Listen again, as a new containerd does."""
        self.listener = self._listen()

    def wait_for_end(self) -> None:
        """Wait until the serving process is gone."""
        pidfd = os.pidfd_open(self.pid)
        assert select.select([pidfd], [], [], PATIENCE)[0], "the shim does not end"
        os.close(pidfd)

    def close(self) -> None:
        """End what is left."""
        for name in ("shim.pid", "init.pid"):
            path = self.bundle / name
            if path.exists():
                try:
                    os.kill(int(path.read_text()), signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.listener.close()
        self.peer.socket.close()
        if self._events is not None:
            self._events.socket.close()


@pytest.fixture
def shim() -> Iterator[Shim]:
    """A shim that holds nothing yet."""
    if not SHIM.exists():
        pytest.skip(f"not installed: {SHIM.name}")
    directory = Path(tempfile.mkdtemp(prefix="gbshim-", dir="/tmp"))
    running = Shim(directory)
    yield running
    running.close()
    shutil.rmtree(directory)

"""One shim: the program that containerd starts per container, and containerd's connection to it.

Real counterpart: containerd `runtime/v2/binary.go` (start, delete) and `runtime/v2/shim.go` (the task behind a
connection).

    containerd                                     shim
      | fork+exec  SHIM -namespace N -address A -publish-binary B -id ID start     cwd = bundle, stdin = options
      |   <-- stdout: unix:///run/.../s/HASH   (or JSON, from 1.7 on)              the daemon stays, this process exits
      | connect to that socket, and keep the connection
      | ttrpc Create, Connect, Start, State, Wait, Kill, Delete, Shutdown -->
      |   <-- connection ends
      | fork+exec  SHIM ... -id ID -bundle DIR delete                              after every end, also a clean one
      |   <-- stdout: a serialized DeleteResponse

The shim is not containerd's child (its `start` forks it off), so it and its container outlive containerd.
"""

import json
import os
import shutil
import sys
from typing import Any, NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from runtime.api.containerd import task_shim_pb2
from runtime.containerd import child, log, ttrpc_client
from runtime.containerd.bundle import Bundle
from runtime.containerd.errors import ContainerdError
from runtime.containerd.settings import Settings
from runtime.containerd.shim_log import ShimLog

TASK_SERVICE = task_shim_pb2.DESCRIPTOR.services_by_name["Task"]


class Endpoint(NamedTuple):
    """Where a shim listens, and which version of the task service it speaks."""

    address: str
    version: int


def binary_for(runtime: str, runtime_path: str = "") -> str:
    """Return the path of the shim for a runtime name: io.containerd.runc.v2 -> containerd-shim-runc-v2."""
    if runtime_path or os.path.isabs(runtime):
        return runtime_path or runtime
    parts = runtime.split(".")
    if len(parts) < 2 or not all(parts) or "/" in runtime:
        raise ContainerdError(
            f"failed to start shim: failed to resolve runtime path: invalid runtime name {runtime}, "
            "correct runtime name should be either format like `io.containerd.runc.v1` or a full path to the binary"
        )
    name = f"containerd-shim-{parts[-2]}-{parts[-1]}"
    # Beside our own interpreter is where an installation into a private environment puts its console scripts.
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = shutil.which(name) or (beside if os.access(beside, os.X_OK) else None)
    if found is None:
        raise ContainerdError(
            f'failed to start shim: failed to resolve runtime path: runtime "{runtime}" binary not installed "{name}": '
            "file does not exist"
        )
    return found


def parse_endpoint(text: str) -> Endpoint:
    """Read what `start` has printed: a bare address (containerd 1.6) or JSON with version and protocol (1.7 on)."""
    text = text.strip()
    if not text.startswith("{"):
        if not text.startswith("unix://") or "\n" in text:
            raise ContainerdError(f"failed to start shim: it printed no address but: {text!r}")
        return Endpoint(text, 2)
    try:
        fields = json.loads(text)
        endpoint = Endpoint(str(fields["address"]), int(fields["version"]))
    except (ValueError, KeyError, TypeError):
        raise ContainerdError(f"failed to start shim: it printed no bootstrap parameters but: {text!r}") from None
    if fields.get("protocol", "ttrpc") != "ttrpc" or endpoint.version not in (2, 3):
        raise ContainerdError(f"failed to start shim: its protocol is not supported: {text!r}")
    return endpoint


class Shim:
    """A running shim and its task."""

    def __init__(self, bundle: Bundle, client: ttrpc_client.TtrpcClient, endpoint: Endpoint, shim_log: ShimLog) -> None:
        self.bundle = bundle
        self.client = client
        self._service = f"containerd.task.v{endpoint.version}.Task"
        self._log = shim_log

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and container id."""
        return self.bundle.namespace, self.bundle.id

    async def call(self, method: str, request: Message) -> Any:
        """Call a method of the shim's task service and return its response message."""
        payload = await self.client.call(self._service, method, request, self.bundle.namespace)
        try:
            return GetMessageClass(TASK_SERVICE.methods_by_name[method].output_type).FromString(payload)
        except DecodeError as error:
            raise ContainerdError(f"the shim's answer to {method} cannot be read: {error}") from None

    def close(self) -> None:
        """Hang up and stop copying its log."""
        self.client.close()
        self._log.close()


async def start(bundle: Bundle, binary: str, options: AnyMessage, settings: Settings) -> Shim:
    """Start the bundle's shim and connect to it."""
    shim_log = ShimLog(bundle.path)
    try:
        # Before the start: if containerd is killed in between, the next one knows by it what to run for `delete`.
        bundle.write("shim-binary-path", binary)
        argv = [*_flags(bundle, binary, settings), "start"]
        stdin = options.SerializeToString()
        ended = await child.run(argv, cwd=bundle.path, env=_environment(settings), stdin=stdin, combined=True)
        text = ended.output.decode(errors="replace").strip()
        if ended.returncode != 0:
            raise ContainerdError(f"failed to start shim: {text or 'it said nothing'}: exit status {ended.returncode}")
        endpoint = parse_endpoint(text)
        # For our own next start. The shim should have written it itself; runc's does.
        bundle.write("address", text)
        client = await ttrpc_client.dial(endpoint.address)
    except (ContainerdError, OSError):
        shim_log.close()
        raise
    return Shim(bundle, client, endpoint, shim_log)


async def reconnect(bundle: Bundle) -> Shim:
    """Connect to the shim that an earlier containerd has started in this bundle."""
    endpoint = parse_endpoint(bundle.read("address"))
    client = await ttrpc_client.dial(endpoint.address)
    return Shim(bundle, client, endpoint, ShimLog(bundle.path))


async def clean_up(bundle: Bundle, binary: str, settings: Settings) -> task_shim_pb2.DeleteResponse | None:
    """Run the shim's `delete` command, which removes what a shim has left; return its answer, None if it failed."""
    argv = [*_flags(bundle, binary, settings), "-bundle", bundle.path, "delete"]
    try:
        ended = await child.run(argv, cwd=bundle.path, env=_environment(settings))
    except OSError as error:
        log.warn(f"shim delete of {bundle.id}: {binary}: {(error.strerror or '').lower()}")
        return None
    if ended.errors:
        log.warn(f"cleanup warnings of {bundle.id}: {ended.errors.decode(errors='replace').strip()}")
    if ended.returncode != 0:
        log.warn(f"shim delete of {bundle.id}: exit status {ended.returncode}")
        return None
    try:
        return task_shim_pb2.DeleteResponse.FromString(ended.output)
    except DecodeError:
        log.warn(f"shim delete of {bundle.id}: its answer cannot be read")
        return None


def _flags(bundle: Bundle, binary: str, settings: Settings) -> list[str]:
    flags = ["-namespace", bundle.namespace, "-address", settings.address]
    return [binary, *flags, "-publish-binary", settings.publish_binary, "-id", bundle.id]


def _environment(settings: Settings) -> dict[str, str]:
    # GOMAXPROCS as containerd sets it: a shim written in Go is mostly asleep, and there is one per container.
    return {**os.environ, "TTRPC_ADDRESS": settings.ttrpc_address, "GOMAXPROCS": "2"}

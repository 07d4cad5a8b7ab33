"""Gives a real dockerd the image that our daemon has built in: ``python -m tracer.hostbox_loader SOCKET``.

The same bytes, so that one command line means the same in every combination of seats. They go the way of ``docker
load``: POST /images/load (Engine API) with a docker-archive, which is a tar of config, layers and manifest.json
(image-spec of moby, v1.2). It runs once a daemon answers, and before the story begins.
"""

import asyncio
import hashlib
import http.client
import io
import json
import socket
import sys
import tarfile

from runtime.daemon import hostbox

NAME = "hostbox:latest"


def archive() -> bytes:
    """The image as ``docker save`` would write it. Raises NoUserlandError where there is nothing to make it of."""
    built = asyncio.run(hostbox.build())
    config_name = f"{hashlib.sha256(built.config).hexdigest()}.json"
    layers = {f"{hashlib.sha256(layer).hexdigest()}/layer.tar": layer for layer in built.layers}
    manifest = [{"Config": config_name, "RepoTags": [NAME], "Layers": list(layers)}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in {config_name: built.config, **layers, "manifest.json": json.dumps(manifest).encode()}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class LoadError(Exception):
    """The daemon does not take the image; the message is its own."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def load(path: str) -> None:
    """Load the image into the daemon that listens there. Raises LoadError, and OSError where nobody answers."""
    connection = UnixConnection(path)
    try:
        connection.request("POST", "/images/load?quiet=1", archive(), {"Content-Type": "application/x-tar"})
        reply = connection.getresponse()
        text = reply.read().decode(errors="replace").strip()
    except http.client.HTTPException as error:
        raise LoadError(f"the answer is no HTTP: {error!r}") from error
    finally:
        connection.close()
    # What goes wrong once unpacking has begun comes with status 200, as one of the lines of the progress report.
    if reply.status != http.client.OK or '"errorDetail"' in text:
        raise LoadError(text)


def main() -> int:
    """Load it, or say in one line why not."""
    try:
        load(sys.argv[1])
    except (LoadError, hostbox.NoUserlandError, OSError) as error:
        sys.stderr.write(f"the hostbox image cannot be loaded: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

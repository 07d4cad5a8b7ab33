"""``docker run``: create, attach, wait, start, in this order, and then the container's own exit status.

Real counterpart: docker CLI's cli/command/container/run.go. The order is the daemon's contract, not taste:

    HEAD /_ping                       which API version to speak
    POST /containers/create           201 and an id; nothing runs yet
    POST /containers/ID/attach        101: the stream is there before there is output
    POST /containers/ID/wait          200 and headers: the daemon listens for the exit before it can happen
    POST /containers/ID/start         204: now the process runs
    POST /containers/ID/resize        with a terminal

-d leaves attach out and goes home after start.
"""

from __future__ import annotations

import json
import os
import sys

from runtime.client.attach import AttachedContainer, SignalPipe
from runtime.client.complaints import missing_image
from runtime.client.create_request import attached_streams, build
from runtime.client.engine_client import DaemonError, EngineClient, query
from runtime.client.flags import RefusedHereError, Values, describe, parse
from runtime.client.run_flags import HELP, RUN_FLAGS
from runtime.client.terminal import RawTerminal, window_size


def run(client: EngineClient, argv: list[str]) -> int:
    """Run one container and return the exit code that the shell is to see."""
    given, words = parse(RUN_FLAGS, argv)
    if given.on("help"):
        print(HELP + describe(RUN_FLAGS))
        return 0
    if not words:
        raise missing_image()
    image, *command = words
    body = build(given, image, command, window_size(1))
    streams = attached_streams(given)
    if given.on("tty") and "stdin" in streams and not os.isatty(0):
        raise RefusedHereError("the input device is not a TTY")
    client.negotiate()
    container_id = _create(client, given, image, body)
    _write_cidfile(given, container_id)
    condition = "removed" if given.on("rm") else "next-exit"
    if not streams:
        return _run_detached(client, container_id, condition)
    return _run_attached(client, container_id, condition, given, streams)


def _run_detached(client: EngineClient, container_id: str, condition: str) -> int:
    """Start and leave. The wait is sent and dropped, as the real CLI does: its head orders it before the start."""
    waiting, _ = client.open("POST", f"/containers/{container_id}/wait" + query(condition=condition))
    client.request("POST", f"/containers/{container_id}/start")
    print(container_id, flush=True)
    waiting.close()
    return 0


def _run_attached(client: EngineClient, container_id: str, condition: str, given: Values, streams: list[str]) -> int:
    proxy = given.on("sig-proxy") or "sig-proxy" not in given
    container = AttachedContainer(
        client,
        container_id,
        tty=given.on("tty"),
        streams=streams,
        detach_keys=given.text("detach-keys"),
        proxy=proxy,
    )
    try:
        # Signals before anything else: one that comes from here on is the container's, not this program's end.
        with SignalPipe() as signals:
            container.attach()
            container.wait(condition)
            # Raw only now that there is a stream to take the keys, and never when -i was not asked for.
            if given.on("tty") and "stdin" in streams:
                with RawTerminal(0):
                    container.start()
                    container.pump(signals)
            else:
                container.start()
                container.pump(signals)
        if container.refused is not None:
            if condition == "removed":
                container.finish_wait()  # --rm: be back only when it is gone
            raise container.refused
    finally:
        container.close()
    if container.detached:
        return 0
    if container.lost is not None:
        raise container.lost
    return container.status or 0


def _create(client: EngineClient, given: Values, image: str, body: dict[str, object]) -> str:
    """Create, pulling the image first where it is missing (or where --pull says so)."""
    path = "/containers/create" + query(name=given.text("name"), platform=given.text("platform"))
    if given.text("pull") == "always":
        _pull(client, image, given)
    try:
        _, answer = client.request("POST", path, body)
    except DaemonError as error:
        if error.status != 404 or "No such image" not in str(error) or given.text("pull") == "never":
            raise
        print(f"Unable to find image '{_familiar(image)}' locally", file=sys.stderr, flush=True)
        _pull(client, image, given)
        _, answer = client.request("POST", path, body)
    decoded = json.loads(answer)
    for warning in decoded.get("Warnings") or []:
        print(f"WARNING: {warning}", file=sys.stderr, flush=True)
    return str(decoded["Id"])


def _pull(client: EngineClient, image: str, given: Values) -> None:
    """Ask the daemon for the image; it answers with a stream of JSON lines, one per step."""
    name, tag = _split_reference(_familiar(image))
    fields = {"fromImage": _qualified(name), "tag": tag, "platform": given.text("platform")}
    connection, reply = client.open("POST", "/images/create" + query(**fields), {"X-Registry-Auth": "e30="})
    buffered = b""
    for piece in iter(connection.read_chunk, b"") if "transfer-encoding" in reply.headers else []:
        buffered += piece
        *lines, buffered = buffered.split(b"\n")
        for line in lines:
            if not line.strip():
                continue
            step = json.loads(line)
            if "error" in step:
                connection.close()
                raise DaemonError(500, str(step["error"]))
            if not given.on("quiet") and "progressDetail" not in step:
                prefix = f"{step['id']}: " if step.get("id") else ""
                print(f"{prefix}{step.get('status', '')}", file=sys.stderr, flush=True)
    connection.close()


def _familiar(image: str) -> str:
    """The reference with its tag spelled out: ``hostbox`` is ``hostbox:latest``."""
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in image else f"{image}:latest"


def _split_reference(reference: str) -> tuple[str, str]:
    if "@" in reference:
        name, _, digest = reference.partition("@")
        return name, digest
    name, _, tag = reference.rpartition(":")
    return name, tag


def _qualified(name: str) -> str:
    """Registry names are optional for people, never on the wire: ``hostbox`` is ``docker.io/library/hostbox``."""
    first, slash, _ = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def _write_cidfile(given: Values, container_id: str) -> None:
    if given.text("cidfile"):
        with open(given.text("cidfile"), "x", encoding="utf-8") as file:
            file.write(container_id)

"""Starting shims: what they print, how they fail, and that nothing is left of those that do."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from runtime.containerd.errors import ContainerdError
from runtime.containerd.shim import Endpoint, binary_for, parse_endpoint
from tracer import procfs

PATIENCE = 20
"""Seconds after which what has not happened never will."""
SPEC = AnyMessage(type_url="types.containerd.io/opencontainers/runtime-spec/1/Spec", value=b"{}")


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("unix:///run/s/abc", Endpoint("unix:///run/s/abc", 2)),
        ("unix:///run/s/abc\n", Endpoint("unix:///run/s/abc", 2)),
        ('{"version":2,"address":"unix:///a","protocol":"ttrpc"}', Endpoint("unix:///a", 2)),
        ('{"version":3,"address":"unix:///a","protocol":"ttrpc"}', Endpoint("unix:///a", 3)),
    ],
)
def test_address_is_read_bare_and_as_json(text: str, endpoint: Endpoint) -> None:
    """containerd 1.6 shims print an address, later ones JSON."""
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "unix:///a\nwarning: b",
        "{",
        "{}",
        '{"version":9,"address":"unix:///a"}',
        '{"version":2,"address":"a","protocol":"grpc"}',
        '{"version":"x","address":"unix:///a"}',
        "[1]",
    ],
)
def test_anything_else_that_start_prints_is_refused(text: str) -> None:
    """With what it printed in the sentence."""
    with pytest.raises(ContainerdError, match="failed to start shim: "):
        parse_endpoint(text)


@pytest.mark.parametrize("name", ["", "x", ".", "a..b", "io/b.v1", "../x.v1"])
def test_runtime_names_that_name_no_program_are_refused(name: str) -> None:
    """A name becomes a program's name, never a path."""
    with pytest.raises(ContainerdError, match="failed to start shim"):
        binary_for(name)


def script(directory: Path, body: str) -> str:
    """A shim of one shell script; it notes its calls in `calls`."""
    path = directory / "shim"
    path.write_text(f'#!/bin/sh\nfor verb; do :; done\necho "$verb" >> {directory}/calls\n{body}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("exit 3", "failed to start shim: it said nothing: exit status 3"),
        ("echo oh no >&2; exit 1", "failed to start shim: oh no: exit status 1"),
        ("echo nonsense", "failed to start shim: it printed no address but: 'nonsense'"),
        ("echo unix:///nowhere/at/all", "dial unix:///nowhere/at/all: no such file or directory: unavailable"),
    ],
)
async def test_shim_that_does_not_start_leaves_nothing(
    client: Any, daemon: Any, tmp_path: Path, body: str, text: str
) -> None:
    """Its `delete` command is run, the bundle goes, and the client is told why."""
    shim = script(tmp_path, body)
    await client("Containers.Create", container={"id": "c", "runtime": {"name": shim}, "spec": SPEC})

    with pytest.raises(GRPCError) as error:
        await client("Tasks.Create", container_id="c")
    await client("Containers.Delete", id="c")

    assert error.value.message == text
    assert (tmp_path / "calls").read_text().split() == ["start", "delete"]
    assert os.listdir(daemon.directory / "state" / "io.containerd.runtime.v2.task" / "test") == []
    assert os.listdir(daemon.directory / "root" / "io.containerd.runtime.v2.task" / "test") == []


async def test_create_whose_client_goes_away_is_undone(client: Any, daemon: Any, tmp_path: Path) -> None:
    """Its shim waits for somebody to read the output, who will not come: it ends, and nothing is left."""
    os.mkfifo(tmp_path / "stdout")
    runtime = {"name": "io.containerd.glassbottom.v1"}
    await client("Containers.Create", container={"id": "left", "runtime": runtime, "spec": SPEC})
    bundles = daemon.directory / "state" / "io.containerd.runtime.v2.task" / "test"

    creating = asyncio.ensure_future(client("Tasks.Create", container_id="left", stdout=str(tmp_path / "stdout")))
    async with asyncio.timeout(PATIENCE):
        while not (bundles / "left" / "options.json").exists():  # the last that is written before it waits
            await asyncio.sleep(0.01)
    creating.cancel()
    async with asyncio.timeout(PATIENCE):
        while os.listdir(bundles):
            await asyncio.sleep(0.01)

    assert [pid for pid in procfs.pids() if str(bundles / "left") in procfs.argv(pid)] == []
    with pytest.raises(GRPCError, match="not found"):
        await client("Tasks.Get", container_id="left")


async def test_shim_is_started_as_containerd_starts_it(client: Any, daemon: Any, tmp_path: Path) -> None:
    """Arguments, working directory, environment, options on stdin, and what lies in the bundle."""
    shim = script(
        tmp_path,
        f'[ "$verb" = start ] || exit 0\ncat > {tmp_path}/stdin; echo "$@" > {tmp_path}/argv; pwd > {tmp_path}/cwd; '
        f'echo "$TTRPC_ADDRESS $GOMAXPROCS" > {tmp_path}/env; cp config.json {tmp_path}; ls -F > {tmp_path}/ls; exit 1',
    )
    options = AnyMessage(type_url="containerd.runc.v1.Options", value=b"\x32\x04runc" * 20000)
    await client(
        "Containers.Create", container={"id": "c2", "runtime": {"name": shim, "options": options}, "spec": SPEC}
    )

    with pytest.raises(GRPCError):
        await client("Tasks.Create", container_id="c2")
    await client("Containers.Delete", id="c2")

    argv = (tmp_path / "argv").read_text().split()
    bundle = daemon.directory / "state" / "io.containerd.runtime.v2.task" / "test" / "c2"
    assert argv[:4] == ["-namespace", "test", "-address", daemon.address]
    assert argv[4] == "-publish-binary"
    assert argv[6:] == ["-id", "c2", "start"]
    assert (tmp_path / "cwd").read_text().strip() == str(bundle)
    assert (tmp_path / "env").read_text().split() == [f"{daemon.address}.ttrpc", "2"]
    assert AnyMessage.FromString((tmp_path / "stdin").read_bytes()) == options
    assert (tmp_path / "config.json").read_text() == "{}"
    assert (tmp_path / "ls").read_text().split() == [
        "config.json",
        "log|",
        "rootfs/",
        "runtime",
        "shim-binary-path",
        "work@",
    ]


async def test_missing_shim_is_named(client: Any) -> None:
    """The program that was looked for is in the sentence, which is real containerd's."""
    await client("Containers.Create", container={"id": "c3", "runtime": {"name": "io.containerd.no.v1"}, "spec": SPEC})

    with pytest.raises(GRPCError) as error:
        await client("Tasks.Create", container_id="c3")
    await client("Containers.Delete", id="c3")

    assert error.value.status is Status.UNKNOWN
    assert error.value.message == (
        'failed to start shim: failed to resolve runtime path: runtime "io.containerd.no.v1" binary not installed '
        '"containerd-shim-no-v1": file does not exist'
    )

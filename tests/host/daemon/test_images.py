"""Images under bad luck: kill -9 in the middle of a pull, clients that leave, connections that break, two at once."""

import gzip
import os

import pytest

from tests.host.daemon.conftest import ImageStack
from tests.host.daemon.stacks import UnixConnection
from tests.registries import FakeRegistry, Image, build, busybox_layer, layer_of

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def image() -> Image:
    """Three layers, the first of which is large enough to be stopped in the middle."""
    return build(busybox_layer(name=b"whole"), layer_of({"data": os.urandom(300_000)}), layer_of({"etc/top": b"top"}))


def begin_pull(image_stack: ImageStack, fake_registry: FakeRegistry) -> UnixConnection:
    """Start a pull and return once the registry has stopped in the middle of a layer."""
    fake_registry.paused.clear()
    connection = UnixConnection(image_stack.socket)
    connection.request("POST", f"/images/create?fromImage={fake_registry.host}/x&tag=1")
    fake_registry.paused.wait()
    return connection


@pytest.mark.parametrize("victims", ["daemon", "containerd", "both"])
@pytest.mark.parametrize("at", [0, 250_000])
def test_pull_that_was_killed_leaves_nothing_and_can_be_done_again(
    image_stack: ImageStack, fake_registry: FakeRegistry, image: Image, victims: str, at: int
) -> None:
    """kill -9 while layers come: no image, no half of one; and then the whole."""
    fake_registry.images["x:1"] = image
    before = image_stack.store()
    fake_registry.pause_at = at
    connection = begin_pull(image_stack, fake_registry)

    if victims in ("containerd", "both"):
        image_stack.kill_containerd()
    if victims in ("daemon", "both"):
        image_stack.kill()
    if victims in ("containerd", "both"):
        image_stack.start_containerd()
    fake_registry.pause_at = -1
    fake_registry.go_on.set()
    if victims in ("daemon", "both"):
        image_stack.start()
        assert image_stack.store() == before  # the new daemon lets go of what the old one held
    connection.close()

    assert f"{fake_registry.host}/x:1" not in image_stack.tags()
    assert image_stack.pull(f"{fake_registry.host}/x") == ""
    image_stack.run(
        "whole", "cat /etc/name", Image=f"{fake_registry.host}/x:1", Cmd=["sh", "-c", "cat /etc/name /etc/top"]
    )
    assert b"wholetop" in image_stack.logs("whole")
    assert image_stack.ask("POST", "/containers/whole/wait")[0] == 200
    assert image_stack.ask("DELETE", "/containers/whole") == (204, None)
    assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/x:1")[0] == 200
    assert image_stack.store() == before


@pytest.mark.parametrize("line", range(2, 15, 4))
def test_pull_that_was_killed_between_its_steps_leaves_nothing(
    image_stack: ImageStack, fake_registry: FakeRegistry, image: Image, line: int
) -> None:
    """kill -9 of both right after some line of progress: downloading, unpacking, naming."""
    fake_registry.images["x:1"] = image
    before = image_stack.store()
    connection = UnixConnection(image_stack.socket)
    connection.request("POST", f"/images/create?fromImage={fake_registry.host}/x&tag=1")
    reply = connection.getresponse()
    for _ in range(line):
        reply.readline()

    image_stack.kill()
    image_stack.kill_containerd()
    image_stack.start_containerd()
    image_stack.start()
    connection.close()

    finished = f"{fake_registry.host}/x:1" in image_stack.tags()
    assert finished or image_stack.store() == before
    assert image_stack.pull(f"{fake_registry.host}/x") == ""
    assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/x:1")[0] == 200
    assert image_stack.store() == before


def test_client_that_leaves_gives_its_pull_up(
    image_stack: ImageStack, fake_registry: FakeRegistry, image: Image
) -> None:
    """Ctrl-C of `docker pull`; what has come by then is not asked for again by the next one, if that comes at once."""
    fake_registry.images["x:1"] = image
    before = image_stack.store()
    fake_registry.pause_at = 100_000
    connection = begin_pull(image_stack, fake_registry)

    connection.close()
    while image_stack.store() != before:
        os.sched_yield()
    fake_registry.pause_at = -1
    fake_registry.go_on.set()

    assert f"{fake_registry.host}/x:1" not in image_stack.tags()


def test_two_pulls_of_one_image_fetch_it_once(
    image_stack: ImageStack, fake_registry: FakeRegistry, image: Image
) -> None:
    """The second waits for the first, and has the image when it is there."""
    fake_registry.images["x:1"] = image
    fake_registry.pause_at = 100_000
    first = begin_pull(image_stack, fake_registry)
    second = UnixConnection(image_stack.socket)
    second.request("POST", f"/images/create?fromImage={fake_registry.host}/x&tag=1")
    while fake_registry.asked.count(fake_registry.asked[0]) < 2:  # the second has begun, too
        os.sched_yield()

    fake_registry.go_on.set()
    said = [connection.getresponse().read() for connection in (first, second)]
    for connection in (first, second):
        connection.close()

    assert [b"errorDetail" in one for one in said] == [False, False]
    paths = [path for path, _ in fake_registry.asked if path.endswith(tuple(image.layers()))]
    assert sorted(paths) == sorted(set(paths))
    assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/x:1")[0] == 200


def test_layers_are_kept_for_a_pull_while_their_image_is_removed(
    image_stack: ImageStack, fake_registry: FakeRegistry, image: Image
) -> None:
    """An image of the same layers goes while the new one is still coming."""
    layers = [gzip.decompress(image.blobs[digest]) for digest in image.layers()]
    fake_registry.images |= {"x:1": build(*layers[:1]), "y:1": image}
    assert image_stack.pull(f"{fake_registry.host}/x") == ""
    fake_registry.pause_at = 100_000
    fake_registry.paused.clear()
    connection = UnixConnection(image_stack.socket)
    connection.request("POST", f"/images/create?fromImage={fake_registry.host}/y&tag=1")
    fake_registry.paused.wait()

    assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/x:1")[0] == 200
    fake_registry.pause_at = -1
    fake_registry.go_on.set()
    lines = connection.getresponse().read().splitlines()
    connection.close()

    assert b"Downloaded newer image" in lines[-1]
    assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/y:1")[0] == 200


def test_broken_connection_is_taken_up_where_it_broke(
    image_stack: ImageStack, fake_registry: FakeRegistry, image: Image
) -> None:
    """The rest of a layer is asked for, not the whole."""
    fake_registry.images["x:1"] = image
    large = image.layers()[1]
    fake_registry.pause_at, fake_registry.hang_up = 200_000, True
    connection = begin_pull(image_stack, fake_registry)
    ingests = image_stack.folder / "cr" / "io.containerd.content.v1.content" / "ingest"
    while sum(data.stat().st_size > 100_000 for data in ingests.glob("*/data")) < 2:  # the first layer stops, too
        os.sched_yield()

    fake_registry.pause_at = -1
    fake_registry.go_on.set()
    lines = connection.getresponse().read().splitlines()
    connection.close()

    assert b"Downloaded newer image" in lines[-1]
    first, second = [headers.get("Range") for path, headers in fake_registry.asked if path.endswith(large)]
    assert first is None
    assert 100_000 < int(str(second).removeprefix("bytes=").removesuffix("-")) <= 200_000
    assert image_stack.ask("DELETE", f"/images/{fake_registry.host}/x:1")[0] == 200

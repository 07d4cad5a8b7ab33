"""`--link` on the built-in stack, where the docker CLI's scripts do not reach."""

import pytest

from tests.host.daemon.stacks import Stack

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.usefixtures("clean")]


def test_link_to_a_ring_of_shared_networks_is_refused(stack: Stack) -> None:
    """`container:NAME` is a matter of names, so a container may name itself; the daemon goes on answering."""
    body = {"Image": "hostbox", "HostConfig": {"NetworkMode": "container:ring"}}
    assert 201 == stack.ask("POST", "/containers/create?name=ring", body)[0]

    status, reply = stack.ask("POST", "/containers/create", {"Image": "hostbox", "HostConfig": {"Links": ["ring:x"]}})

    assert (400, "could not get container for ring: it shares its own network") == (status, reply["message"])
    assert 200 == stack.ask("GET", "/version")[0]

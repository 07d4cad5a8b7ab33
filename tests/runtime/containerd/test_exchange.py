"""The event exchange."""

import pytest
from google.protobuf.any_pb2 import Any

from runtime.api.containerd import events_pb2
from runtime.api.containerd.events_service_pb2 import Envelope
from runtime.containerd import clock
from runtime.containerd.errors import InvalidArgumentError
from runtime.containerd.exchange import Exchange


async def test_subscribers_see_all_events_in_one_order() -> None:
    """Two subscribers get the same events in the order of publishing."""
    exchange = Exchange()
    one, two = exchange.subscribe([]), exchange.subscribe([])

    for name in ("a", "b", "c"):
        exchange.publish("ns", "/containers/delete", events_pb2.ContainerDelete(id=name))
    first = [(await anext(one)).event.value for _ in range(3)]
    second = [(await anext(two)).event.value for _ in range(3)]

    assert first == second == [events_pb2.ContainerDelete(id=name).SerializeToString() for name in ("a", "b", "c")]


@pytest.mark.parametrize(
    "text",
    ["namespace==blue", 'topic=="/tasks/exit",namespace==blue', "event.container_id==c2", 'topic~="^/tasks/"'],
)
async def test_filter_lets_through_what_it_names(text: str) -> None:
    """Fields of the envelope and, after `event.`, of the message inside can be asked for."""
    exchange = Exchange()
    subscription = exchange.subscribe([text])

    exchange.publish("red", "/containers/delete", events_pb2.ContainerDelete(id="c1"))
    exchange.publish("blue", "/tasks/exit", events_pb2.TaskExit(container_id="c2", exit_status=3))
    envelope = await anext(subscription)

    assert (envelope.namespace, envelope.topic) == ("blue", "/tasks/exit")
    assert envelope.event.type_url == "containerd.events.TaskExit"


async def test_closed_subscription_gets_nothing_more() -> None:
    """A subscriber that has left is forgotten."""
    exchange = Exchange()
    subscription = exchange.subscribe([])

    await subscription.aclose()
    exchange.publish("ns", "/containers/delete", events_pb2.ContainerDelete(id="x"))

    assert not subscription._queue


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(),
        Envelope(namespace="ns", topic="/a"),
        Envelope(namespace="ns", topic="a", timestamp=clock.now()),
        Envelope(namespace="ns", topic="/a//b", timestamp=clock.now()),
        Envelope(namespace="n/s", topic="/a", timestamp=clock.now()),
    ],
)
async def test_envelope_with_a_fault_is_refused(envelope: Envelope) -> None:
    """No event without namespace, topic and time goes round."""
    with pytest.raises(InvalidArgumentError):
        Exchange().forward(envelope)


async def test_event_of_unknown_type_goes_round_all_the_same() -> None:
    """An event that nobody here can read is passed on; a filter on its fields does not match it."""
    exchange = Exchange()
    everything, picky = exchange.subscribe([]), exchange.subscribe(["event.id==x"])

    exchange.publish_packed("ns", "/strange", Any(type_url="who.knows", value=b"\xff"))
    exchange.publish_packed("ns", "/broken", Any(type_url="containerd.events.TaskExit", value=b"\xff"))

    assert [(await anext(everything)).topic for _ in range(2)] == ["/strange", "/broken"]
    assert not picky._queue

"""Subscribe, publish and forward events.

Real counterpart: containerd `services/events/service.go`; the exchange does the work.
"""

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty

from runtime.api.containerd import events_service_pb2
from runtime.api.containerd.events_service_pb2 import Envelope
from runtime.containerd.exchange import Exchange
from runtime.containerd.server import Call


class EventsService:
    """`ctr events`, dockerd's and our daemon's subscription, and `containerd publish`."""

    descriptor = events_service_pb2.DESCRIPTOR.services_by_name["Events"]

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def subscribe(self, call: Call, request: events_service_pb2.SubscribeRequest) -> AsyncIterator[Envelope]:
        # No namespace needed: without a filter a subscriber hears all of them.
        return self._exchange.subscribe(request.filters)

    async def publish(self, call: Call, request: events_service_pb2.PublishRequest) -> Empty:
        self._exchange.publish_packed(call.namespace, request.topic, request.event)
        return Empty()

    async def forward(self, call: Call, request: events_service_pb2.ForwardRequest) -> Empty:
        self._exchange.forward(request.envelope)
        return Empty()

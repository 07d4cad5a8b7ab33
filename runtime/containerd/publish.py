"""`containerd publish`: report one event from a command line.

Real counterpart: containerd `cmd/containerd/command/publish.go`.
"""

import sys

from google.protobuf.any_pb2 import Any
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.exceptions import GRPCError, StreamTerminatedError

from runtime.api.containerd.events_service_pb2 import PublishRequest

_METHOD = "/containerd.services.events.v1.Events/Publish"


async def publish(address: str, namespace: str, topic: str, event: bytes) -> int:
    """Send the event and return the exit status."""
    channel = Channel(path=address)
    try:
        request = PublishRequest(topic=topic, event=Any.FromString(event))
        method: UnaryUnaryMethod[PublishRequest, Empty] = UnaryUnaryMethod(channel, _METHOD, PublishRequest, Empty)
        await method(request, metadata={"containerd-namespace": namespace})
    except DecodeError:
        sys.stderr.write("containerd: publish: stdin holds no serialized Any\n")
        return 1
    except GRPCError as error:
        sys.stderr.write(f"containerd: publish: {error.message}\n")
        return 1
    except (OSError, StreamTerminatedError) as error:
        sys.stderr.write(f"containerd: publish: {address}: {error}\n")
        return 1
    finally:
        channel.close()
    return 0

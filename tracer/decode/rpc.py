"""What gRPC and ttrpc have in common once their framing is off: a method, a message, and the events inside.

containerd's events travel inside calls: a shim reports them by `Events/Forward` (ttrpc), clients get them from
`Events/Subscribe` (a gRPC stream). Each envelope that passes is shown once more as what it is: a `containerd-event`.
"""

from google.protobuf.message import Message

from tracer.decode import protobufs
from tracer.decode.message import Decoded, bounded, flatten
from tracer.events import Direction, Scalar


def decoded(
    protocol: str,
    path: str,
    direction: Direction,
    data: bytes,
    calls: tuple[int, ...],
    extra: dict[str, Scalar],
) -> list[Decoded]:
    """One message of a call, and the containerd event that it may carry."""
    method = protobufs.method(path)
    title = method.title if method is not None else protobufs.short_title(path)
    fields: dict[str, Scalar] = {"method": title, "service": path.strip("/").rpartition("/")[0], **extra}
    if method is None:
        return [Decoded(protocol, direction, title, {**fields, "bytes": len(data)}, f"[{len(data)} bytes]", calls)]
    asks = direction == "request"
    streaming = method.streams_requests if asks else method.streams_responses
    message = protobufs.parse(method.request if asks else method.response, data)
    if message is None:
        return [Decoded(protocol, direction, title, {**fields, "bytes": len(data)}, "[not protobuf]", calls)]
    value = protobufs.plain(message)
    body: dict[str, Scalar] = {}
    flatten(value, body)
    shown: Direction = "data" if streaming and not asks else direction
    found = [Decoded(protocol, shown, title, {**body, **fields}, bounded(protobufs.as_json(value)), calls)]
    event = _event(method.title, message)
    if event is not None:
        found.append(event._replace(calls=calls))
    return found


def empty(protocol: str, path: str, calls: tuple[int, ...], extra: dict[str, Scalar]) -> Decoded:
    """A stream of answers that ended well before the first."""
    title = protobufs.short_title(path)
    fields: dict[str, Scalar] = {"method": title, "service": path.strip("/").rpartition("/")[0], **extra, "status": 0}
    return Decoded(protocol, "response", title, fields, "[no messages]", calls)


def failed(
    protocol: str, path: str, code: int, reason: str, calls: tuple[int, ...], extra: dict[str, Scalar]
) -> Decoded:
    """A call that ended with an error status."""
    title = protobufs.short_title(path)
    name = STATUS[code] if 0 <= code < len(STATUS) else str(code)
    fields: dict[str, Scalar] = {"method": title, "service": path.strip("/").rpartition("/")[0], **extra}
    fields |= {"status": code, "error": reason}
    return Decoded(protocol, "response", f"{title}: {name}", fields, reason, calls)


STATUS = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""gRPC's status codes, which ttrpc shares."""


def _event(title: str, message: Message) -> Decoded | None:
    if title not in ("Events/Forward", "Events/Subscribe", "Events/Publish"):
        return None
    envelope = getattr(message, "envelope", message)
    if not hasattr(envelope, "topic"):
        return None  # a SubscribeRequest, an Empty
    value = protobufs.plain(envelope)
    event = value.get("event")
    fields: dict[str, Scalar] = {}
    flatten(event, fields)
    fields |= {"topic": envelope.topic, "namespace": getattr(envelope, "namespace", "")}
    return Decoded("containerd-event", "event", envelope.topic, fields, protobufs.as_json(value), ())

"""containerd's protobuf messages as plain values: by method, by type name, with what they wrap unpacked.

The descriptors are `runtime.api.containerd`, which carry containerd's own names and field numbers; a field that they do
not know is not shown. Fields keep their proto names (`container_id`), and what is zero is absent, as on the wire.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from runtime.api.containerd import (
    containers_pb2,
    content_pb2,
    diff_pb2,
    events_pb2,
    events_service_pb2,
    events_ttrpc_pb2,
    image_events_pb2,
    images_pb2,
    introspection_pb2,
    leases_pb2,
    namespaces_pb2,
    runc_options_pb2,
    snapshots_pb2,
    task_shim_pb2,
    tasks_pb2,
    ttrpc_pb2,
    types_pb2,
    version_pb2,
)

_MODULES = (
    *(containers_pb2, content_pb2, diff_pb2, events_pb2, events_service_pb2, events_ttrpc_pb2, image_events_pb2),
    *(images_pb2, introspection_pb2, leases_pb2, namespaces_pb2, runc_options_pb2, snapshots_pb2, task_shim_pb2),
    *(tasks_pb2, ttrpc_pb2, types_pb2, version_pb2),
)
_BYTES_SHOWN = 256


class Method(NamedTuple):
    """A method of a service: what it takes and what it answers."""

    service: str
    """`containerd.services.tasks.v1.Tasks`."""
    title: str
    """`Tasks/Create`."""
    request: type[Message]
    response: type[Message]
    streams_requests: bool
    streams_responses: bool


def _methods() -> dict[str, Method]:
    found: dict[str, Method] = {}
    for module in _MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                found[f"/{service.full_name}/{method.name}"] = Method(
                    service.full_name,
                    f"{service.name}/{method.name}",
                    GetMessageClass(method.input_type),
                    GetMessageClass(method.output_type),
                    method.client_streaming,
                    method.server_streaming,
                )
    return found


def _types() -> dict[str, type[Message]]:
    return {
        message.full_name: GetMessageClass(message)
        for module in _MODULES
        for message in module.DESCRIPTOR.message_types_by_name.values()
    }


_METHODS = _methods()
_TYPES = _types()


def method(path: str) -> Method | None:
    """The method of a gRPC path or of `/SERVICE/METHOD` of ttrpc, None for one that is not containerd's."""
    return _METHODS.get(path)


def short_title(path: str) -> str:
    """`Tasks/Create` of `/containerd.services.tasks.v1.Tasks/Create`, known or not."""
    service, _, name = path.strip("/").rpartition("/")
    return f"{service.rpartition('.')[2]}/{name}"


def parse(kind: type[Message], data: bytes) -> Message | None:
    """The message, or None where the bytes are none."""
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return None
    return message


def plain(message: Message) -> dict[str, object]:
    """The fields that are set, as JSON's types."""
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def as_json(value: Mapping[str, object]) -> str:
    """A body for people."""
    return json.dumps(value, ensure_ascii=False, indent=1)


def _field(field: FieldDescriptor, value: Any) -> object:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        item = field.message_type.fields_by_name["value"]
        return {str(key): _single(item, entry) for key, entry in value.items()}
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> object:
    if field.message_type is not None:
        name = field.message_type.full_name
        if name == "google.protobuf.Any":
            return any_value(value.type_url, value.value)
        if name == "google.protobuf.Timestamp":
            return _time(value.seconds, value.nanos)
        if name == "google.protobuf.FieldMask":
            return ",".join(value.paths)
        return plain(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    return value


def any_value(type_url: str, value: bytes) -> object:
    """An Any: protobuf where its type is known, JSON where it is that (specs are), else its size."""
    known = _TYPES.get(type_url.rpartition("/")[2])
    message = parse(known, value) if known is not None else None
    if message is not None:
        return {"@type": type_url, **plain(message)}
    if value[:1] == b"{":
        try:
            return {"@type": type_url, **json.loads(value)}
        except (ValueError, RecursionError, TypeError):
            pass  # it only begins like JSON
    return {"@type": type_url, "value": _bytes(value)}


def _bytes(value: bytes) -> str:
    if len(value) > _BYTES_SHOWN:
        return f"[{len(value)} bytes]"
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii")
    return text if text.isprintable() else base64.b64encode(value).decode("ascii")


def _time(seconds: int, nanos: int) -> str:
    try:
        stamp = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{seconds}.{nanos:09d}"
    return f"{stamp}.{nanos:09d}Z" if nanos else f"{stamp}Z"

"""From what the kernel reported to what it means: system calls in, messages and actions out.

    SyscallExited --> files: a socket?  --> endpoint --> http1 | grpc | ttrpc --> MessageSeen
                             netlink?   --> netlink                           --> MessageSeen, ActionSeen
                             stdio?     --> stdio                             --> MessageSeen
                  --> the call itself   --> actions                           --> ActionSeen

The pipeline is fed by the engine's loop, call by call, and answers at once: a stage may hold the process that made the
call. It is pure (no files, no sockets, no clock), so the same recording gives the same messages on any machine.
"""

from collections.abc import Mapping

from tracer.decode.actions import ActionFold
from tracer.decode.endpoint import Endpoint
from tracer.decode.message import Decoded
from tracer.decode.netlink import Netlink
from tracer.decode.stdio import piece
from tracer.decode.streams import Connections, OpenFile, open_file
from tracer.events import (
    ActionSeen,
    Event,
    MessageSeen,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    Side,
    SyscallExited,
)
from tracer.stages.layers import LayerFold

_TRANSFERS: dict[str, Side] = {
    "read": "received",
    "readv": "received",
    "recvfrom": "received",
    "recvmsg": "received",
    "write": "sent",
    "writev": "sent",
    "sendto": "sent",
    "sendmsg": "sent",
}
_MSG_PEEK = 2
_ENDPOINTS_KEPT = 4096


class Pipeline:
    """The fold over a recording. Feed it process events, and the calls whose numbers are in its two sets."""

    entry_numbers: frozenset[int]
    """Calls whose SyscallEntered must be fed: none, decoding needs results."""
    exit_numbers: frozenset[int]
    """Calls whose SyscallExited must be fed."""

    def __init__(self, syscall_names: Mapping[int, str]) -> None:
        self._layers = LayerFold()
        self._actions = ActionFold(syscall_names, self._layers)
        self._sides = {number: _TRANSFERS[name] for number, name in syscall_names.items() if name in _TRANSFERS}
        self._flags = {
            number: {"recvfrom": 3, "recvmsg": 2}[name]
            for number, name in syscall_names.items()
            if name in ("recvfrom", "recvmsg")
        }
        """Where the flags of a receiving call are."""
        self._endpoints: dict[str, Endpoint] = {}
        self._netlinks: dict[str, Netlink] = {}
        self._connections = Connections()
        self.entry_numbers = frozenset()
        self.exit_numbers = self._actions.exit_numbers | frozenset(self._sides)
        self.undecoded = 0
        """Bytes of sockets whose protocol is not known, or whose place in it was lost."""

    def feed(self, sequence: int, event: Event) -> list[Event]:
        """The messages and actions that this event completes, in order."""
        if isinstance(event, SyscallExited):
            found: list[Event] = []
            side = self._sides.get(event.number)
            if side is not None and event.result > 0:
                found += self._transferred(sequence, event, side)
            if event.number in self._actions.exit_numbers:
                for action in self._actions.feed(sequence, event):
                    self._layers.feed(action)
                    found.append(action)
            return found
        if isinstance(event, ProcessForked | ProcessExecuted | ProcessExited):
            self._layers.feed(event)
        return []

    def _transferred(self, sequence: int, event: SyscallExited, side: Side) -> list[Event]:
        text = event.files.get(0)
        if text is None:
            return []
        file = open_file(text)
        if file.kind == "socket":
            return self._socket(sequence, event, side, file)
        if file.kind == "netlink":
            return self._netlink(sequence, event, side, file)
        fd = event.arguments[0] & 0xFFFFFFFF
        if file.kind == "file" and fd > 2:
            return []
        pid = self._layers.pid_of(event.tid)
        data = event.data.get("1") or b""
        decoded = piece(self._layers.layer_of(pid), fd, file, side, data, sequence)
        if decoded is None:
            return []
        kind = file.kind if file.kind != "file" or not file.path.startswith("/dev/") else "device"
        return [_seen(event, pid, f"{kind}:{file.key}", side, decoded)]

    def _netlink(self, sequence: int, event: SyscallExited, side: Side, file: OpenFile) -> list[Event]:
        if self._peeks(event):
            return []
        if len(self._netlinks) >= _ENDPOINTS_KEPT:
            del self._netlinks[next(iter(self._netlinks))]
        netlink = self._netlinks.setdefault(file.key, Netlink())
        pid = self._layers.pid_of(event.tid)
        found: list[Event] = []
        for decoded, intent in netlink.feed(side, event.data.get("1") or b"", sequence):
            found.append(_seen(event, pid, f"netlink:{file.key}", side, decoded))
            if intent is not None:
                found.append(ActionSeen(event.time_ns, event.tid, pid, intent.action, intent.fields, decoded.calls))
        return found

    def _peeks(self, event: SyscallExited) -> bool:
        """Whether the same bytes will be read once more."""
        flags_at = self._flags.get(event.number)
        return flags_at is not None and bool(event.arguments[flags_at] & _MSG_PEEK)

    def _socket(self, sequence: int, event: SyscallExited, side: Side, file: OpenFile) -> list[Event]:
        if self._peeks(event):
            return []
        endpoint = self._endpoints.get(file.key)
        if endpoint is None:
            if len(self._endpoints) >= _ENDPOINTS_KEPT:
                del self._endpoints[next(iter(self._endpoints))]
            endpoint = self._endpoints[file.key] = Endpoint()
        data = event.data.get("1") or b""
        missing = event.result - len(data)
        found = [] if endpoint.lost else endpoint.feed(side, data[: event.result], max(missing, 0), sequence)
        if endpoint.lost:
            self.undecoded += event.result
        if not found:
            return []
        pid = self._layers.pid_of(event.tid)
        connection = self._connections.name(file)
        return [_seen(event, pid, connection, each, decoded) for each, decoded in found]


def _seen(event: SyscallExited, pid: int, connection: str, side: Side, decoded: Decoded) -> MessageSeen:
    return MessageSeen(
        event.time_ns,
        event.tid,
        pid,
        connection,
        decoded.protocol,
        decoded.direction,
        side,
        decoded.title,
        decoded.fields,
        decoded.body,
        decoded.calls,
    )

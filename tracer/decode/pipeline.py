"""From what the kernel reported to what it means: system calls in, messages and actions out.

    SyscallExited --> files: a socket?  --> endpoint --> http1 | grpc | ttrpc --> MessageSeen
                             netlink?   --> netlink                           --> MessageSeen, ActionSeen
                             stdio?     --> stdio                             --> MessageSeen
                  --> the call itself   --> actions                           --> ActionSeen

The pipeline is fed by the engine's loop, call by call, and answers at once: a stage may hold the process that made the
call. It is pure (no files, no sockets, no clock), so the same recording gives the same messages on any machine.
"""

import errno
from collections.abc import Mapping

from tracer.decode.actions import ActionFold
from tracer.decode.endpoint import Endpoint
from tracer.decode.message import Decoded
from tracer.decode.netlink import Done, Netlink
from tracer.decode.stdio import pieces
from tracer.decode.streams import Connections, OpenFile, open_file
from tracer.events import (
    ActionSeen,
    Event,
    MessageSeen,
    NoteMade,
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
_MOVES: dict[str, tuple[tuple[int, Side], ...]] = {
    "splice": ((0, "received"), (2, "sent")),
    "copy_file_range": ((0, "received"), (2, "sent")),
    "sendfile": ((1, "received"), (0, "sent")),
    "tee": ((1, "sent"),),  # what it copies stays in the first pipe, and will be read there
    "vmsplice": ((0, "sent"),),
}
"""Calls that move bytes from descriptor to descriptor without showing them to anybody: which arguments these are."""
_SEVERAL: dict[str, Side] = {"recvmmsg": "received", "sendmmsg": "sent"}
_MSG_PEEK = 2
_ENDPOINTS_KEPT = 4096


class Pipeline:
    """The fold over a recording. Feed it process events, and the calls whose numbers are in its two sets."""

    entry_numbers: frozenset[int]
    """Calls whose SyscallEntered must be fed: none, decoding needs results."""
    exit_numbers: frozenset[int]
    """Calls whose SyscallExited must be fed."""

    def __init__(self, syscall_names: Mapping[int, str], machine: str = "x86_64") -> None:
        self._layers = LayerFold()
        self._actions = ActionFold(syscall_names, self._layers, machine)
        self._sides = {number: _TRANSFERS[name] for number, name in syscall_names.items() if name in _TRANSFERS}
        self._moves = {number: _MOVES[name] for number, name in syscall_names.items() if name in _MOVES}
        self._several = {number: _SEVERAL[name] for number, name in syscall_names.items() if name in _SEVERAL}
        self._rings = frozenset(number for number, name in syscall_names.items() if name == "io_uring_setup")
        self._flags = {
            number: {"recvfrom": 3, "recvmsg": 2, "recvmmsg": 3}[name]
            for number, name in syscall_names.items()
            if name in ("recvfrom", "recvmsg", "recvmmsg")
        }
        """Where the flags of a receiving call are."""
        self._endpoints: dict[str, Endpoint] = {}
        self._netlinks: dict[str, Netlink] = {}
        self._waiting: dict[int, set[str]] = {}
        """Process -> its netlink sockets with requests whose end is not known."""
        self._connections = Connections()
        self.entry_numbers = frozenset()
        self.exit_numbers = self._actions.exit_numbers.union(self._sides, self._moves, self._several, self._rings)
        self.undecoded = 0
        """Bytes of sockets whose protocol is not known, or whose place in it was lost."""

    def feed(self, sequence: int, event: Event) -> list[Event]:
        """The messages and actions that this event completes, in order."""
        if isinstance(event, SyscallExited):
            found: list[Event] = []
            side = self._sides.get(event.number)
            if side is not None:
                if event.result > 0:
                    data = (event.data.get("1") or b"")[: event.result]
                    found += self._transferred(sequence, event, 0, side, data, event.result - len(data))
                elif event.result == -errno.EAGAIN and side == "received":
                    found += self._settled(event, self._netlinks.get(open_file(event.files.get(0, "")).key))
            elif event.result >= 0:
                found += self._unusual(sequence, event)
            if event.number in self._actions.exit_numbers:
                for action in self._actions.feed(sequence, event):
                    self._layers.feed(action)
                    found.append(action)
            return found
        if isinstance(event, ProcessForked | ProcessExecuted | ProcessExited):
            found = self._left(event)
            self._layers.feed(event)
            return found
        return []

    def _unusual(self, sequence: int, event: SyscallExited) -> list[Event]:
        """Transfers that are not one buffer of one descriptor."""
        found: list[Event] = []
        if event.result > 0:
            for place, side in self._moves.get(event.number, ()):
                found += self._transferred(sequence, event, place, side, b"", event.result)
        several = self._several.get(event.number)
        if several is not None:
            for message in range(event.result):
                data = event.data.get(f"1.{message}") or b""
                length = int(event.data.get(f"1.{message}.length") or b"0")
                found += self._transferred(sequence, event, 0, several, data[:length], max(length - len(data), 0))
        if event.number in self._rings:
            text = "uses io_uring: what it reads and writes that way is not seen, and not decoded"
            found.append(self._note(event, "io-uring", f"process {self._layers.pid_of(event.tid)} {text}"))
        return found

    def _transferred(
        self, sequence: int, event: SyscallExited, place: int, side: Side, data: bytes, missing: int
    ) -> list[Event]:
        """Bytes of the descriptor in this argument; after them come `missing` ones that were not seen."""
        text = event.files.get(place)
        if text is None:
            return []
        file = open_file(text)
        if file.kind == "socket":
            return self._socket(sequence, event, side, file, data, missing)
        if file.kind == "netlink":
            return self._netlink(sequence, event, side, file, data)
        fd = event.arguments[place] & 0xFFFFFFFF
        if file.kind == "file" and fd > 2:
            return []
        pid = self._layers.pid_of(event.tid)
        kind = file.kind if file.kind != "file" or not file.path.startswith("/dev/") else "device"
        found = pieces(self._layers.layer_of(pid), fd, file, side, data, missing, sequence)
        return [_seen(event, pid, f"{kind}:{file.key}", side, decoded) for decoded in found]

    def _netlink(self, sequence: int, event: SyscallExited, side: Side, file: OpenFile, data: bytes) -> list[Event]:
        if self._peeks(event):
            return []
        if len(self._netlinks) >= _ENDPOINTS_KEPT:
            del self._netlinks[next(iter(self._netlinks))]
        netlink = self._netlinks.setdefault(file.key, Netlink(file.protocol))
        pid = self._layers.pid_of(event.tid)
        found: list[Event] = []
        for each in netlink.feed(side, data, sequence):
            if isinstance(each, Done):
                found.append(_done(event, pid, each))
            else:
                found.append(_seen(event, pid, f"netlink:{file.key}", side, each))
        if netlink.is_waiting:
            self._waiting.setdefault(pid, set()).add(file.key)
        return found

    def _left(self, event: ProcessForked | ProcessExecuted | ProcessExited) -> list[Event]:
        """A process that ends, or begins another program, reads no error any more, and finishes nothing."""
        if isinstance(event, ProcessForked) or (isinstance(event, ProcessExited) and event.tid != event.pid):
            return []
        self._actions.forget(event.tid)
        keys = sorted(self._waiting.pop(event.tid, ()))
        return [action for key in keys for action in self._settled(event, self._netlinks.get(key))]

    def _settled(self, event: SyscallExited | ProcessExecuted | ProcessExited, netlink: Netlink | None) -> list[Event]:
        """What the kernel has done, if no error has come by now."""
        pid = self._layers.pid_of(event.tid)
        return [_done(event, pid, done) for done in netlink.settled()] if netlink is not None else []

    def _peeks(self, event: SyscallExited) -> bool:
        """Whether the same bytes will be read once more."""
        flags_at = self._flags.get(event.number)
        return flags_at is not None and bool(event.arguments[flags_at] & _MSG_PEEK)

    def _socket(
        self, sequence: int, event: SyscallExited, side: Side, file: OpenFile, data: bytes, missing: int
    ) -> list[Event]:
        if self._peeks(event):
            return []
        endpoint = self._endpoints.get(file.key)
        if endpoint is None:
            if len(self._endpoints) >= _ENDPOINTS_KEPT:
                del self._endpoints[next(iter(self._endpoints))]
            endpoint = self._endpoints[file.key] = Endpoint()
        if endpoint.lost:
            self.undecoded += len(data) + missing
            return []
        decoded_ones = endpoint.feed(side, data, missing, sequence)
        if not decoded_ones and not endpoint.lost:
            return []
        pid = self._layers.pid_of(event.tid)
        connection = self._connections.name(file)
        found: list[Event] = [_seen(event, pid, connection, each, decoded) for each, decoded in decoded_ones]
        if endpoint.lost:
            self.undecoded += len(data) + missing
            if endpoint.recognised:
                text = f"what process {pid} says and hears on {connection} is not decoded from here on: {endpoint.lost}"
                found.append(self._note(event, "lost", text))
        return found

    def _note(self, event: SyscallExited, topic: str, text: str) -> NoteMade:
        return NoteMade(event.time_ns, topic, text, {"pid": self._layers.pid_of(event.tid)})


def _done(event: SyscallExited | ProcessExecuted | ProcessExited, pid: int, done: Done) -> ActionSeen:
    return ActionSeen(event.time_ns, event.tid, pid, done.intent.action, done.intent.fields, done.calls)


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

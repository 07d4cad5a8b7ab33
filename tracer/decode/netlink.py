"""Netlink: how network devices, addresses, routes and packet filters are made, by messages to the kernel.

    | length | type | flags | sequence | port |  family header  | attribute: length, type, value | ...

rtnetlink(7), netlink(7); counterparts: iproute2's `ip monitor`, pyroute2. What a request amounts to (a link, a
route) is told when it is certain. NLM_F_ACK asks for an answer: NLMSG_ERROR, with 0 for success. Without it only
failure is answered, and that answer is in the socket before the request's call returns: so it was done if the socket is
used again, has nothing to say, or is given up, with no error read. A batch of nfnetlink is done as a whole or not.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tracer.decode import errnos, netlink_fields
from tracer.decode.call import Intent
from tracer.decode.message import Decoded
from tracer.events import Side

_HEADER = struct.Struct("<IHHII")
_ERROR = 2
_F_ACK = 0x4
_BATCH_BEGIN, _BATCH_END = "NFNL_MSG_BATCH_BEGIN", "NFNL_MSG_BATCH_END"
_ASKED_KEPT = 1024


class Done(NamedTuple):
    """What the kernel has done, and the calls that asked for it and learnt of it."""

    intent: Intent
    calls: tuple[int, ...]


class _Request(NamedTuple):
    number: int
    """Its sequence number: not always its own, for a batch may give the same to all."""
    title: str
    intent: Intent | None
    call: int
    wants_answer: bool
    """It asks for an answer whatever comes of it, and has none yet."""
    batch: int
    """The batch that it is in; 0 for none."""


class Netlink:
    """One socket's conversation with the kernel."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._asked: dict[int, _Request] = {}
        """In the order in which they were sent."""
        self._count = 0
        self._batch = 0
        """The batch that is being sent; 0 outside of one."""
        self._batches = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a request may have been done that nothing has been told of."""
        return any(request.intent is not None for request in self._asked.values())

    def feed(self, side: Side, data: bytes, call: int) -> Iterator[Decoded | Done]:
        """The messages of one call (netlink never cuts one), and what is certain now."""
        if side == "sent":
            yield from self.settled()
            self._batch = 0
        place = 0
        while place + 16 <= len(data):
            length, kind, flags, number, _ = _HEADER.unpack_from(data, place)
            if length < 16:
                return
            payload = data[place + 16 : place + length]
            place += (length + 3) & ~3
            if side == "sent":
                yield self._request(kind, flags, number, payload, call)
            elif kind == _ERROR:
                yield from self._answer(number, payload, call)
            else:
                yield self._response(kind, payload, call)
                if number:  # 0: news of what others did
                    yield from self.settled()

    def settled(self) -> Iterator[Done]:
        """What was done though nobody asked for an answer: called when an error would have been read by now."""
        waited = {request.batch for request in self._asked.values() if request.wants_answer}
        for key, request in list(self._asked.items()):
            if request.wants_answer or (request.batch and request.batch in waited):
                continue
            del self._asked[key]
            if request.intent is not None:
                yield Done(request.intent, (request.call,))

    def _request(self, kind: int, flags: int, number: int, payload: bytes, call: int) -> Decoded:
        name, fields = netlink_fields.message(kind, payload, self._protocol)
        if name == _BATCH_BEGIN:
            self._batches += 1
            self._batch = self._batches
        title = netlink_fields.title(name, fields)
        intent = netlink_fields.intent(name, flags, fields)
        if len(self._asked) >= _ASKED_KEPT:
            del self._asked[next(iter(self._asked))]
        self._count += 1
        self._asked[self._count] = _Request(number, title, intent, call, bool(flags & _F_ACK), self._batch)
        if name == _BATCH_END:
            self._batch = 0
        return Decoded("netlink", "request", title, {"type": name, **fields}, "", (call,))

    def _response(self, kind: int, payload: bytes, call: int) -> Decoded:
        name, fields = netlink_fields.message(kind, payload, self._protocol)
        title = netlink_fields.title(name, fields)
        return Decoded("netlink", "response", title, {"type": name, **fields}, "", (call,))

    def _answer(self, number: int, payload: bytes, call: int) -> Iterator[Decoded | Done]:
        named = [key for key, one in self._asked.items() if one.number == number]
        waiting = [key for key in named if self._asked[key].wants_answer]
        key = (waiting or named or [0])[0]
        request = self._asked.pop(key, _Request(number, "", None, call, wants_answer=False, batch=0))
        error = -int.from_bytes(payload[:4], "little", signed=True)
        outcome = "done" if error == 0 else errnos.NAMES.get(error, str(error))
        title = f"{request.title}: {outcome}".lstrip(": ")
        yield Decoded("netlink", "response", title, {"type": "NLMSG_ERROR", "error": error}, "", (request.call, call))
        if request.batch:
            yield from self._batch_answered(key, request, call, failed=error != 0)
        elif error == 0 and request.intent is not None:
            yield Done(request.intent, (request.call, call))

    def _batch_answered(self, place: int, request: _Request, call: int, *, failed: bool) -> Iterator[Done]:
        """One failure undoes the whole batch, so success is certain only with the last answer."""
        self._asked[place] = request._replace(wants_answer=False)
        members = {key: one for key, one in self._asked.items() if one.batch == request.batch}
        if failed:
            self._asked |= {key: one._replace(intent=None) for key, one in members.items()}
        elif not any(one.wants_answer for one in members.values()):
            for key, one in sorted(members.items()):
                del self._asked[key]
                if one.intent is not None:
                    yield Done(one.intent, (one.call, call))

"""Questions and answers of the domain name system, as much as a container's name server says itself (RFC 1035).

    | id | flags | questions | answers | authorities | additionals |  question: name, type, class | answer ...

What is about other names is passed on as it came, unread. Counterpart: moby's use of github.com/miekg/dns.
"""

import ipaddress
import socket
import struct
from dataclasses import dataclass

A, PTR, AAAA = 1, 12, 28
NO_ERROR, FORMAT_ERROR, SERVER_FAILURE = 0, 1, 2
_HEADER = struct.Struct("!HHHHHH")
_RESPONSE, _RECURSION_DESIRED, _RECURSION_AVAILABLE, _OPCODE = 0x8000, 0x0100, 0x0080, 0x7800
_INTERNET = 1
_TTL_SECONDS = 600
"""Docker's."""


@dataclass(frozen=True)
class Query:
    """One question."""

    id: int
    flags: int
    name: str
    """Lower case, without the final dot."""
    type: int
    question: bytes
    """As it came, to be repeated in the answer."""

    @property
    def asked_address(self) -> str:
        """The IPv4 address whose name is asked for (4.3.2.1.in-addr.arpa), or nothing."""
        if self.type != PTR or not self.name.endswith(".in-addr.arpa"):
            return ""
        text = ".".join(reversed(self.name.removesuffix(".in-addr.arpa").split(".")))
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            return ""


def parse_query(message: bytes) -> Query | None:
    """A standard query with one question of class IN; None for all else, which is not ours to understand."""
    if len(message) < _HEADER.size:
        return None
    identifier, flags, questions, _, _, _ = _HEADER.unpack_from(message)
    if flags & (_RESPONSE | _OPCODE) or questions != 1:
        return None
    labels, position = [], _HEADER.size
    while position < len(message) and (length := message[position]):
        if length > 63:
            return None  # a pointer: to what, in the first name of all?
        labels.append(message[position + 1 : position + 1 + length])
        position += 1 + length
    end = position + 5
    if end > len(message):
        return None
    kind, question_class = struct.unpack_from("!HH", message, position + 1)
    if question_class != _INTERNET:
        return None
    name = b".".join(labels).decode("ascii", "replace").lower()
    return Query(identifier, flags, name, kind, message[_HEADER.size : end])


def answer(query: Query, records: list[bytes], code: int = NO_ERROR) -> bytes:
    """The answer to a question; without a record it says that the name exists, and nothing of this type."""
    flags = _RESPONSE | (query.flags & _RECURSION_DESIRED) | _RECURSION_AVAILABLE | code
    # 0xc00c: the name that begins at byte 12, the question's.
    head = struct.pack("!HHHI", 0xC00C, query.type, _INTERNET, _TTL_SECONDS)
    body = b"".join(head + struct.pack("!H", len(record)) + record for record in records)
    return _HEADER.pack(query.id, flags, 1, len(records), 0, 0) + query.question + body


def address_record(address: str) -> bytes:
    """The data of an A record."""
    return socket.inet_aton(address)


def name_record(name: str) -> bytes:
    """The data of a PTR record."""
    return b"".join(bytes((len(label),)) + label for label in name.encode().split(b".")) + b"\0"

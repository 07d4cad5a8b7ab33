"""Calls about sockets: addresses of every family, messages, control messages, options."""

import ctypes
import os
import socket
import struct
import sys

from kernel import syscall

os.chdir(sys.argv[1])
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind("path.sock")
server.listen(5)
client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
try:
    client.connect("missing.sock")
except OSError:
    pass
client.connect("path.sock")
accepted, _ = server.accept()
accepted.getsockname()
client.getpeername()
accepted.getpeername()
client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
client.send(b"GET / HTTP/1.1\r\n\r\n")
accepted.recv(100)
client.sendall(b"y" * 300)
accepted.recv(1000, socket.MSG_PEEK | socket.MSG_CMSG_CLOEXEC)
accepted.recvfrom(1000)
client.shutdown(socket.SHUT_WR)
accepted.recv(10)
accepted.setblocking(False)
client.setblocking(True)

abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
abstract.bind(b"\0gb-parity-" + str(os.getpid()).encode())
abstract.getsockname()
abstract.sendto(b"to myself", abstract.getsockname())
abstract.recvfrom(100)
try:
    abstract.recvmsg(100)
except BlockingIOError:
    pass

left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
right.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
fds = struct.pack("<2i", 0, left.fileno())
left.sendmsg([b"one", b"and two"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
right.recvmsg(64, 256)
left.sendmsg([b"who"], [], socket.MSG_NOSIGNAL)
right.recvmsg(64, 256, socket.MSG_CMSG_CLOEXEC)
right.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
left.send(b"plain")
right.recvmsg_into([bytearray(3), bytearray(10)])

texts = [ctypes.create_string_buffer(text) for text in (b"first", b"the second")]
vectors = [struct.pack("<QQ", ctypes.addressof(text), len(text) - 1) for text in texts]
pieces = [ctypes.create_string_buffer(vector, 16) for vector in vectors]
headers = b"".join(struct.pack("<QIxxxxQQQQIxxxxIxxxx", 0, 0, ctypes.addressof(one), 1, 0, 0, 0, 0) for one in pieces)
several = ctypes.create_string_buffer(headers, len(headers))
syscall("sendmmsg", left.fileno(), several, 2, socket.MSG_NOSIGNAL)
syscall("recvmmsg", right.fileno(), several, 2, socket.MSG_DONTWAIT, None)
syscall("recvmmsg", right.fileno(), several, 2, socket.MSG_DONTWAIT, struct.pack("<2q", 0, 5))

for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0))):
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("<ii", 1, 5))
    listener.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    listener.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    listener.bind(address)
    listener.listen(1)
    listener.getsockname()
    peer = socket.create_connection(listener.getsockname()[:2])
    other, _ = listener.accept()
    other.send(b"hello", socket.MSG_MORE | socket.MSG_NOSIGNAL)
    other.close()
    peer.recv(10)
    peer.close()
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagram.bind(("127.0.0.1", 0))
datagram.sendto(b"datagram", datagram.getsockname())
datagram.recvfrom(20)
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
netlink.bind((0, 0))
netlink.getsockname()
request = struct.pack("<IHHIIBxHiII", 32, 18, 1, 7, 0, 0, 0, 1, 0, 0)
netlink.send(request)
netlink.sendto(request, (0, 0))
netlink.sendmsg([request], [], 0, (0, 0))
os._exit(0)

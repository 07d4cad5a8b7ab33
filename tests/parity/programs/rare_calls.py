"""Calls that a start makes now and then: scheduling, priorities of IO, quotas, file handles, lists of attributes."""

import ctypes
import os
import signal
import socket
import struct
import sys

from kernel import syscall

os.chdir(sys.argv[1])
room = ctypes.create_string_buffer(200)
file = os.open("file", os.O_CREAT | os.O_RDWR)
syscall("listxattr", b"file", room, 100)
try:
    os.setxattr("file", "user.a", b"1")
except OSError:
    pass
syscall("listxattr", b"file", room, 100)
syscall("flistxattr", file, room, 100)
syscall("llistxattr", b"missing", room, 100)
syscall("listxattr", b"file", None, 0)

syscall("sched_setattr", 0, struct.pack("<2IQiI3Q", 48, 3, 1, 5, 0, 0, 0, 0), 0)
for asked in (0x01, 0x08, 0x10, 0x60):
    syscall("sched_setattr", 0, struct.pack("<2IQiI3Q2I", 56, 3, asked, 5, 0, 0, 0, 0, 10, 1000), 0)
syscall("sched_getattr", 0, None, 48, 0)
syscall("sched_getattr", 0, room, 48, 0)
syscall("sched_getattr", 0, room, 56, 0)
syscall("sched_setparam", 0, struct.pack("<i", 0))
syscall("sched_getparam", 0, room)
syscall("ioprio_set", 1, 0, 2 << 13 | 4)
syscall("ioprio_get", 1, 0)
syscall("ioprio_set", 2, 99999999, 3 << 13)
syscall("getcpu", None, None, None)

syscall("rt_sigpending", room, 8)
awaited = struct.pack("<Q", 1 << signal.SIGUSR1 - 1)
syscall("rt_sigtimedwait", awaited, room, struct.pack("<2q", 0, 1000), 8)
handle = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0), 136)
syscall("name_to_handle_at", -100, b"missing", handle, room, 0)
handle = ctypes.create_string_buffer(struct.pack("<Ii", 0, 0), 136)
syscall("name_to_handle_at", -100, b".", handle, room, 0x400)
for command, kind, whose in ((0x5805, 2, 0), (0x800007, 0, 5), (0x800009, 1, 7), (0x800004, 1, 7), (0x800005, 1, 7)):
    syscall("quotactl", ctypes.c_uint(command << 8 | kind), b"/dev/missing", whose, room)
bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
for protocol in (socket.NETLINK_XFRM if hasattr(socket, "NETLINK_XFRM") else 6, 16):
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
os._exit(0)

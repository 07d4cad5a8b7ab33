"""A descriptor that arrives by SCM_RIGHTS under a number that meant something else before."""

import os
import socket

left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
before = os.open("/dev/null", os.O_RDONLY)
os.read(before, 1)
os.close(before)
pipe_end, write_end = os.pipe()
os.write(write_end, b"through the pipe")
socket.send_fds(left, [b"here"], [pipe_end])
os.close(pipe_end)
message, fds, _, _ = socket.recv_fds(right, 16, 1)
os.read(fds[0], 64)

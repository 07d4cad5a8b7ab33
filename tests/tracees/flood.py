"""Large transfers, and many of them: captures are bounded, whatever is written."""

import os
import socket

left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
for end in (left, right):
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
block = bytes(range(256)) * 2400  # 600 KiB
if os.fork() == 0:
    left.close()
    taken = 0
    while taken < len(block) * 5:
        taken += len(right.recv(1 << 20))
    os._exit(0)
for _ in range(5):
    left.sendall(block)
os.wait()

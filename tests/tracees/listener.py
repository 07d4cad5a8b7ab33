"""A background program: listens on a socket, and ends at SIGTERM with exit code 0. --again: 300 times."""

import os
import signal
import socket
import sys
import time

server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (os.unlink(sys.argv[1]), os._exit(0)))
server.listen()
print("listening", flush=True)
for _ in range(300 if "--again" in sys.argv else 0):
    time.sleep(0.001)
    server.listen()
while True:
    signal.pause()

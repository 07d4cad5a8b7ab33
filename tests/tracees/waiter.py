"""Waits for a socket, says something to whoever listens there, and then listens itself: [--busy] WHERE OWN.

With --busy it never sleeps while it waits.
"""

import os
import signal
import socket
import sys
import time

busy = sys.argv[1] == "--busy"
where, own = sys.argv[-2:]
while not os.path.exists(where):
    if not busy:
        time.sleep(0.01)
client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
client.connect(where)
client.send(b"the first byte")
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(own)
signal.signal(signal.SIGTERM, lambda *_: (os.unlink(own), os._exit(0)))
server.listen()
while True:
    signal.pause()

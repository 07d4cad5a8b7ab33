"""A unix server and its client: bind, listen, connect, accept, one message each way."""

import os
import socket
import sys

path = sys.argv[1]
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(path)
server.listen()
if os.fork() == 0:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(path)
    client.recv(100)
    client.send(b"from the client")
    client.recv(100)
    os._exit(0)
connection, _ = server.accept()
connection.send(b"from the server")
connection.recv(100)
os.unlink(path)
connection.close()
os.wait()

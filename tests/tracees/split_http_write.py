"""An HTTP request in three writes, read in another process in two: calls are not messages."""

import os
import socket

client, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
if os.fork() == 0:
    received = server.recv(7)
    while b"\r\n\r\n" not in received or not received.endswith(b"}"):
        received += server.recv(65536)
    server.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    os._exit(0)
client.send(b"POST /v1.41/containers/create HTTP/1.1\r\nHost: docker\r\n")
client.send(b"Content-Length: 17\r\n\r\n")
os.writev(client.fileno(), [b'{"Image":', b'"alpine"', b"}"[:0], b"}"])
client.recv(65536)
os.wait()

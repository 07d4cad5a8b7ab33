"""Ports of the host for a daemon in a network namespace without any: opened outside, handed in as descriptors.

Real counterpart: rootlesskit's port driver "builtin". A socket belongs to the network namespace it was opened in, for
good, whoever holds it: so the daemon's proxies serve these as they would serve their own (`daemon/port_proxy.py`).

    daemon -> supervisor of the namespace   "tcp 0.0.0.0 8080"             SOCK_SEQPACKET, one question a connection
    supervisor -> daemon                    "0" and a socket, or errno     SCM_RIGHTS: unix(7)

It gives nobody a right: the socket is in a folder of the user's own, and any process of theirs could open these ports.
"""

import array
import errno
import os
import socket

VARIABLE = "ROOTLESS_PORTS"
"""The environment variable by which the daemon learns where to ask."""


def open_port(protocol: str, host_ip: str, port: int) -> socket.socket:
    """A socket that has the port; OSError when it cannot be had."""
    family = socket.AF_INET6 if ":" in host_ip else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # Connections that ended a moment ago do not keep the port; a listening socket still does.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host_ip, port))
        if protocol == "tcp":
            opened.listen(128)
    except OSError:
        opened.close()
        raise
    return opened


class PortOpener:
    """The supervisor's side."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/ports"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(self.path)
        self._socket.listen(16)

    def fileno(self) -> int:
        """Readable when somebody asks."""
        return self._socket.fileno()

    def close(self) -> None:
        """Leave it to the process that was forked meanwhile."""
        self._socket.close()

    def serve_one(self) -> None:
        """Answer one question; nobody waits longer for this than the daemon does for itself."""
        client, _ = self._socket.accept()
        with client:
            try:
                protocol, host_ip, port = client.recv(200).decode().split()
                opened = open_port(protocol, host_ip, int(port))
            except ValueError:
                client.send(str(errno.EINVAL).encode())
            except OSError as error:
                client.send(str(error.errno or errno.EIO).encode())
            else:
                with opened:
                    rights = array.array("i", [opened.fileno()])
                    client.sendmsg([b"0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def ask(path: str, protocol: str, host_ip: str, port: int) -> socket.socket:
    """The daemon's side: a socket of the host's network that has the port; OSError as if it had tried itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.connect(path)
        asking.send(f"{protocol} {host_ip} {port}".encode())
        answer, fds, _, _ = socket.recv_fds(asking, 20, 1)
    code = int(answer or errno.EPIPE)
    if code or not fds:
        raise OSError(code, os.strerror(code))
    opened = socket.socket(fileno=fds[0])
    opened.setblocking(False)
    return opened

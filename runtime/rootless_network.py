"""A network namespace for a user who is not root, and the way out of it: pasta(1) or slirp4netns(1).

Real counterpart: rootlesskit's network drivers. Neither program needs a privilege: it reads Ethernet frames from a tap
device inside the namespace, and speaks for them with ordinary sockets outside, as a user's program does.

    this process                        supervisor, stays outside           pasta or slirp4netns
      |-- fork -------------------------> |
      |   unshare(NEWUSER|NEWNS|NEWNET)   |
      |   ids are mapped                  |
      |-- "mapped" ---------------------> |-- start -----------------------> enters /proc/PID/ns/net by itself,
      |                                   |                                  makes a tap, an address, a route
      |<- a default route appears (rtnetlink) --------------------------------
      |-- execve COMMAND                  waits for either to end

The supervisor opens ports of the host for those inside (`api/host_ports.py`), and ends the helper when the command has
ended, however it did. If no helper can be had, its last words are
passed on, and the namespace has nothing but its loopback.
"""

import os
import select
import shutil
import signal
import socket
import struct

from runtime.api.host_ports import VARIABLE, PortOpener

_TUN = "/dev/net/tun"
_PREFIX = "glassbottom-ports-"
_RTMGRP_IPV4_ROUTE, _RTM_NEWROUTE, _RTM_NEWLINK = 0x40, 24, 16
_REQUEST, _IFF_UP = 1, 1
_LOOPBACK = 1
"""The first interface of every network namespace."""


def helpers() -> list[list[str]]:
    """The command lines to try, best first, without the process whose namespace it is about (PID)."""
    found = []
    if pasta := shutil.which("pasta"):
        namespaces = ["--netns", "/proc/PID/ns/net", "--userns", "/proc/PID/ns/user"]
        # No port is forwarded by itself, in or out: what listens inside need not be meant for others.
        ports = [word for flag in ("-t", "-u", "-T", "-U") for word in (flag, "none")]
        found.append([pasta, "--config-net", "--no-map-gw", "--quiet", "--foreground", *ports, *namespaces])
    if slirp := shutil.which("slirp4netns"):
        found.append([slirp, "--configure", "--mtu=65520", "--disable-host-loopback", "PID", "tap0"])
    return found


def why_not() -> str:
    """Why this user cannot have a network namespace with a way out; empty if nothing speaks against it."""
    if not helpers():
        return "neither pasta nor slirp4netns is installed (Debian: passt, slirp4netns)"
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{_TUN} cannot be opened ({(error.strerror or '').lower()}); root can allow it: chmod 666 {_TUN}"
    return ""


class Supervisor:
    """The process outside, seen from the one that goes in."""

    def __init__(self) -> None:
        """Fork it; to be called before unshare(2)."""
        mapped_reader, self._mapped = os.pipe()
        self._failed, failed_writer = os.pipe()
        target = os.getpid()
        folder = f"{os.environ.get('TMPDIR') or '/tmp'}/{_PREFIX}{target}-{os.urandom(4).hex()}"
        _remove_abandoned(os.path.dirname(folder))
        os.mkdir(folder, 0o700)
        opener = PortOpener(folder)
        os.environ[VARIABLE] = opener.path
        if os.fork() == 0:
            os.close(self._mapped)
            os.close(self._failed)
            os.setsid()  # Ctrl-C is the command's, which may have much to end in good order
            code = _supervise(target, mapped_reader, failed_writer, opener)
            shutil.rmtree(folder)
            os._exit(code)
        opener.close()
        os.close(mapped_reader)
        os.close(failed_writer)

    def wait_for_network(self) -> str:
        """Let it begin, and wait until there is a way out; returns why there is none, or nothing."""
        _set_loopback_up()
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as routes:
            routes.bind((0, _RTMGRP_IPV4_ROUTE))
            os.write(self._mapped, b"mapped")
            os.close(self._mapped)
            while True:
                ready, _, _ = select.select([routes.fileno(), self._failed], [], [])
                if routes.fileno() in ready and _has_default_route(routes.recv(65536)):
                    os.close(self._failed)
                    return ""
                if self._failed in ready:
                    words = os.read(self._failed, 4096).decode(errors="replace")
                    os.close(self._failed)
                    return words or "its supervisor was killed"


def _set_loopback_up() -> None:
    """`ip link set lo up`: the helpers do so too, but there may be none in the end."""
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, _LOOPBACK, _IFF_UP, _IFF_UP)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), _RTM_NEWLINK, _REQUEST, 1, 0) + body)


def _has_default_route(messages: bytes) -> bool:
    """Whether among these notifications is a route to everywhere: its destination has no bits."""
    while len(messages) >= 18:
        length, kind = struct.unpack_from("=IH", messages)
        if kind == _RTM_NEWROUTE and messages[17] == 0:  # rtmsg.rtm_dst_len, behind the header and the family
            return True
        messages = messages[(length + 3) & ~3 :]
    return False


def _remove_abandoned(base: str) -> None:
    """Folders of this user whose command was killed, and the supervisor with it."""
    for name in os.listdir(base):
        path, pid = f"{base}/{name}", name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and not os.path.exists(f"/proc/{pid}") and os.lstat(path).st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)


def _supervise(target: int, mapped: int, failed: int, opener: PortOpener) -> int:
    """In the child: start one helper after the other until one stays; then wait for the end of the command."""
    command = os.pidfd_open(target)
    if not os.read(mapped, 16):
        return 0  # it ended before it had a namespace
    words = []
    for argv in helpers():
        output_reader, output_writer = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, output_writer, 1), (os.POSIX_SPAWN_DUP2, output_writer, 2)]
        argv = [word.replace("PID", str(target)) for word in argv]
        # Python ignores SIGPIPE, which is inherited: pasta takes that for an error of sigaction(2).
        default = [signal.SIGPIPE]
        pid = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=actions, setsigdef=default)
        os.close(output_writer)
        words.append(_watch(pid, command, output_reader, opener))
        if not words[-1]:
            return 0
    os.write(failed, "; ".join(words).encode()[:4000])
    return 1


def _watch(helper: int, command: int, output: int, opener: PortOpener) -> str:
    """Open ports until the command has ended, and then end the helper; if that ends first, return what it said last."""
    handle = os.pidfd_open(helper)
    said = b""
    poller = select.poll()
    for fd in (command, handle, output, opener.fileno()):
        poller.register(fd, select.POLLIN)
    ended = False
    while not ended:
        for fd, _ in poller.poll():
            if fd == output:
                data = os.read(output, 4096)
                said = (said + data)[-1000:]
                if not data:
                    poller.unregister(output)
            elif fd == opener.fileno():
                opener.serve_one()
            else:
                ended = True
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.waitpid(helper, 0)
    lines = said.decode(errors="replace").strip().splitlines()
    over = bool(select.select([command], [], [], 0)[0])
    for fd in (handle, output):
        os.close(fd)
    return "" if over else lines[-1] if lines else "it ended without a word"

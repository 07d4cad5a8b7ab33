"""``python -m runtime.rootless -- COMMAND...``: run a command as root of a user namespace, for a user who is not root.

Real counterpart: rootlesskit (github.com/rootless-containers/rootlesskit), which starts dockerd and containerd so.
user_namespaces(7), newuidmap(1), subuid(5), mount_namespaces(7).

Inside, the user is root: may mount, unshare, give files away. Outside, nothing has changed: the same user owns it all.
The command runs in a user namespace and a mount namespace of its own; everything it starts shares them.

    this process                                  child, stays outside
      |-- fork ------------------------------------> |
      |   unshare(NEWUSER | NEWNS [| NEWNET])        |
      |-- "unshared" ------------------------------> |   newuidmap PID 0 UID 1 1 100000 65536
      |                                              |   newgidmap PID 0 GID 1 1 100000 65536
      |<- exit status ------------------------------ |   (a process inside may only map its own id: user_namespaces(7))
      |   or map one id ourselves
      |   mount propagation: slave
      |-- execve COMMAND

It is the parent that execs, so the command has this very pid: signals reach it, and its exit code is seen, with nobody
in between to pass them on. With ``--net private`` there is a network namespace too (`rootless_network.py`). Left out on
purpose, against rootlesskit: a pid namespace, copying up /etc and /run (the stack is told its roots).
"""

import ctypes
import os
import pwd
import shutil
import sys

from runtime import rootless_network

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_SLAVE = 0x80000

USAGE = """usage: python -m runtime.rootless [--net host|private] [--] COMMAND [ARG...]

Run COMMAND as root of a new user and mount namespace: for an ordinary user, what rootlesskit does for dockerd.
For root the command is run as it is.

  --net host       keep the host's network, in which the command can make nothing (default)
  --net private    a network of its own, with a way out by pasta or slirp4netns; the host's where neither can be had

  python -m runtime.rootless -- id
  python -m runtime.rootless -- sh -c 'cat /proc/self/uid_map'

What cannot be had is named on stderr, one sentence each.
"""


class RootlessError(Exception):
    """No user namespace can be had; the message says why, and what would help."""


def main(argv: list[str] | None = None) -> int:
    """Become root of a namespace and execute the command; returns only if that cannot be done."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in ("-h", "--help"):
        print(USAGE, end="", file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    private = False
    if words[0].startswith("--net"):
        _, _, choice = words[0].partition("=")
        choice, words = (choice, words[1:]) if choice else (words[1] if len(words) > 1 else "", words[2:])
        if choice not in ("host", "private"):
            print(f"rootless: --net {choice}: want host or private", file=sys.stderr)
            return 2
        private = choice == "private"
    command = words[1:] if words[:1] == ["--"] else words
    try:
        if os.geteuid() != 0:
            enter(private_network=private)
        os.execvp(command[0], command)
    except RootlessError as error:
        print(f"rootless: {error}", file=sys.stderr)
        return 1
    except (OSError, IndexError) as error:
        missing = isinstance(error, FileNotFoundError) or not command
        name = command[0] if command else "no command"
        print(f"rootless: {name}: {getattr(error, 'strerror', 'nothing to run').lower()}", file=sys.stderr)
        return 127 if missing else 126


def enter(private_network: bool = False) -> None:
    """Move this process into a user and a mount namespace, and maybe a network's, in which it is root."""
    uid, gid = os.geteuid(), os.getegid()
    supervisor = _network_supervisor(private_network)
    libc = ctypes.CDLL(None, use_errno=True)
    mappers = [mapper for mapper in (_mapper("uid", uid, uid), _mapper("gid", uid, gid)) if mapper]
    go_reader, go_writer = os.pipe()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os._exit(_map_from_outside(os.getppid(), mappers, go_reader, go_writer))
    os.close(go_reader)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | (CLONE_NEWNET if supervisor else 0)) != 0:
        number = ctypes.get_errno()
        os.close(go_writer)  # the child reads the end of the pipe, and ends
        os.waitpid(child, 0)
        raise RootlessError(_why_no_namespace(number))
    os.write(go_writer, b"unshared")
    os.close(go_writer)
    _, status = os.waitpid(child, 0)
    failed = os.waitstatus_to_exitcode(status)
    _map_what_is_missing(uid, gid, mappers, failed)
    # A mount made here must not appear outside (the kernel would not let it: say so anyway, as rootlesskit does), but
    # one made outside, a USB stick or an NFS home, is to appear here.
    if libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None) != 0:
        raise RootlessError(
            f"the new namespace may not mount ({os.strerror(ctypes.get_errno()).lower()}): a security module takes "
            "away its rights; on Ubuntu, sysctl kernel.apparmor_restrict_unprivileged_userns=0 gives them back"
        )
    if supervisor is not None and (reason := supervisor.wait_for_network()):
        _give_up(f"network: there is no way outside: {reason}")


def _network_supervisor(private_network: bool) -> rootless_network.Supervisor | None:
    """Who will see to the way out of a network namespace; None where the host's own network is kept."""
    reason = rootless_network.why_not() if private_network else ""
    if private_network and not reason:
        return rootless_network.Supervisor()
    kept = "network: the host's own is kept; containers have it, or none, as no link can be made in it from here"
    _give_up(f"{kept}: {reason}" if reason else kept)
    return None


def _mapper(kind: str, uid: int, own: int) -> tuple[str, ...]:
    """The helper's command line without the pid: our own id is 0 inside, the ids from subuid(5) are 1 and up."""
    helper = shutil.which(f"new{kind}map")
    if helper is None:
        _give_up(
            f"{kind}s: new{kind}map is not installed (Debian: uidmap), so only one {kind} exists inside: "
            "every file belongs to root, and no process can become anybody else"
        )
        return ()
    granted = granted_range(f"/etc/sub{kind}", uid)
    if granted is None:
        _give_up(
            f"{kind}s: /etc/sub{kind} grants no range to {_name(uid)}, so only one {kind} exists inside "
            f"(usermod --add-sub{kind}s 100000-165535 {_name(uid)} would grant one)"
        )
        return ()
    start, count = granted
    return (helper, "PID", "0", str(own), "1", "1", str(start), str(count))


def granted_range(path: str, uid: int) -> tuple[int, int] | None:
    """The first range that subuid(5) grants to a user, who is named by name or by number."""
    names = {_name(uid), str(uid)}
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        fields = line.split(":")
        if len(fields) == 3 and fields[0] in names and fields[1].isdigit() and fields[2].isdigit():
            return int(fields[1]), int(fields[2])
    return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _map_from_outside(pid: int, mappers: list[tuple[str, ...]], go_reader: int, go_writer: int) -> int:
    """In the child: wait for the unshare, then run the helpers; answers which of them failed, one bit each."""
    os.close(go_writer)
    if not os.read(go_reader, 16):
        return 0
    failed = 0
    for position, mapper in enumerate(mappers):
        argv = [word if word != "PID" else str(pid) for word in mapper]
        helper = os.posix_spawn(argv[0], argv, dict(os.environ))
        _, status = os.waitpid(helper, 0)
        if status != 0:
            failed |= 1 << position
    return failed


def _map_what_is_missing(uid: int, gid: int, mappers: list[tuple[str, ...]], failed: int) -> None:
    """Map one id where no helper did: ours, to 0."""
    done = set()
    for position, mapper in enumerate(mappers):
        kind = os.path.basename(mapper[0]).removeprefix("new").removesuffix("map")
        if failed & 1 << position:
            _give_up(f"{kind}s: {mapper[0]} failed (its words are above), so only one {kind} exists inside")
        else:
            done.add(kind)
    if "uid" not in done:
        _write("/proc/self/uid_map", f"0 {uid} 1")
    if "gid" not in done:
        # Before gid_map, and for ever: or a process could leave a group that is there to *deny* it something.
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"0 {gid} 1")


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise RootlessError(f"cannot write {path}: {(error.strerror or '').lower()}") from error


def _why_no_namespace(number: int) -> str:
    """Which of the switches that forbid user namespaces is the one."""
    for path, value, remedy in (
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
    ):
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == value:
                    return f"user namespaces are switched off here ({path} is {value}); root can allow them: {remedy}"
        except OSError:
            continue  # this kernel has no such switch
    reason = os.strerror(number).lower()
    return f"no user namespace can be made ({reason}): a container or a security policy around us forbids it"


def _give_up(sentence: str) -> None:
    print(f"rootless: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""Start-up behind the curtain: a story that will hold starts its background at full speed, and looks when it matters.

A Python daemon makes 7,000 calls before its first own line, looking for modules; stopping at each triples the time
until a waiting learner sees anything. So the background programs are let run under PTRACE_CONT: their births, execs,
deaths and signals are recorded, their calls are not. But every connection must be seen from its first byte: HTTP/2
cannot be decoded from the middle. So whom the others wait for listens where nobody looks, and they are told another
path (`Program.seen_at`). When it listens and they wait, every task is stopped once, and goes on under PTRACE_SYSCALL;
when the last one has been stopped, the engine makes the link that they wait for.

    containerd   not watched, listens on containerd.sock ........... stopped once, watched .............
    daemon       not watched, waits for seen.sock .................. stopped once, watched ... connects
    engine       looks every 20 ms: one listens, the other sleeps .. stops both, makes seen.sock

However busy the machine is and however late the engine: no byte can come before. The recording says whose calls were
not watched, and from when on they are. A recording that runs straight through watches everything.
"""

_ACCEPTING = 0x10000
"""__SO_ACCEPTCON, in the flags of /proc/net/unix."""


def listening_paths() -> set[str]:
    """The paths of all unix sockets that listen, from /proc/net/unix: for those that did before we watched."""
    found: set[str] = set()
    with open("/proc/net/unix", encoding="utf-8", errors="backslashreplace") as table:
        next(table)
        for line in table:
            # Num RefCount Protocol Flags Type St Inode Path; a path may hold spaces.
            columns = line.rstrip("\n").split(maxsplit=7)
            if len(columns) == 8 and int(columns[3], 16) & _ACCEPTING:
                found.add(columns[7])
    return found

"""Start-up behind the curtain: what nobody connects to starts at full speed, until it can connect to somebody.

A Python daemon makes 7,000 calls before its first own line, looking for modules; stopping at each doubles the time
until a waiting learner sees anything. Of the background programs the last one is let run under PTRACE_CONT: its births,
execs, deaths and signals are recorded, its calls are not. The others are watched from their first call on, because one
of them will listen, and every connection must be seen from its first byte: HTTP/2 cannot be decoded from the middle.
Before listen(2) is carried out, its caller is stopped, and nobody can be connected to it; that is when the curtain is
lifted for all. However busy the machine is and however late the engine: no byte can come before.

    containerd   watched ............. listen(2): stopped --- curtain lifted --- listens
    daemon       not watched, waits for containerd ................ watched ......... connects

The recording says whose calls were not watched, and from when on they are. Used only where the story will hold; a
recording that runs straight through watches everything.
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

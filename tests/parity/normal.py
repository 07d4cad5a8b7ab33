"""Two runs of one program are never byte for byte the same: what must differ is given the same name in both.

    0x7ffd1a2b3c40 -> ADDR    pipe:[391234] -> pipe:[N]    process 4711 -> T.2#4711 (second child of the first thread)

Threads are named by their place in the tree of births, not by when they were first heard of: which child of two begins
first is the scheduler's business.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tests.parity.strace_log import Line

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_BORN = re.compile(r"(?:clone|clone3|fork|vfork)\(.* = (\d+)$")
_SOCKET = re.compile(r"(?:socket|unix|netlink|inet6?|packet|alg|vsock):\[[^\]]*\]")
_INODE = re.compile(r"\b(pipe|inotify|net|mnt|pid|uts|ipc|user|cgroup|time):\[\d+\]")
_NUMBER = re.compile(r"(?<!\w)\d{2,}(?![\w*])")
_MARKED = re.compile(r"((?:[T?][\d.]*#)?\b\d{2,})")
_FLAGS = re.compile(r"\b[A-Z_]{2,}[A-Z0-9_]*(?:\|[A-Z0-9_x]+)+\b")
_COMMENT = re.compile(r" /\* (?!\d+ (?:vars?|entr))[^*]*\*/")
_OUTSIDE = re.compile(r"getppid\(\) = \d+$")
_RANDOM = re.compile(r'getrandom\("[^"]*"')
_PORT = re.compile(r"port=htons\((?:\d{4,})\)")
_FREE = re.compile(r"f_bfree=\d+, f_bavail=\d+, f_files=\d+, f_ffree=\d+")
_SERIAL = re.compile(r"(KEYCTL_(?:JOIN_SESSION_KEYRING|GET_KEYRING_ID), [^)]*\) = )\d+")
_PADDING = re.compile(r"nl_pad=0x[0-9a-f]+, ")
_CPU_TIME = re.compile(r"(si_utime|si_stime)=\d+|(ru_utime|ru_stime)=\{[^}]*\}")
_MOMENT = re.compile(r"\{tv_sec=\d{3,}, tv_[nu]sec=\d+\}")
_TIME = re.compile(r"(clock_gettime\(\w+, |gettimeofday\(|sysinfo\(|utimensat\([^[]*)[{\[].*[}\]]")


class Rules(NamedTuple):
    """What one workload's runs differ in beyond what every program does."""

    replaced: Mapping[str, str] = {}
    """Regular expressions and what stands for what they find."""
    ignored: frozenset[str] = frozenset()
    """Calls that are left out, because how often they are made depends on time."""


def threads(lines: Iterable[Line], rules: Rules) -> dict[str, list[str]]:
    """Each thread's lines under its name, all normalised."""
    kept = list(lines)
    names = _names(kept)
    found: dict[str, list[str]] = {names[line.tid]: [] for line in kept}
    for line in kept:
        if line.text.partition("(")[0] not in rules.ignored:
            found[names[line.tid]].append(normalised(line.text, names, rules))
    return found


def normalised(text: str, names: Mapping[int, str], rules: Rules) -> str:
    """One line without what cannot be the same twice."""
    text = _COMMENT.sub("", text)
    text = _MOMENT.sub("TIME", text)
    for pattern, replacement in rules.replaced.items():
        text = re.sub(pattern, replacement, text)
    text = _NUMBER.sub(lambda found: _marked(found[0], names), text)
    text = _OUTSIDE.sub("getppid() = the tracer", text)
    text = _RANDOM.sub('getrandom("..."', text)
    text = _CPU_TIME.sub(lambda found: f"{found[1] or found[2]}=...", text)
    text = _TIME.sub(r"\1TIME", text)
    text = _PORT.sub("port=htons(N)", text)
    text = _FREE.sub("f_bfree=...", text)
    text = _SERIAL.sub(r"\1N", text)
    text = _PADDING.sub("", text)
    text = _SOCKET.sub("socket:[N]", text)
    text = _INODE.sub(r"\1:[N]", text)
    text = _ADDRESS.sub("ADDR", text)
    return _FLAGS.sub(lambda found: "|".join(sorted(found[0].split("|"))), text)


def same(one: str, other: str) -> bool:
    """Whether two normalised texts say the same: a number that may be a thread's is one, or is not, in both."""
    if one == other:
        return True
    pieces, others = _MARKED.split(one), _MARKED.split(other)
    return len(pieces) == len(others) and all(
        piece == rest or _readings(piece) & _readings(rest) for piece, rest in zip(pieces, others, strict=True)
    )


def _marked(number: str, names: Mapping[int, str]) -> str:
    """`T.2#4711`: a size can be the same number as a process, so both readings are kept."""
    name = names.get(int(number))
    return f"{name}#{number}" if name else number


def _readings(piece: str) -> set[str]:
    return set(piece.split("#")) if _MARKED.fullmatch(piece) else set()


def _names(lines: list[Line]) -> dict[int, str]:
    """Thread -> `T` for the first, `T.2` for the second task that it made; `?1` where the maker saw another number."""
    known = list(dict.fromkeys(line.tid for line in lines))
    children: dict[int, list[int]] = {}
    for line in lines:
        born = _BORN.match(line.text)
        if born and int(born[1]) in known:
            children.setdefault(line.tid, []).append(int(born[1]))
    names = {known[0]: "T"}
    waiting = [known[0]]
    while waiting:
        maker = waiting.pop()
        for place, child in enumerate(children.get(maker, ()), 1):
            if child not in names:
                names[child] = f"{names[maker]}.{place}"
                waiting.append(child)
    strangers = [tid for tid in known if tid not in names]
    return names | {tid: f"?{place}" for place, tid in enumerate(strangers, 1)}

"""What this machine allows, found out by trying: ptrace, namespaces, overlay, cgroups, and which real parts there are.

Each answer is a Finding: what was asked, whether it is so, and where it is not, what that costs and what would help.
Switches in /proc and /etc are read only to explain a refusal; that something works is believed when it has worked.
Trials happen in forked children, so that no namespace, mount or trace outlives its question.
"""

import ctypes
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

from tracer import procfs, seats

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_REC, _MS_SLAVE = 0x4000, 0x80000
_PTRACE_SEIZE, _PTRACE_O_EXITKILL = 0x4206, 0x00100000
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21
ONE_PANE = (60, 15)
ALL_PANES = (110, 34)
"""The sizes from which the screen shows one pane at a time, and all of them; `tracer.tui` is too slow to be asked."""


@dataclass(frozen=True)
class Finding:
    """One thing that was tried or looked up."""

    name: str
    ok: bool
    detail: str
    help: str = ""
    """Where it is not so: what that costs, and what would help. Empty where all is well."""
    needed_for: str = "full"
    """``live``: without it nothing can be run, only replayed. ``full``: runs, with less. ``seat``: a real part."""


def can_run_live() -> list[Finding]:
    """What stands in the way of a live run; empty where nothing does."""
    system = check_system()
    if not system.ok:
        return [system]
    return [finding for finding in (check_ptrace(), check_privileges()) if not finding.ok]


def examine() -> list[Finding]:
    """Everything worth knowing, in the order in which it matters."""
    system = check_system()
    if not system.ok:
        return [system, check_terminal()]
    parts = [check_real_part(part) for part in seats.PARTS]
    checks: tuple[Callable[[], Finding], ...] = (
        check_ptrace,
        check_privileges,
        check_id_ranges,
        check_overlay,
        check_cgroups,
        check_network,
        check_terminal,
    )
    return [system, *(check() for check in checks), *parts]


def check_system() -> Finding:
    """Linux, on a processor whose system calls are known."""
    found = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if platform.system() != "Linux":
        return Finding(
            "system", False, found, "containers and ptrace are Linux's: recordings can be replayed here", "live"
        )
    if platform.machine() not in {"x86_64", "aarch64"}:
        return Finding("system", False, found, "only x86_64 and aarch64 system calls are known", "live")
    return Finding("system", True, found, needed_for="live")


def check_ptrace() -> Finding:
    """Whether a child may be traced, by tracing one."""
    refusal = _seize_a_child()
    if refusal is None:
        return Finding("ptrace", True, "a child could be traced", needed_for="live")
    return Finding("ptrace", False, f"tracing a child is refused ({refusal})", _why_no_ptrace(), "live")


def check_privileges() -> Finding:
    """Root, or a user namespace to be root in."""
    if os.geteuid() == 0:
        where = "root of a user namespace" if procfs.in_user_namespace() else "root"
        if not _holds(_CAP_SYS_ADMIN):
            return Finding(
                "namespaces",
                False,
                f"{where}, without CAP_SYS_ADMIN",
                "no namespace or mount can be made: in a container, start it with --privileged",
                "live",
            )
        refusal = _in_child(lambda libc: _unshare_and_mount(libc, _CLONE_NEWNS))
        if not refusal:
            return Finding("namespaces", True, where, needed_for="live")
        return Finding(
            "namespaces",
            False,
            f"{where}, who may not mount ({refusal})",
            "outside of the container or sandbox",
            "live",
        )
    refusal = _in_child(lambda libc: _unshare_and_mount(libc, _CLONE_NEWUSER | _CLONE_NEWNS))
    if not refusal:
        return Finding("namespaces", True, "an ordinary user, who can be root of a user namespace", needed_for="live")
    return Finding("namespaces", False, f"no user namespace can be used ({refusal})", _why_no_namespace(), "live")


def check_id_ranges() -> Finding:
    """More than one id inside a user namespace: newuidmap, and a range to map."""
    if os.geteuid() == 0 and not procfs.in_user_namespace():
        return Finding("ids", True, "all of them, as root")
    missing = [helper for helper in ("newuidmap", "newgidmap") if shutil.which(helper) is None]
    cost = "containers run with one user id: no process in them can become anybody else"
    if missing:
        return Finding("ids", False, f"not installed: {', '.join(missing)}", f"{cost}; install uidmap (shadow-utils)")
    from runtime.rootless import granted_range

    if granted_range("/etc/subuid", procfs.outer_uid()) is None:
        return Finding("ids", False, "/etc/subuid grants this user nothing", f"{cost}; usermod --add-subuids grants")
    return Finding("ids", True, "newuidmap and a range in /etc/subuid")


def check_overlay() -> Finding:
    """Whether an overlay can be mounted where stacks live."""
    from tracer.stack import base_folder

    base = os.path.dirname(base_folder())
    flags = _CLONE_NEWNS if os.geteuid() == 0 else _CLONE_NEWUSER | _CLONE_NEWNS
    with tempfile.TemporaryDirectory(prefix="glassbottom-doctor-", dir=base) as folder:
        for name in ("lower", "upper", "work", "merged"):
            os.mkdir(f"{folder}/{name}")
        options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"

        def mount(libc: ctypes.CDLL) -> str:
            refused = _unshare_and_mount(libc, flags)
            target = f"{folder}/merged".encode()
            return refused or _error_of(libc.mount(b"overlay", target, b"overlay", 0, options.encode()))

        refusal = _in_child(mount)
    if not refusal:
        return Finding("overlay", True, f"image layers are stacked, not copied (tried in {base})")
    return Finding(
        "overlay",
        False,
        f"overlay is refused in {base} ({refusal})",
        "image layers are copied for each container (slower, same result); kernel 5.11 allows it without root",
    )


def check_cgroups() -> Finding:
    """Which cgroup version, and whether a cgroup can be made."""
    mounts = [mount for mount in procfs.mounts() if mount.kind in {"cgroup", "cgroup2"}]
    kinds = {mount.kind for mount in mounts}
    version = {frozenset({"cgroup2"}): "v2", frozenset({"cgroup"}): "v1", frozenset(kinds): "v1 and v2 (hybrid)"}
    if not mounts:
        return Finding("cgroups", False, "none mounted", "no limits on memory, CPU and processes, and no counts")
    folders = [mount.point for mount in mounts if mount.kind == "cgroup" and "memory" in mount.options.split(",")]
    folder = (folders or [mount.point for mount in mounts if mount.kind == "cgroup2"] or [mounts[0].point])[0]
    trial = f"{folder}/glassbottom-doctor-{os.getpid()}"
    try:
        os.mkdir(trial)
        os.rmdir(trial)
    except OSError as error:
        return Finding(
            "cgroups",
            False,
            f"{version[frozenset(kinds)]}, not writable ({(error.strerror or '').lower()})",
            "no limits on memory, CPU and processes; root has them",
        )
    return Finding("cgroups", True, f"{version[frozenset(kinds)]}, writable")


def check_network() -> Finding:
    """Whether links can be made, which a bridge and its veth pairs are."""
    if os.geteuid() == 0 and not procfs.in_user_namespace() and _holds(_CAP_NET_ADMIN):
        return Finding("network", True, "bridge and veth pairs can be made")
    from runtime.rootless_network import helpers, why_not

    if not (reason := why_not()):
        return Finding(
            "network", True, "a bridge in a network of the stack's own, with a way out by pasta or slirp4netns"
        )
    cost = "containers have the host's network or none"
    if not helpers():
        cost += "; a bridge of their own needs root, or pasta or slirp4netns"
    return Finding("network", False, f"no links can be made in the host's network, nor in another: {reason}", cost)


def check_terminal() -> Finding:
    """Room for the four panes."""
    try:
        size = os.get_terminal_size(1)
    except OSError:
        return Finding(
            "terminal", False, "output is not a terminal", "run and replay need one; record and report do not"
        )
    found = f"{size.columns}x{size.lines}"
    all_panes = f"from {ALL_PANES[0]}x{ALL_PANES[1]} all are shown at once"
    if size.columns < ONE_PANE[0] or size.lines < ONE_PANE[1]:
        least = f"{ONE_PANE[0]}x{ONE_PANE[1]}"
        return Finding("terminal", False, found, f"no pane fits; from {least} one is shown at a time, {all_panes}")
    if size.columns < ALL_PANES[0] or size.lines < ALL_PANES[1]:
        return Finding("terminal", True, f"{found}, one pane at a time; {all_panes}")
    return Finding("terminal", True, f"{found}, all panes at once")


def check_real_part(part: seats.RealPart) -> Finding:
    """Whether a real part is installed, and which seat it fits."""
    try:
        version = seats.version_of(part)
    except seats.NotUsableError as error:
        return Finding(part.program, False, str(error), f"not to be had here: {seats.fits(part)}", "seat")
    found = f"{version}, {shutil.which(part.program)}"
    if part.seat == "--runtime" and os.geteuid() != 0 and not check_cgroups().ok:
        why = "it makes no container without a cgroup of its own, and this user can make none"
        return Finding(part.program, False, found, f"{seats.fits(part)} fits for root only: {why}; ours does", "seat")
    return Finding(part.program, True, f"{found} (fits: {seats.fits(part)})", needed_for="seat")


def _seize_a_child() -> str | None:
    """PTRACE_SEIZE a child that waits in read(2), as the engine does; the refusal's text, None if it worked."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    result = libc.ptrace(_PTRACE_SEIZE, child, 0, _PTRACE_O_EXITKILL)
    refusal = None if result == 0 else os.strerror(ctypes.get_errno()).lower()
    os.close(writer)
    os.close(reader)
    os.waitpid(child, 0)
    return refusal


def _why_no_ptrace() -> str:
    scope = _text("/proc/sys/kernel/yama/ptrace_scope")
    if scope in {"2", "3"}:
        way = "root may trace" if scope == "2" else "until the next boot, nobody may"
        return f"kernel.yama.ptrace_scope is {scope} ({way}); sysctl kernel.yama.ptrace_scope=1 allows tracing children"
    if _status("Seccomp") == "2":
        return "a seccomp filter around us forbids it: in a container, --cap-add SYS_PTRACE or --privileged"
    return "a security policy around us forbids it: try outside of the container or sandbox, or as root"


def _why_no_namespace() -> str:
    if _text("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "sysctl kernel.unprivileged_userns_clone=1 allows them; or run as root"
    if _text("/proc/sys/user/max_user_namespaces") == "0":
        return "sysctl user.max_user_namespaces=15000 allows them; or run as root"
    if _text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "sysctl kernel.apparmor_restrict_unprivileged_userns=0 allows them; or run as root"
    return "run as root; in a container, start it with --privileged"


def _unshare_and_mount(libc: ctypes.CDLL, flags: int) -> str:
    """Make the namespaces, then use them: some policies allow the first and forbid the second."""
    uid, gid = os.geteuid(), os.getegid()
    refused = _error_of(libc.unshare(flags))
    if refused:
        return refused
    if flags & _CLONE_NEWUSER:
        try:
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                    file.write(text)
        except OSError as error:
            return (error.strerror or "").lower()
    return _error_of(libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None))


def _error_of(result: int) -> str:
    return "" if result == 0 else os.strerror(ctypes.get_errno()).lower()


def _in_child(attempt: Callable[[ctypes.CDLL], str]) -> str:
    """Try something in a child, whose namespaces and mounts end with it; the text of the refusal, if any."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, attempt(ctypes.CDLL(None, use_errno=True)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return text


def _holds(capability: int) -> bool:
    return bool(int(_status("CapEff") or "0", 16) >> capability & 1)


def _status(name: str) -> str:
    for line in _text("/proc/self/status").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return ""


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""

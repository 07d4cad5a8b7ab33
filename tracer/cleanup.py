"""Bring the host back to what it was: find everything that belongs to a stack from what is on disk, and remove it.

The dying clean up nothing: any program here may be killed with SIGKILL at any moment, and a list kept in memory dies
with it. So what belongs to a stack is never remembered but *found*, by the names that ``stack.json`` fixed before
anything started, and a normal quit, ``glassbottom cleanup`` and the next start all run this same code. Order matters:

    1. thaw cgroups   a process in a frozen v1 cgroup cannot die
    2. kill           until nobody is left: what still runs could mount, make and write more
    3. unmount        newest first; a mount keeps its folder from being removed
    4. cgroups        children before parents, and only when nobody is in them
    5. networks       bridges, the host's ends of veth pairs on them, packet filter rules, ip_forward
    6. files          last: they are how 1-5 were found
"""

import ctypes
import errno
import os
import select
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from tracer import network_cleanup, procfs
from tracer.leftovers import cgroup_folders, inside, links_of, processes_of
from tracer.stack import PARTS, StackPlan, base_folder, fallback_folder, owner_lives, registered

_MNT_DETACH = 2
_ROUNDS = 50
"""How often to look for processes again: one that forks while it is being killed leaves a child for the next round."""


@dataclass
class Report:
    """What was removed, and what could not be."""

    stack: str
    killed: list[str] = field(default_factory=list)
    unmounted: list[str] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """What happened, for people."""
        counts = (
            (self.killed, "killed", "process", "processes"),
            (self.unmounted, "unmounted", "mount", "mounts"),
            (self.cgroups, "removed", "cgroup", "cgroups"),
            (self.links, "removed", "network link", "network links"),
            (self.tables, "removed", "packet filter table", "packet filter tables"),
            (self.settings, "put back", "kernel setting", "kernel settings"),
            (self.files, "removed", "folder or socket", "folders and sockets"),
        )
        said = [f"{verb} {len(what)} {one if len(what) == 1 else more}" for what, verb, one, more in counts if what]
        return [f"stack {self.stack}: {', '.join(said) or 'nothing was left'}", *self.problems]


def cleanup_stack(plan: StackPlan) -> Report:
    """Remove everything that belongs to one stack. Does no harm twice, and does not need it to have been started."""
    report = Report(plan.id)
    _thaw(plan)
    _kill_all(plan, report)
    _unmount_all(plan, report)
    _remove_cgroups(plan, report)
    _remove_networks(plan, report)
    _remove_files(plan, report)
    return report


def cleanup_abandoned(*, also_alive: bool = False) -> list[Report]:
    """Clean up every stack of this user whose owner is gone (or, if so asked, every one but our own)."""
    reports = []
    for plan in registered():
        alive = owner_lives(plan)
        if plan.owner_pid == os.getpid() and alive:
            continue
        if also_alive and alive:
            _kill_owner(plan)
        if also_alive or not alive:
            reports.append(cleanup_stack(plan))
    _remove_drafts()
    return reports


def kill_abandoned(*, also_alive: bool = False) -> None:
    """Kill what is left of stacks without an owner, and no more than that: for an ordinary user, before `rootless`.

    Who made a user namespace may do everything to those in it, but only from outside: capabilities(7). From inside
    another one, where the files can then be removed, their processes belong to strangers.
    """
    if os.geteuid() == 0:
        return
    for plan in registered():
        alive = owner_lives(plan)
        if alive and also_alive:
            _kill_owner(plan)
        if not alive or also_alive:
            _kill_all(plan, Report(plan.id))


def _kill_all(plan: StackPlan, report: Report) -> None:
    """SIGKILL for all at once, then wait until each is gone, and look again."""
    for _ in range(_ROUNDS):
        pids = processes_of(plan)
        if not pids:
            return
        handles = []
        for pid in pids:
            name = " ".join(procfs.argv(pid))[:120]
            try:
                handles.append(os.pidfd_open(pid))
                os.kill(pid, signal.SIGKILL)
            except OSError as error:
                if not isinstance(error, ProcessLookupError):
                    report.problems.append(f"cannot kill process {pid} ({name}): {(error.strerror or '').lower()}")
                continue
            report.killed.append(f"{pid} {name}")
        _await_ends(handles)
        if len(report.problems) >= len(pids):
            return
    report.problems.append(f"processes keep appearing in stack {plan.id}; run cleanup again")


def _await_ends(handles: list[int]) -> None:
    """A pidfd becomes readable when its process has ended (pidfd_open(2)); one in uninterruptible sleep may not."""
    poller = select.poll()
    for handle in handles:
        poller.register(handle, select.POLLIN)
    waiting = len(handles)
    while waiting:
        ended = poller.poll(2000)
        if not ended:
            break
        for handle, _ in ended:
            poller.unregister(handle)
            waiting -= 1
    for handle in handles:
        os.close(handle)


def _kill_owner(plan: StackPlan) -> None:
    """Stop the process that owns a living stack, and with it what it would start next."""
    try:
        handle = os.pidfd_open(plan.owner_pid)
        os.kill(plan.owner_pid, signal.SIGKILL)
    except OSError:
        return
    _await_ends([handle])


def _unmount_all(plan: StackPlan, report: Report) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    points = [mount.point for mount in procfs.mounts() if inside(mount.point, plan.root)]
    for point in reversed(points):
        # Lazily only where an orderly unmount is refused: a lazy one is not over when it returns.
        if libc.umount2(os.fsencode(point), 0) == 0 or libc.umount2(os.fsencode(point), _MNT_DETACH) == 0:
            report.unmounted.append(point)
        elif os.path.exists(point):
            report.problems.append(f"cannot unmount {point}: {os.strerror(ctypes.get_errno()).lower()}")


def _thaw(plan: StackPlan) -> None:
    for folder in cgroup_folders(plan):
        for inner, _, files in os.walk(folder):
            for name, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                if name in files:
                    try:
                        with open(f"{inner}/{name}", "w", encoding="ascii") as file:
                            file.write(word)
                    except OSError:
                        continue  # gone in the meantime, or not ours to write: killing will tell


def _remove_cgroups(plan: StackPlan, report: Report) -> None:
    for folder in list(cgroup_folders(plan)):
        for inner, _, _ in os.walk(folder, topdown=False):
            try:
                os.rmdir(inner)
            except FileNotFoundError:
                continue
            except OSError as error:
                report.problems.append(f"cannot remove cgroup {inner}: {(error.strerror or '').lower()}")
            else:
                report.cgroups.append(inner)


def _remove_networks(plan: StackPlan, report: Report) -> None:
    restore = network_cleanup.forwarding_was_off(plan)
    for names, remove, done, what in (
        (links_of(plan), network_cleanup.delete_link, report.links, "network link"),
        (network_cleanup.tables_of(plan), network_cleanup.delete_table, report.tables, "packet filter table"),
    ):
        for name in names:
            try:
                remove(name)
            except OSError as error:
                if (
                    error.errno != errno.ENODEV
                ):  # a veth may go by itself: the kernel takes a dead namespace apart later
                    report.problems.append(f"cannot remove {what} {name}: {(error.strerror or '').lower()}")
            else:
                done.append(name)
    if restore and network_cleanup.restore_forwarding():
        report.settings.append("net.ipv4.ip_forward")


def _remove_files(plan: StackPlan, report: Report) -> None:
    """The stack's own parts, then the root if it was made for it, then the description: found again until the end."""
    for path in (*(f"{plan.root}/{part}" for part in PARTS), plan.socket):
        if os.path.lexists(path):
            _remove(path, report)
    if report.problems:
        return
    if plan.root != plan.registry and plan.made_root:
        try:
            os.rmdir(plan.root)
        except OSError:
            pass  # somebody else's files are in it: theirs to keep
    if os.path.lexists(plan.registry):
        _remove(plan.registry, report)
    try:
        os.rmdir(os.path.dirname(plan.registry))
    except OSError:
        pass  # other stacks are registered there


def _remove(path: str, report: Report) -> None:
    def complain(_: Callable[..., object], name: str, caught: tuple[object, BaseException, object]) -> None:
        if not isinstance(caught[1], FileNotFoundError):
            report.problems.append(f"cannot remove {name}: {getattr(caught[1], 'strerror', caught[1])}")

    if os.path.isdir(path) and not os.path.islink(path):
        if _has_mounts(path):
            report.problems.append(f"cannot remove {path}: something is mounted in it")
            return
        shutil.rmtree(path, onerror=complain)
    else:
        try:
            os.unlink(path)
        except OSError as error:
            report.problems.append(f"cannot remove {path}: {error.strerror}")
    if not os.path.lexists(path):
        report.files.append(path)


def _has_mounts(path: str) -> bool:
    """Never walk into a mount with rmtree: behind a bind mount are the user's own files."""
    return any(inside(mount.point, path) for mount in procfs.mounts())


def _remove_drafts() -> None:
    """A .new-ID-PID folder whose maker died before it could rename it."""
    for base in dict.fromkeys((base_folder(), fallback_folder())):
        for name in os.listdir(base) if os.path.isdir(base) else []:
            maker = name.rpartition("-")[2]
            if name.startswith(".new-") and maker.isdigit() and not procfs.start_time(int(maker)):
                shutil.rmtree(f"{base}/{name}", ignore_errors=True)

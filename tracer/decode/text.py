"""A system call as one line for people, as strace would print it; and its arguments one by one, with their names.

    openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>

Only what a recording holds is used: header tables for names and types, bytes that were captured, files as the engine
saw them. What a call's line in `shapes` does not cover is printed by its type: descriptors with their file, strings
quoted, numbers as they are, pointers in hex. A structure that was not captured is an address: better little than wrong.
"""

from collections.abc import Callable
from typing import NamedTuple

from tracer.decode import errnos
from tracer.decode.call import Call
from tracer.decode.quote import SHOWN
from tracer.decode.requests import fcntl_answer, personality, prctl_answer
from tracer.decode.shapes import ORDER, shower, words
from tracer.decode.shown import OMIT, Shown, file_name
from tracer.decode.shown_process import poll_answer, select_answer
from tracer.decode.shown_requests import io_priority_answer
from tracer.events import RESULT, SyscallEntered, SyscallExited, SyscallSignature

AnyCall = SyscallEntered | SyscallExited


class Argument(NamedTuple):
    """One argument for people."""

    name: str
    text: str


class _Plan(NamedTuple):
    name: str
    names: tuple[str, ...]
    showers: tuple[tuple[int, Callable[[Shown, int], str]], ...]
    """Place and function of each argument, in the order of the line."""


_plans: dict[tuple[int, str], tuple[SyscallSignature, _Plan]] = {}
"""By the signature's id and machine; the signature is kept so that the id cannot be taken by another."""

_OPENS = ("open", "openat", "openat2", "creat")
_HEX_RESULTS = ("mmap", "brk", "mremap", "shmat")
_NO_RETURN = ("exit", "exit_group")


def format_call(event: AnyCall, signature: SyscallSignature | None, limit: int = SHOWN, machine: str = "x86_64") -> str:
    """The whole line, with up to `limit` bytes of each buffer; `machine` is where it was recorded."""
    if signature is not None:
        try:
            return _line(event, _plan(signature, machine), limit, machine)
        except IndexError:
            pass  # fewer arguments than such a call has: the recording is damaged, and only numbers are certain
    raw = ", ".join(hex(value) for value in event.arguments)
    return f"syscall_{event.number}({raw}{_result('', event, None)}"


def arguments(event: AnyCall, signature: SyscallSignature | None, machine: str = "x86_64") -> list[Argument]:
    """Each argument with its name; those that this call does not use are left out."""
    if signature is not None:
        try:
            return _named(event, _plan(signature, machine), machine)
        except IndexError:
            pass
    return [Argument(f"arg{place}", hex(value)) for place, value in enumerate(event.arguments)]


def result_text(event: AnyCall, signature: SyscallSignature | None) -> str:
    """What the call returned: `3</etc/passwd>`, `-1 ENOENT (No such file or directory)`; empty while it has not."""
    if isinstance(event, SyscallEntered):
        return ""
    name = signature.name if signature is not None else ""
    try:
        return _returned(name, event, Shown(name, event))
    except IndexError:
        return _returned("", event, Shown("", event))


def _line(event: AnyCall, plan: _Plan, limit: int, machine: str) -> str:
    shown = Shown(plan.name, event, limit, machine)
    texts = [show(shown, place) for place, show in plan.showers if place < len(event.arguments)]
    inside = ", ".join(text for text in texts if text is not OMIT)
    return f"{plan.name}({inside}{_result(plan.name, event, shown)}"


def _named(event: AnyCall, plan: _Plan, machine: str) -> list[Argument]:
    shown = Shown(plan.name, event, machine=machine)
    found: list[Argument] = []
    for place, show in sorted(plan.showers):
        if place < len(event.arguments):
            name = plan.names[place] or f"arg{place}"
            text = show(shown, place)
            if text is not OMIT:
                found.append(Argument(name, text))
    return found


def _plan(signature: SyscallSignature, machine: str) -> _Plan:
    found = _plans.get((id(signature), machine))
    if found is not None:
        return found[1]
    told = words(signature.name, machine)
    names = tuple(name for name, _ in signature.arguments)
    showers = [
        (place, shower(told[place] if place < len(told) else "", kind, name))
        for place, (name, kind) in enumerate(signature.arguments)
    ]
    order = ORDER.get(signature.name)
    if order is not None and set(order) == set(names):
        showers.sort(key=lambda pair: order.index(names[pair[0]]))
    plan = _Plan(signature.name, names, tuple(showers))
    _plans[id(signature), machine] = (signature, plan)
    return plan


def _result(name: str, event: AnyCall, shown: Shown | None) -> str:
    if isinstance(event, SyscallEntered):
        return ") = ?" if name in _NO_RETURN else " <unfinished ...>"
    return ") = " + _returned(name, event, shown or Shown(name, event))


def _returned(name: str, event: SyscallExited, shown: Shown) -> str:
    result = event.result
    if -4096 < result < 0:
        mark = "?" if -result >= errnos.FIRST_HIDDEN else "-1"
        return f"{mark} {errnos.describe(-result)}"
    if name in _HEX_RESULTS:
        return hex(result & 0xFFFFFFFFFFFFFFFF)
    if RESULT in event.files:
        return f"{result}{file_name(event.files[RESULT])}"
    if name == "fcntl":
        return fcntl_answer(shown) or str(result)
    if name == "personality":
        return f"{hex(result) if result else 0} ({personality(result)})"
    if name == "umask":
        return f"0{result:02o}"
    if name in ("poll", "ppoll"):
        return f"{result}{poll_answer(shown)}"
    if name in ("select", "pselect6"):
        return f"{result}{select_answer(shown)}"
    if name == "ioprio_get":
        return io_priority_answer(shown)
    if name == "prctl":
        return f"{result}{prctl_answer(shown)}"
    if name in _OPENS:
        # Recordings from before results had their file: what was asked for, which a link may have led elsewhere.
        call = Call(name, event.arguments, event.data, event.files)
        path = call.path(1) if name.startswith("openat") else call.text(0)
        return f"{result}<{path}>" if path.startswith("/") else str(result)
    return str(result)

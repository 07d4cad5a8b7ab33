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
from tracer.decode.shapes import SHAPES, shower
from tracer.decode.shown import OMIT, Shown
from tracer.decode.structures import open_flags
from tracer.events import SyscallEntered, SyscallExited, SyscallSignature

AnyCall = SyscallEntered | SyscallExited


class Argument(NamedTuple):
    """One argument for people."""

    name: str
    text: str


class _Plan(NamedTuple):
    name: str
    names: tuple[str, ...]
    showers: tuple[Callable[[Shown, int], str], ...]


_plans: dict[int, tuple[SyscallSignature, _Plan]] = {}
"""By the signature's id; the signature is kept so that the id cannot be taken by another."""

_OPENS = ("open", "openat", "openat2", "creat")
_HEX_RESULTS = ("mmap", "brk", "mremap", "shmat")
_NO_RETURN = ("exit", "exit_group")


def format_call(event: AnyCall, signature: SyscallSignature | None) -> str:
    """The whole line."""
    if signature is None:
        raw = ", ".join(hex(value) for value in event.arguments)
        return f"syscall_{event.number}({raw}{_result('', event, None)}"
    plan = _plan(signature)
    shown = Shown(plan.name, event)
    texts = [show(shown, place) for place, show in enumerate(plan.showers) if place < len(event.arguments)]
    inside = ", ".join(text for text in texts if text is not OMIT)
    return f"{plan.name}({inside}{_result(plan.name, event, shown)}"


def arguments(event: AnyCall, signature: SyscallSignature | None) -> list[Argument]:
    """Each argument with its name; those that this call does not use are left out."""
    if signature is None:
        return [Argument(f"arg{place}", hex(value)) for place, value in enumerate(event.arguments)]
    plan = _plan(signature)
    shown = Shown(plan.name, event)
    found: list[Argument] = []
    for place, show in enumerate(plan.showers):
        if place < len(event.arguments):
            text = show(shown, place)
            if text is not OMIT:
                found.append(Argument(plan.names[place] or f"arg{place}", text))
    return found


def result_text(event: AnyCall, signature: SyscallSignature | None) -> str:
    """What the call returned: `3</etc/passwd>`, `-1 ENOENT (No such file or directory)`; empty while it has not."""
    if isinstance(event, SyscallEntered):
        return ""
    name = signature.name if signature is not None else ""
    return _returned(name, event, Shown(name, event))


def _plan(signature: SyscallSignature) -> _Plan:
    found = _plans.get(id(signature))
    if found is not None:
        return found[1]
    words = SHAPES.get(signature.name, "").split()
    showers = tuple(
        shower(words[place] if place < len(words) else "", kind, name)
        for place, (name, kind) in enumerate(signature.arguments)
    )
    plan = _Plan(signature.name, tuple(name for name, _ in signature.arguments), showers)
    _plans[id(signature)] = (signature, plan)
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
    if name in _OPENS:
        call = Call(name, event.arguments, event.data, event.files)
        path = call.path(1) if name.startswith("openat") else call.text(0)
        if path.startswith("/"):
            return f"{result}<{path}>"
    if name == "fcntl" and shown.event.arguments[1] == 3:
        return f"{result:#x} (flags {open_flags(result)})"
    return str(result)

"""Calls that have happened become actions; calls that only mean something together become one.

    prctl(PR_CAPBSET_DROP) x 26, capset             -> CapabilitiesDropped, citing all 27
    fsopen, fsconfig ..., fsmount, move_mount       -> MountAttached with type, source and options
    openat(O_PATH) = 6, mount(.., "/proc/self/fd/6") -> MountAttached on the path that 6 names

A failed call is no action. What is remembered of a process is bounded, and forgotten when it ends or executes another
program.
"""

import re
from collections.abc import Mapping

from tracer.decode import intents
from tracer.decode.call import Call, Intent
from tracer.decode.intents_files import masked
from tracer.events import ActionSeen, Scalar, SyscallExited
from tracer.stages.layers import Layer, LayerFold

_MOUNT_BUILDING = ("fsopen", "fsconfig", "fsmount", "open_tree")
_OPENS = ("open", "openat", "openat2")
_FD_PATH = re.compile(r"^/proc/(?:self|thread-self|\d+)/(?:task/\d+/)?fd/(\d+)(/.*)?$")
_FSCONFIG_STRING = 1
_RESOLVE_IN_ROOT = 0x10
_REMEMBERED = 1024


class _Mount:
    """A mount in the making: what a descriptor of fsopen, fsmount or open_tree will be."""

    __slots__ = ("calls", "options", "source", "type")

    def __init__(self, kind: str, source: str, call: int) -> None:
        self.type = kind
        self.source = source
        self.options: list[str] = []
        self.calls = [call]


class ActionFold:
    """The fold: calls in, actions out. `exit_numbers` are the calls that it needs."""

    def __init__(self, syscall_names: Mapping[int, str], layers: LayerFold, machine: str = "x86_64") -> None:
        self._machine = machine
        self._layers = layers
        wanted = intents.CALLS | frozenset(_MOUNT_BUILDING)
        self._names = {number: name for number, name in syscall_names.items() if name in wanted}
        self.exit_numbers = frozenset(self._names)
        self._bounding: dict[int, list[tuple[int, str]]] = {}
        """Process -> (call, capability) of bounding capabilities dropped since its last capset."""
        self._mounts: dict[tuple[int, int], _Mount] = {}
        """(process, descriptor) -> the mount it stands for."""
        self._paths: dict[tuple[int, int], str] = {}
        """(process, descriptor) -> path, of the runtime's processes: they mount through /proc/self/fd."""

    def feed(self, sequence: int, event: SyscallExited) -> list[ActionSeen]:
        """The actions that this call completes."""
        if event.result < 0:
            return []
        name = self._names[event.number]
        pid = self._layers.pid_of(event.tid)
        if name in _MOUNT_BUILDING:
            self._build(name, pid, sequence, event)
            return []
        if name in _OPENS and self._layers.layer_of(pid) is Layer.RUNTIME:
            self._opened(name, pid, event)
        found = intents.intent(name, event.arguments, event.data, event.files, self._machine)
        if found is None:
            return []
        calls: tuple[int, ...] = (sequence,)
        fields = found.fields
        if found.action == "BoundingCapabilityDropped":
            dropped = self._bounding.setdefault(pid, [])
            if len(dropped) < _REMEMBERED:
                dropped.append((sequence, str(fields["capability"])))
            return []
        if found.action == "CapabilitiesDropped":
            calls, fields = self._capabilities(pid, sequence, fields)
        elif name == "move_mount":
            calls, fields = self._moved(pid, sequence, event, fields)
        elif "target" in fields or "path" in fields:
            self._resolve(pid, fields)
        if found.action == "MountAttached":
            found = masked(Intent(found.action, fields))
            fields = found.fields
        if found.action == "PathMasked" and str(fields["path"]).endswith("/dev/null"):
            # Without the right to make devices, the host's are bound into the container's /dev.
            made: dict[str, Scalar] = {"source": "/dev/null", "type": "bind", "flags": "MS_BIND", "options": ""}
            through = {"through": fields["through"]} if "through" in fields else {}
            found = Intent("MountAttached", {"target": fields["path"], **made, **through})
            fields = found.fields
        return [ActionSeen(event.time_ns, event.tid, pid, found.action, fields, calls)]

    def forget(self, pid: int) -> None:
        """The process has ended, or executes another program: what it had begun is finished or lost."""
        self._bounding.pop(pid, None)
        for remembered in (self._mounts, self._paths):
            for key in [key for key in remembered if key[0] == pid]:
                del remembered[key]

    def _capabilities(
        self, pid: int, sequence: int, fields: dict[str, Scalar]
    ) -> tuple[tuple[int, ...], dict[str, Scalar]]:
        dropped = self._bounding.pop(pid, [])
        names = list(dict.fromkeys(name for _, name in dropped))
        if names:
            fields = {**fields, "bounding_dropped": ",".join(names)}
        return (*(call for call, _ in dropped), sequence), fields

    def _build(self, name: str, pid: int, sequence: int, event: SyscallExited) -> None:
        call = Call(name, event.arguments, event.data, event.files)
        if name == "fsopen":
            self._remember(pid, event.result, _Mount(call.text(0), "", sequence))
            return
        if name == "open_tree":
            self._remember(pid, event.result, _Mount("bind", call.path(1), sequence))
            return
        mount = self._mounts.get((pid, call.number(0)))
        if mount is None:
            return
        mount.calls.append(sequence)
        if name == "fsmount":
            self._remember(pid, event.result, mount)
        elif call.number(1) == _FSCONFIG_STRING and call.text(2) == "source":
            mount.source = call.text(3)
        elif call.text(2):
            value = call.text(3)
            mount.options.append(f"{call.text(2)}={value}" if value else call.text(2))

    def _remember(self, pid: int, fd: int, mount: _Mount) -> None:
        if len(self._mounts) >= _REMEMBERED:
            del self._mounts[next(iter(self._mounts))]
        self._mounts[pid, fd] = mount

    def _moved(
        self, pid: int, sequence: int, event: SyscallExited, fields: dict[str, Scalar]
    ) -> tuple[tuple[int, ...], dict[str, Scalar]]:
        self._resolve(pid, fields)
        mount = self._mounts.pop((pid, event.arguments[0] & 0xFFFFFFFF), None)
        if mount is None:
            return (sequence,), fields
        made: dict[str, Scalar] = {"type": mount.type, "source": mount.source, "options": ",".join(mount.options)}
        return (*mount.calls[-60:], sequence), {**fields, **made}

    def _opened(self, name: str, pid: int, event: SyscallExited) -> None:
        call = Call(name, event.arguments, event.data, event.files)
        path = call.text(0) if name == "open" else call.path(1)
        if name == "openat2" and int.from_bytes(call.raw(2)[16:24], "little") & _RESOLVE_IN_ROOT:
            path = f"{event.files.get(0, '').rstrip('/')}/{call.text(1).lstrip('/')}"
        if len(self._paths) >= _REMEMBERED:
            del self._paths[next(iter(self._paths))]
        # Anew at the end, so that the oldest is forgotten first.
        self._paths.pop((pid, event.result), None)
        self._paths[pid, event.result] = path

    def _resolve(self, pid: int, fields: dict[str, Scalar]) -> None:
        """Runtimes mount on /proc/self/fd/N, so that no symbolic link can lead them astray: say what N is."""
        for key in ("target", "path", "source"):
            value = fields.get(key)
            found = _FD_PATH.match(value) if isinstance(value, str) else None
            if found:
                path = self._paths.get((pid, int(found[1])))
                if path is not None:
                    fields[key] = path + (found[2] or "")
                    fields["through"] = value

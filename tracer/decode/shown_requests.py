"""Arguments of calls that a start makes now and then: scheduling, priorities of IO, quotas, file handles.

sched_setattr(2), ioprio_set(2), quotactl(2), name_to_handle_at(2). Left out: the structures of quotas.
"""

import struct

from tracer.decode import flags, flags_requests
from tracer.decode.quote import quote, quote_hex
from tracer.decode.shown import OMIT, Shown, number, pointer

_SCHEDULING = struct.Struct("<2IQiI3Q")
_UTILISATION = struct.Struct("<2I")
_KEEP_POLICY, _KEEP_PARAMETERS = 0x08, 0x10
_OVERFLOW = -75
_QUOTA_WITHOUT_ID = frozenset({0x800001, *range(0x800003, 0x800007), *range(0x5801, 0x5803), *range(0x5805, 0x5809)})
"""Those that ask for the quota of nobody in particular."""


def scheduling(shown: Shown, place: int) -> str:
    """A struct sched_attr: as far as its size goes, and without what its flags say is to stay as it is."""
    data = shown.memory(place)
    if data is None or len(data) < _SCHEDULING.size:
        return pointer(shown, place)
    size, policy, bits, nice, priority, runtime, deadline, period = _SCHEDULING.unpack_from(data)
    told = [f"size={size}"]
    if not bits & (_KEEP_POLICY | _KEEP_PARAMETERS):
        told.append(f"sched_policy={flags.enum(policy, flags_requests.SCHEDULERS)}")
    told.append(f"sched_flags={flags.bits(bits, flags_requests.SCHEDULER_FLAGS)}")
    if not bits & _KEEP_PARAMETERS:
        told += [f"sched_nice={nice}", f"sched_priority={priority}"]
        told += [f"sched_runtime={runtime}", f"sched_deadline={deadline}", f"sched_period={period}"]
    end = _SCHEDULING.size + _UTILISATION.size
    if size >= end and len(data) >= end:
        least, most = _UTILISATION.unpack_from(data, _SCHEDULING.size)
        told += [f"sched_util_min={least}", f"sched_util_max={most}"]
    if size > end:
        told.append("...")
    return f"{{{', '.join(told)}}}"


def io_priority(shown: Shown, place: int) -> str:
    """What ioprio_set(2) sets: a class, and a level in it."""
    return _io_priority(shown.event.arguments[place] & 0xFFFF)


def io_priority_answer(shown: Shown) -> str:
    """What ioprio_get(2) returned: `16388 (IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4))`."""
    result = shown.result or 0
    return f"{result} ({_io_priority(result)})"


def _io_priority(value: int) -> str:
    return f"IOPRIO_PRIO_VALUE({flags.enum(value >> 13, flags_requests.IO_CLASSES)}, {value & 0x1FFF})"


def quota_command(shown: Shown, place: int) -> str:
    """The command of quotactl(2) with the kind of quota in its low byte."""
    value = shown.event.arguments[place] & 0xFFFFFFFF
    command = flags.enum_hex(value >> 8, flags_requests.QUOTAS)
    return f"QCMD({command}, {flags.enum_hex(value & 0xFF, flags_requests.QUOTA_KINDS)})"


def quota_id(shown: Shown, place: int) -> str:
    """Whose quota, where the command asks for one's."""
    return OMIT if shown.event.arguments[0] >> 8 & 0xFFFFFF in _QUOTA_WITHOUT_ID else number(shown, place)


def file_handle(shown: Shown, place: int) -> str:
    """A struct file_handle: how much room there was, how much it takes, and the handle."""
    before, data = shown.memory(place, ".before"), shown.memory(place)
    if before is None or len(before) < 4:
        return pointer(shown, place)
    room = int.from_bytes(before[:4], "little")
    if data is None or len(data) < 8 or not (shown.succeeded or shown.result == _OVERFLOW):
        return f"{{handle_bytes={room}}}"
    size, kind = struct.unpack_from("<Ii", data)
    if not shown.succeeded:
        return f"{{handle_bytes={room} => {size}}}"
    return f"{{handle_bytes={room} => {size}, handle_type={kind}, f_handle={quote_hex(data[8 : 8 + size], None, 128)}}}"


def attribute_names(shown: Shown, place: int) -> str:
    """The list that listxattr(2) has filled, each name with its NUL."""
    data = shown.memory(place)
    if not shown.succeeded or not shown.event.arguments[place] or (data is None and shown.result):
        return pointer(shown, place)
    return quote(data or b"", None, shown.limit)

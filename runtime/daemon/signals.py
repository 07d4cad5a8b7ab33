"""Signals as clients write them: `KILL`, `SIGTERM`, `15` (moby: pkg/signal)."""

import re
import signal

from runtime.daemon.errors import InvalidParameterError

_NAMES = {name.removeprefix("SIG"): int(value) for name, value in signal.Signals.__members__.items()} | {
    # Real-time signals are counted from the C library's first, 34, not the kernel's 32; docker names each of them once.
    **{f"RTMIN+{offset}": 34 + offset for offset in range(1, 16)},
    **{f"RTMAX-{offset}": 64 - offset for offset in range(1, 15)},
    "RTMIN": 34,
    "RTMAX": 64,
}


def parse_signal(text: str) -> int:
    """The number of a signal: as in dockerd any but 0, and whether there is such a signal is asked when it is sent."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        if number := int(text):
            return number
    elif (name := text.upper().removeprefix("SIG")) in _NAMES:
        return _NAMES[name]
    raise InvalidParameterError(f"Invalid signal: {text}")


def stop_signal(text: str) -> int:
    """The same for one on record, which an older daemon may have read otherwise: SIGTERM for none, as in dockerd."""
    try:
        return parse_signal(text)
    except InvalidParameterError:
        return _NAMES["TERM"]


def exists(number: int) -> bool:
    """Whether it can be sent. The C library keeps 32 and 33 to itself."""
    return number in _NAMES.values()

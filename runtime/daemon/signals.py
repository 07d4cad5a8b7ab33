"""Signals as clients write them: `KILL`, `SIGTERM`, `15` (moby: pkg/signal)."""

import signal

from runtime.daemon.errors import InvalidParameterError

_NAMES = {name.removeprefix("SIG"): int(value) for name, value in signal.Signals.__members__.items()} | {
    # Real-time signals are counted from the C library's first, 34, not the kernel's 32.
    **{f"RTMIN+{offset}": 34 + offset for offset in range(31)},
    "RTMIN": 34,
    "RTMAX": 64,
}


def parse_signal(text: str) -> int:
    """The number of a signal."""
    if text.isdigit():
        number = int(text)
        if 0 < number <= 64:
            return number
    elif (name := text.upper().removeprefix("SIG")) in _NAMES:
        return _NAMES[name]
    raise InvalidParameterError(f"Invalid signal: {text}")

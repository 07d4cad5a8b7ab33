"""Wall-clock time in the two numbers of a protobuf Timestamp."""

import time

ZERO = {"seconds": -62135596800, "nanos": 0}
"""Go's zero time (year 1): how containerd's messages say "has not happened"."""


def now() -> dict[str, int]:
    """Return the present moment."""
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    return {"seconds": seconds, "nanos": nanos}

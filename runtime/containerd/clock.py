"""Time as containerd's messages carry it.

Real counterpart: `google.protobuf.Timestamp` made from Go's `time.Time`. A `time.Time` that was never set is the
first of January of the year 1, and containerd sends it as such (not as an absent field): a running task has it as
`exited_at`.
"""

import time

from google.protobuf.timestamp_pb2 import Timestamp

NEVER = Timestamp(seconds=-62135596800)
"""Go's zero time."""


def now() -> Timestamp:
    """Return the present, in UTC."""
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos)

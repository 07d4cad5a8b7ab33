"""What of a large transfer is kept in the recording: all of it where it is text, its beginning where it is not.

The decoders get every byte, because protocols lose their place without. The file does not need an image's layers, which
pass from the daemon to containerd through one socket: they were four fifths of the recording of a `docker run`, and
nobody reads machine code in a payload pane. JSON is kept whole, however large.
"""

from collections.abc import Mapping

BULK_BYTES = 8192
"""A transfer up to this long is always kept whole: a message of containerd's with a whole config.json in it is."""
KEPT_BYTES = 4096
"""Of a longer one that is no text. That there was more is said by the call's result."""
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\n\r"
_SAMPLES = 512


def without_bulk(data: Mapping[str, bytes | None]) -> Mapping[str, bytes | None]:
    """A call's captured data as it goes into the file; the very same where nothing is left out."""
    value = data.get("1")
    if value is None or len(value) <= BULK_BYTES or _is_text(value):
        return data
    return {**data, "1": value[:KEPT_BYTES]}


def _is_text(value: bytes) -> bool:
    """Whether three of four bytes can be read, by samples all over it: a frame's head before JSON does not count."""
    sample = value[:: len(value) // _SAMPLES | 1]  # odd, so that it does not keep step with records of 2**n bytes
    return len(sample.translate(None, _PRINTABLE)) * 4 < len(sample)

"""A recording as `strace -f -y -s 256 -o FILE` would have written it: for diff(1), grep(1), and eyes that know strace.

    4711 openat(AT_FDCWD</>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>

Every line has its thread's number first. `tests/parity` compares these lines with strace's own.
"""

from collections.abc import Iterator

from tracer.codec import RecordingError
from tracer.decode.strace_lines import StraceLines
from tracer.session.recording import Recording


def strace_report(recording: Recording) -> Iterator[str]:
    """One line a call, a signal or the end of a thread, as the recording is read; damage is left in `recording`."""
    lines = StraceLines(recording.header.syscalls, recording.header.architecture)
    recording.read_all()
    try:
        for _, event in recording.events():
            for tid, text in lines.feed(event):
                yield f"{tid} {text}"
    except RecordingError as error:
        recording.damage = str(error)

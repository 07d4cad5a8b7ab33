"""Bring a hijacked connection and a process's streams together (moby: container/stream/attach.go)."""

from collections.abc import Callable
from dataclasses import dataclass

from runtime.daemon.detach_keys import DetachFilter
from runtime.daemon.hijack import HijackedStream
from runtime.daemon.stdcopy import STDERR, STDOUT
from runtime.daemon.stdio import ProcessStreams


@dataclass(frozen=True)
class AttachWishes:
    """Which streams a client wants, and how it may leave."""

    stdin: bool
    stdout: bool
    stderr: bool
    detach_keys: bytes
    close_stdin: bool
    """Whether the client's end of input is the process's end of input (StdinOnce)."""


class Attachment:
    """One client's hold on a process; an output sink that passes on what was asked for."""

    def __init__(self, streams: ProcessStreams, stream: HijackedStream, wishes: AttachWishes) -> None:
        self._streams = streams
        self._stream = stream
        self._wanted = {number for number, yes in ((STDOUT, wishes.stdout), (STDERR, wishes.stderr)) if yes}
        self._wishes = wishes
        self._filter = DetachFilter(wishes.detach_keys)

    def begin(self) -> None:
        """Output to the client, input to the process, until one of them ends."""
        self._streams.add_sink(self)
        if self._wishes.stdin:
            self._stream.read_into(self._input, self._input_ended)
        else:
            self._stream.read_into(lambda _: None, lambda: None)

    def end_by_client(self) -> None:
        """The connection is gone."""
        self._streams.remove_sink(self)
        if self._wishes.stdin and self._wishes.close_stdin:
            self._streams.end_input()

    # Input -----------------------------------------------------------------------------------------------

    def _input(self, data: bytes) -> None:
        passed, detached = self._filter.feed(data)
        if passed:
            self._streams.write_input(passed)
            if self._streams.input_is_full():
                self._stream.pause_input()
                self._streams.on_input_drained = self._stream.resume_input
        if detached:
            # The keys are not passed on; the process keeps its stdin for the next client.
            self._streams.remove_sink(self)
            self._wishes = AttachWishes(False, False, False, b"\0", False)
            self._stream.read_into(lambda _: None, lambda: None)
            self._stream.end()

    def _input_ended(self) -> None:
        if self._wishes.close_stdin:
            self._streams.end_input()

    # Output ----------------------------------------------------------------------------------------------

    @property
    def on_drained(self) -> Callable[[], None] | None:
        """What to call when the client has caught up."""
        return self._stream.on_drained

    @on_drained.setter
    def on_drained(self, callback: Callable[[], None] | None) -> None:
        self._stream.on_drained = callback

    def feed(self, stream: int, data: bytes) -> None:
        if stream in self._wanted:
            self._stream.feed(stream, data)

    def full(self) -> bool:
        return self._stream.full()

    def end(self) -> None:
        self._stream.end()

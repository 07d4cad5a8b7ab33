"""A live session: starts the engine, sends it commands, and reads the recording as it grows.

    session (here)                             python -m tracer.engine
      | -- Launch, StepStage, Resume, ... -----> |     one end each of a socketpair; commands as JSON lines
      | <------------------------- doorbell ---- |     one byte whenever the file grew
      |            the recording file            |     appended there, indexed here; it is the only answer
      | <------------------------- closed ------ |     the engine has ended, and with it everything it traced

The container's terminal is a pty(7): its slave goes to the engine, which makes it the controlling terminal of the
foreground program; the master stays here, to be read as the container's screen and written as its keyboard. The
engine runs in a session of its own, so that Ctrl-C in this terminal reaches neither it nor its tracees.

Start it before importing anything slow: the stack comes up while the screen is being built.
"""

import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from functools import cached_property

from tracer.codec import encode_command
from tracer.commands import ArmBreakpoint, Command, Interrupt, Launch, Quit, Resume, StepEvent, StepStage
from tracer.events import RecordingEnded, StageEntered
from tracer.session.last_words import last_words
from tracer.session.recording import Recording
from tracer.session.session import Cursor, SessionError

QUIT_SECONDS = 15.0
"""How long the engine may take to bring the stack down before it is killed (the kernel then kills what it traced)."""
RETURNED = "back at the present; press again to go on"


class LiveSession:
    """An engine child and the recording it writes."""

    is_live = True

    def __init__(self, recording_path: str, launch: Launch, *, terminal_size: tuple[int, int] | None = None) -> None:
        """Start the engine and send it `launch`. `terminal_size` (rows, columns) asks for a terminal of its own."""
        self._path = recording_path
        self._closed = False
        self._quit = False
        self._complaint = ""
        self._stops_answered = 0
        """How many stops had been seen when the last request to go on was sent: each stop is answered once."""
        self._stepping = False
        """Whether a step has been sent and its hold has not come."""
        self._in_turn: list[int] = []
        """Stages entered at the moment that everything is held at, and not shown yet; indices, in order."""
        self.terminal_fd = -1
        slave = -1
        if terminal_size:
            self.terminal_fd, slave = os.openpty()
            os.set_blocking(self.terminal_fd, False)  # a program that is held takes no keys
            self.resize_terminal(*terminal_size)
        ours, theirs = socket.socketpair()
        self._complaints = tempfile.TemporaryFile(prefix="glassbottom-engine-")  # noqa: SIM115  # lives as long as the engine
        argv = [sys.executable, "-m", "tracer.engine", "--recording", recording_path, "--control", str(theirs.fileno())]
        passed = [theirs.fileno()]
        if slave >= 0:
            argv += ["--terminal", str(slave)]
            passed.append(slave)
        try:
            self._engine = subprocess.Popen(
                argv,
                pass_fds=passed,
                start_new_session=True,
                stdin=None if slave < 0 else subprocess.DEVNULL,
                stdout=None if slave < 0 else self._complaints,
                stderr=None if slave < 0 else self._complaints,
            )
        except OSError as error:
            raise SessionError(f"the engine cannot be started: {error}") from error
        finally:
            theirs.close()
            if slave >= 0:
                os.close(slave)
        self._control = ours
        self._control.setblocking(False)
        self.doorbell_fd = ours.fileno()
        self._send(launch)

    @cached_property
    def recording(self) -> Recording:
        """The recording; waits for the engine to have written its header."""
        while True:
            select.select([self._control], [], [])
            self._answer_doorbell()
            if self._has_header():
                return Recording(self._path, growing=True)
            if self._closed:
                raise SessionError(self.failure or "the engine ended before it recorded anything")

    @cached_property
    def cursor(self) -> Cursor:
        """Follows the end until it is moved back."""
        return Cursor(self.recording, follow=True)

    @property
    def held(self) -> bool:
        stops, releases = self.recording.stops, self.recording.releases
        return bool(stops) and not self.ended and (not releases or releases[-1] < stops[-1])

    @property
    def ended(self) -> bool:
        return self._closed

    @property
    def failure(self) -> str:
        if not self._closed:
            return ""
        if "recording" in self.__dict__:
            recording = self.recording
            if recording.complete:
                return self._why_nothing_ran
            if recording.indexed_bytes < recording.size_bytes:
                return ""  # it is not known yet how it ended
        status = self._engine.returncode
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        complaint = self._complaint.removeprefix("glassbottom engine: ")
        return complaint or f"the engine ended early ({how}), and with it everything that it traced"

    @cached_property
    def _why_nothing_ran(self) -> str:
        """Why the story has no end of its own: the stack did not come up. Empty where it has, or was quit."""
        ended = self.recording.event(len(self.recording) - 1)
        if self._quit or not isinstance(ended, RecordingEnded) or ended.exit_code is not None:
            return ""
        return ended.reason + last_words(self._path)

    def refresh(self) -> int:
        """Answer the doorbell and index what was written; how many events came."""
        self._answer_doorbell()
        if self._closed:
            self.recording.settle()
        came = self.recording.refresh()
        if self._stepping and self.held and self._stops_answered < len(self.recording.stops):
            self._stepping = False
            self._show_in_turn()
        return came

    def _show_in_turn(self) -> None:
        """Stages that are told behind another are entered with it: show the first, and let steps show the others."""
        recording = self.recording
        since = recording.releases[-1] if recording.releases else 0
        quiet = {stage["id"] for stage in recording.header.stages if not stage.get("hold", True)}
        entered = []
        for index, sequence in enumerate(recording.stages):
            if sequence > since:
                event = recording.event(sequence)
                if isinstance(event, StageEntered) and event.stage not in quiet:
                    entered.append(index)
        if len(entered) > 1 and self.cursor.follow:
            self.cursor.move_to_stage(entered[0])
            self._in_turn = entered[1:]

    def wait(self) -> None:
        """Wait until the engine has ended, without looking at what it wrote: for recording without a screen."""
        while not self._closed:
            select.select([self._control], [], [])
            self._answer_doorbell()

    def step_stage(self) -> str:
        if self._in_turn:
            self.cursor.move_to_stage(self._in_turn.pop(0))
            if not self._in_turn:
                self.cursor.to_end(follow=True)
            return ""
        answer = self._go_on(StepStage())
        self._stepping = self._stepping or not answer
        return answer

    def step_event(self) -> str:
        return self._go_on(StepEvent())

    def resume(self) -> str:
        """Run on without holding at any stage; a step key, or a pause, holds again."""
        stages = (str(stage["id"]) for stage in self.recording.header.stages)
        return self._go_on(*(ArmBreakpoint(stage, False) for stage in stages), Resume())

    def interrupt(self) -> str:
        if self.ended:
            return "the run is over"
        if self.held:
            return "everything is held already"
        self.cursor.to_end(follow=True)
        self._send(Interrupt())
        return ""

    def arm(self, stage: str, armed: bool) -> None:
        """Hold at a stage from now on, or stop doing so."""
        self._send(ArmBreakpoint(stage, armed))

    def back(self) -> str:
        if self.cursor.previous_stage():
            return ""
        self.cursor.move_to(0)
        return "before the first stage: containerd and the daemon were being started"

    def forward(self) -> str:
        if self.cursor.at_end or not self.cursor.next_stage():
            self.cursor.to_end(follow=True)
            return "this is the present; Space goes on"
        return self._reached()

    def back_event(self) -> str:
        return "" if self.cursor.previous_happening() else "this is the beginning of the recording"

    def forward_event(self) -> str:
        if not self.cursor.next_happening():
            self.cursor.to_end(follow=True)
            return "this is the present; c goes on by one call"
        return self._reached()

    def first(self) -> str:
        if self.recording.stages:
            self.cursor.move_to_stage(0)
        return self._reached()

    def last(self) -> str:
        self.cursor.to_end(follow=True)
        return ""

    def resize_terminal(self, rows: int, columns: int) -> None:
        """Set the window size of the container's terminal; the kernel sends SIGWINCH to who is attached to it."""
        if self.terminal_fd >= 0:
            fcntl.ioctl(self.terminal_fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def quit(self) -> None:
        """Ask the engine to end everything, and wait for it."""
        self._quit = self._quit or not self._closed
        self._send(Quit())
        deadline = time.monotonic() + QUIT_SECONDS
        while not self._closed and (left := deadline - time.monotonic()) > 0:
            readable = [fd for fd in (self.doorbell_fd, self.terminal_fd) if fd >= 0]
            ready, _, _ = select.select(readable, [], [], left)
            if self.terminal_fd in ready:
                self._drain_terminal()
            self._answer_doorbell()
        if not self._closed:
            self._engine.send_signal(signal.SIGKILL)
            self._over()
        self._control.close()
        if self.terminal_fd >= 0:
            os.close(self.terminal_fd)
            self.terminal_fd = -1

    @property
    def in_turn(self) -> bool:
        return bool(self._in_turn)

    def _go_on(self, *commands: Command) -> str:
        self._in_turn.clear()
        if not self.cursor.at_end:
            self.cursor.to_end(follow=True)
            return RETURNED
        self.cursor.follow = True
        if self.ended:
            return "the run is over; ← and → move through it"
        if not self.held or self._stops_answered == len(self.recording.stops):
            return "running already"
        self._stops_answered = len(self.recording.stops)
        for command in commands:
            self._send(command)
        return ""

    def _reached(self) -> str:
        """At the last event, be at the present again."""
        if self.cursor.at_end:
            self.cursor.follow = True
        return ""

    def _send(self, command: Command) -> None:
        line = encode_command(command).encode()
        while line and not self._closed:
            try:
                line = line[self._control.send(line) :]
            except BlockingIOError:
                select.select([], [self._control], [])
            except (BrokenPipeError, ConnectionResetError):
                return  # it has ended; the doorbell will say so

    def _answer_doorbell(self) -> None:
        while not self._closed:
            try:
                rung = self._control.recv(4096)
            except BlockingIOError:
                return
            except ConnectionResetError:
                rung = b""
            if not rung:
                self._over()

    def _over(self) -> None:
        """The engine has ended: take its status and its last words."""
        self._closed = True
        self._engine.wait()
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        self._complaint = lines[-1] if lines else ""
        self._complaints.close()

    def _drain_terminal(self) -> None:
        """Keep the container's last output from blocking its end."""
        try:
            if not os.read(self.terminal_fd, 65536):
                raise OSError
        except BlockingIOError:
            return
        except OSError:  # EIO: nobody has the terminal open any more
            os.close(self.terminal_fd)
            self.terminal_fd = -1

    def _has_header(self) -> bool:
        try:
            with open(self._path, "rb") as file:
                return b"\n" in file.readline()
        except FileNotFoundError:
            return False

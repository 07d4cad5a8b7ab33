"""A session over a finished recording: every request moves the cursor, nothing runs.

Needs neither Linux nor ptrace nor the kernel the recording was made on: the recording describes itself.
"""

from tracer.session.recording import Recording
from tracer.session.session import Cursor

NONE = "the recording holds no stage; . goes on by one call, End to what is there last"
NO_MORE = "this is the last stage of the recording; End shows what came after it"


class ReplaySession:
    """The story of a file. Opens at the first stage, where a live session would be held first."""

    is_live = False
    held = False
    in_turn = False
    ended = True
    failure = ""
    terminal_fd = -1
    doorbell_fd = -1

    def __init__(self, path: str) -> None:
        self.recording = Recording(path)
        self.cursor = Cursor(self.recording, follow=False)
        self._placed = False

    def refresh(self) -> int:
        """Index some more of the file; the cursor is put on the first stage as soon as that has been found."""
        found = self.recording.refresh()
        if not self._placed and (self.recording.stages or not found):
            self._placed = True
            self.first()
        return found

    def step_stage(self) -> str:
        if not self.recording.stages:
            return NONE
        return "" if self.cursor.next_stage() else NO_MORE

    def step_event(self) -> str:
        return "" if self.cursor.next_happening() else "this is the end of the recording"

    def resume(self) -> str:
        self.cursor.to_end(follow=False)
        return "replay: at the end of the recording"

    def interrupt(self) -> str:
        return "nothing is running: this is a recording"

    def back(self) -> str:
        if self.cursor.previous_stage():
            return ""
        self.cursor.move_to(0)
        return "before the first stage: containerd and the daemon are being started"

    def forward(self) -> str:
        return self.step_stage()

    def back_event(self) -> str:
        return "" if self.cursor.previous_happening() else "this is the beginning of the recording"

    def forward_event(self) -> str:
        return self.step_event()

    def first(self) -> str:
        if self.recording.stages:
            self.cursor.move_to_stage(0)
        else:
            self.cursor.move_to(0)
        return ""

    def last(self) -> str:
        self.cursor.to_end(follow=False)
        return ""

    def quit(self) -> None:
        self.recording.close()

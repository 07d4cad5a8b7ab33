"""The session's commands, carried out."""

from typing import Protocol

from tracer.commands import ArmBreakpoint, Command, Interrupt, Launch, Quit, Resume, StepEvent, StepStage
from tracer.engine.breakpoints import Breakpoints
from tracer.engine.loop import Loop


class Ending(Protocol):
    """What can be asked of the story."""

    def quit(self) -> None:
        """End everything."""


def obey(command: Command, loop: Loop, breakpoints: Breakpoints, story: Ending) -> None:
    """Carry out one command. The recording shows what came of it."""
    match command:
        case Resume():
            loop.release()
        case StepEvent():
            breakpoints.next_event()
            loop.release()
        case StepStage():
            breakpoints.next_stage()
            loop.release()
        case Interrupt():
            loop.interrupt()
        case ArmBreakpoint(stage, armed):
            breakpoints.arm(stage, armed)
        case Quit():
            story.quit()
        case Launch():
            pass  # given once, before the loop began

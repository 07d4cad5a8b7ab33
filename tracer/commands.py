"""What a session tells the engine. The other half of the vocabulary is `events`.

 session                                   engine
   | Launch ------------------------------> |  starts the background programs, waits until each listens,
   |                                        |  runs what prepares the story, and then starts the
   |                                        |  foreground program on the terminal
   | <------------------------------ 1 byte |  the recording grew (any number of events may share a byte)
   | Resume/StepEvent/StepStage/Interrupt-> |  answered by what the recording shows: HoldReleased, StopReached
   | ArmBreakpoint -----------------------> |
   | Quit --------------------------------> |  background programs get SIGTERM, the rest SIGKILL; RecordingEnded
   | <------------------------------- close |  the engine has ended and everything it traced is gone

Commands travel as JSON lines over a socket; the recording itself is the answer, so nothing is said twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Speed = Literal["full", "filtered", "wire", "processes"]


@dataclass(frozen=True, slots=True)
class Program:
    """A program for the engine to start."""

    argv: tuple[str, ...]
    environment: tuple[str, ...]
    """`NAME=value` pairs: the whole environment."""
    cwd: str
    listens_on: str = ""
    """For background programs: it is ready when it has called listen(2) on a socket bound to this path."""
    label: str = ""
    """For people: `containerd`, `daemon`."""
    seen_at: str = ""
    """A link to `listens_on` that the engine makes when this listens and every call is watched: who is told this path
    instead can connect to nobody before."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A process that runs already, and is to be followed."""

    pid: int
    start_time: int
    """Clock ticks since boot, field 22 of proc_pid_stat(5): pids are used again."""
    label: str
    """For people: `dockerd`."""


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the story. Must be the first command, and is given once."""

    background: tuple[Program, ...]
    """Started in order before the story begins, all at once; their start-up is recorded without holding."""
    foreground: Program
    stages: tuple[Mapping[str, object], ...]
    lesson: str
    seats: Mapping[str, str]
    hold: bool
    """True: hold at every stage (a breakpoint is armed on each). False: record straight through."""
    preparations: tuple[Program, ...] = ()
    """Run to their end, one after the other, when all background programs listen: an image to be loaded first."""
    typed: tuple[str, ...] = ()
    """`docker run ...` as the user typed it, for the header; the foreground program has words of its own."""
    speed: Speed = "full"
    """`full`: every call is recorded. `filtered`: only those that the stages, the decoders and the table of sockets
    need, and every call of a process that installs a seccomp filter of its own; a note says which. `wire`: so for the
    background programs themselves, which then run at nearly full speed; of all other processes every call.
    `processes`: of what is attached no call at all, only births, execs, signals and ends; of all others every call."""
    attach: tuple[Attached, ...] = ()
    """Processes that run already, followed instead of a background of our own; let go at the end, never killed."""
    recorded_first: tuple[str, ...] = ()
    """The real parts that have deadlines, and would not wait while everything is held: for the header."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Let everything run until an armed breakpoint, or to the end when none is armed."""


@dataclass(frozen=True, slots=True)
class StepEvent:
    """Let everything run until the next call (entry or exit) or process event of the story's processes."""


@dataclass(frozen=True, slots=True)
class StepStage:
    """Let everything run until the next stage, armed or not."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Hold everything now."""


@dataclass(frozen=True, slots=True)
class ArmBreakpoint:
    """Hold at this stage from now on, or stop doing so."""

    stage: str
    armed: bool = True


@dataclass(frozen=True, slots=True)
class Quit:
    """End the story: stop everything that was launched, close the recording, and exit."""


Command = Launch | Resume | StepEvent | StepStage | Interrupt | ArmBreakpoint | Quit

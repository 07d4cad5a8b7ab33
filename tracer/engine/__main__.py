"""The engine's command line: with a session at its control socket, or by itself.

python -m tracer.engine --recording FILE --control FD [--terminal FD]    what a session starts
python -m tracer.engine --recording FILE -- PROGRAM [ARGUMENT...]        records straight through, exits as it did
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from tracer import codec
from tracer.codec import RecordingError
from tracer.commands import Launch, Program
from tracer.engine import bindings, syscalls
from tracer.engine.breakpoints import Breakpoints
from tracer.engine.calls import Calls
from tracer.engine.census import Census
from tracer.engine.chronicle import Chronicle, Decoder, NoDecoder, NoStages, StageMatcher
from tracer.engine.control import Control
from tracer.engine.fdtable import FdTable
from tracer.engine.loop import Loop
from tracer.engine.plans import Plan, compile_plans
from tracer.engine.recorder import Recorder
from tracer.engine.seccomp_filter import ALWAYS, Filter, OwnFilters, program
from tracer.engine.spawn import Signals, Streams, inherited_signals
from tracer.engine.story import Story
from tracer.events import RecordingHeader, SyscallSignature
from tracer.redact import Redactor

_AFFINITY_CALLS = ("sched_getaffinity", "sched_setaffinity")


def main(arguments: Sequence[str] | None = None) -> int:
    """Record one run; the foreground program's exit code."""
    options = _parser().parse_args(arguments)
    inherited = inherited_signals()
    try:
        control = Control(options.control) if options.control is not None else None
        launch = _first_command(control) if control else _by_itself(options)
        if launch is None:
            return 0  # the session went away before it asked for anything
        return _record(launch, options, control, inherited)
    except (OSError, RecordingError) as error:
        sys.stderr.write(f"glassbottom engine: {_sentence(error)}\n")
        return 125


def _sentence(error: OSError | RecordingError) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    return str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tracer.engine", description="Record everything a program does.")
    parser.add_argument("--recording", required=True, metavar="FILE", help="the recording to write")
    parser.add_argument("--control", type=int, metavar="FD", help="socket on which a session gives commands")
    parser.add_argument("--terminal", type=int, default=-1, metavar="FD", help="terminal for the foreground program")
    parser.add_argument("--speed", choices=("full", "filtered"), default="full", help="without --control: how much")
    parser.add_argument("program", nargs="*", metavar="PROGRAM", help="without --control: what to run")
    return parser


def _first_command(control: Control) -> Launch | None:
    command = control.first()
    if command is not None and not isinstance(command, Launch):
        raise RecordingError(f"the first command must be Launch, not {type(command).__name__}")
    return command


def _by_itself(options: argparse.Namespace) -> Launch:
    environment = tuple(f"{name}={value}" for name, value in os.environ.items())
    program = Program(tuple(options.program), environment, os.getcwd())
    return Launch((), program, (), "", {}, hold=False, speed=options.speed)


def _record(launch: Launch, options: argparse.Namespace, control: Control | None, inherited: Signals) -> int:
    machine = syscalls.machine()
    signatures = syscalls.signatures(machine)
    redactor = Redactor()
    recorder = Recorder(options.recording)
    recorder.header(_header(launch, machine, signatures, redactor))
    breakpoints = Breakpoints()
    if launch.hold:
        for stage in launch.stages:
            if stage.get("hold", True):
                breakpoints.arm(str(stage.get("id", "")), True)
            else:
                breakpoints.pass_by(str(stage.get("id", "")))
    decoder, matcher = _decoders(launch, machine, signatures) if control else (NoDecoder(), NoStages())
    chronicle = Chronicle(recorder, decoder, matcher, breakpoints)
    census = Census(chronicle, redactor)
    affinity = census.affinity
    own_filters = OwnFilters(chronicle, census)
    fdtable = FdTable()
    plans = compile_plans(
        signatures,
        {**fdtable.effects(), **dict.fromkeys(_AFFINITY_CALLS, affinity.after_call)},
        {
            **dict.fromkeys(_AFFINITY_CALLS, affinity.before_call),
            **dict.fromkeys(("clone", "clone3"), census.before_clone),
            "seccomp": own_filters.before_seccomp,
            "prctl": own_filters.before_prctl,
            "rt_sigreturn": lambda task: calls.before_sigreturn(task),
        },
        machine,
    )
    calls = Calls(chronicle, census, plans, fdtable, redactor, bindings.AUDIT_ARCH[machine])
    loop = Loop(chronicle, census, calls)
    if options.terminal >= 0:
        os.set_inheritable(options.terminal, False)
    filtered = _filter(machine, chronicle, plans, fdtable) if launch.speed in ("filtered", "wire") else None
    story = Story(loop, chronicle, control, Streams(terminal=options.terminal, signals=inherited), filtered)
    loop.course = calls.ears = story
    calls.gate = loop
    _listen(loop, control, inherited, in_own_terminal=options.terminal < 0)
    # Everything made so far lives as long as the engine: no need to walk it at every collection.
    gc.collect()
    gc.freeze()
    story.begin(launch)
    loop.run()
    signal.setitimer(signal.ITIMER_REAL, 0)
    story.finish()
    return story.exit_code if story.exit_code is not None else 125


def _filter(machine: str, chronicle: Chronicle, plans: Mapping[int, Plan], fdtable: FdTable) -> Filter:
    """The filter that stops at what anybody listens to: the decoders, the stages, the engine itself."""
    from tracer.decode.pipeline import Pipeline

    needed = fdtable.lasting_effects().keys() | ALWAYS | frozenset(_AFFINITY_CALLS)
    numbers = chronicle.entry_numbers | chronicle.exit_numbers
    # Where nothing is decoded while it is recorded, it may be afterwards.
    numbers |= Pipeline({number: plan.name for number, plan in plans.items()}).exit_numbers
    numbers |= {number for number, plan in plans.items() if plan.name in needed}
    names = tuple(sorted(plans[number].name for number in numbers))
    tgkill = next((number for number in numbers if plans[number].name == "tgkill"), -1)
    return Filter(machine, program(numbers, bindings.AUDIT_ARCH[machine], tgkill), names)


def _decoders(launch: Launch, machine: str, signatures: dict[int, SyscallSignature]) -> tuple[Decoder, StageMatcher]:
    """What makes messages, actions and stages of the calls. Raises RecordingError where a stage is wrong."""
    # Imported here: a recording of plain calls does without them, and starts 50 ms earlier.
    from tracer.decode.pipeline import Pipeline
    from tracer.stages.matcher import Matcher
    from tracer.stages.pattern import StageError, parse_stages

    names = {number: signature.name for number, signature in signatures.items()}
    try:
        return Pipeline(names, machine), Matcher(parse_stages(launch.stages), names, machine)
    except StageError as error:
        raise RecordingError(str(error)) from error


def _listen(loop: Loop, control: Control | None, inherited: Signals, *, in_own_terminal: bool) -> None:
    """From here on signals mean something, but for those that whoever started us wants ignored."""
    for number in {signal.SIGALRM, signal.SIGIO, *({signal.SIGTERM, signal.SIGHUP} - inherited.ignored)}:
        signal.signal(number, loop.notice)
    # Without a terminal of its own the foreground program shares ours: Ctrl-C is meant for it, and when it ends, so do
    # we. With one, SIGINT can only come from somebody who means the engine.
    deaf = in_own_terminal or signal.SIGINT in inherited.ignored
    signal.signal(signal.SIGINT, signal.SIG_IGN if deaf else loop.notice)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    if control is not None:
        control.watch()
        loop.notice(signal.SIGIO)  # commands that came together with the first raise no signal any more


def _header(
    launch: Launch, machine: str, signatures: dict[int, SyscallSignature], redactor: Redactor
) -> RecordingHeader:
    redactor.mask_environment(launch.foreground.environment)  # learns what is secret before anything is written
    return RecordingHeader(
        version=codec.VERSION,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        kernel=os.uname().release,
        architecture=machine,
        command=redactor.mask_command(launch.foreground.argv),
        seats=dict(launch.seats),
        stages=launch.stages,
        syscalls=signatures,
        mode=launch.speed,
        lesson=launch.lesson,
        typed=redactor.mask_command(launch.typed),
        recorded_first=launch.recorded_first,
    )


if __name__ == "__main__":
    sys.exit(main())

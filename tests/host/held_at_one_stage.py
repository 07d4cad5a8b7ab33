"""`glassbottom run` that holds at one stage only, where the verb holds at all: no stepping there, a key at a time.

    python tests/host/held_at_one_stage.py STAGE DOCKER-RUN-WORDS...

The same screen, engine and stack. A line is typed at once, for the container's shell to read.
"""

import os
import sys

from tracer.launch import prepare
from tracer.run_words import take_apart
from tracer.session.live import LiveSession
from tracer.stop_signals import StopSignals

if __name__ == "__main__":
    stage, *words = sys.argv[1:]
    with StopSignals() as stop, prepare(take_apart(words, ()), hold=False) as prepared:
        session = LiveSession(prepared.recording, prepared.launch, terminal_size=(24, 80))
        session.arm(stage, armed=True)
        os.write(session.terminal_fd, b"typed\r")
        from tracer.tui.app import run_live  # while the stack comes up, as the verb does

        sys.exit(run_live(session, stop))

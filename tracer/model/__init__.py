"""The trace model: everything a recording says, kept so that each view of any moment is a question.

`TraceModel.apply_line` (or `apply`) takes the events in order. Nothing is ever undone: every fact carries the
sequence number at which it became known, and views ask for "what was so at the cursor". Stepping back costs nothing.

Calls, of which there may be a million, are kept as numbers in arrays (about 11 bytes a call); their arguments stay in
the recording until a row is looked at. Processes, messages, actions and stages are few and are objects.

No IO and no terminal here; a session brings the lines, widgets and reports ask.

    processes.py      who made whom, execs, seats, pids, ends
    conversation.py   messages with both their ends, request and response, containerd's events
    phases.py         folding of runs of ordinary calls
    statistics.py     calls, errors, bytes and times by seat and stage; purposes.py says what each call was for
    links.py          causes and effects: which calls carried a message, what a request led to
"""

from tracer.model.links import Link, Links
from tracer.model.processes import NOBODY, Branch, Execution, Process
from tracer.model.trace import Action, StageSeen, TraceModel

__all__ = ["NOBODY", "Action", "Branch", "Execution", "Link", "Links", "Process", "StageSeen", "TraceModel"]

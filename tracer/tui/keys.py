"""Every key of the trace screen in one table: the bindings, the key bar and the help page are made from it."""

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that can be asked for by key."""

    keys: str
    """Textual's key names, comma separated; the first is the one that is shown."""
    action: str
    shown: str
    """How the key is written for people."""
    label: str
    """One or two words for the key bar; empty keeps it off the bar."""
    help: str


STORY = (
    Key("space,s", "step_stage", "Space", "next stage", "run on to the next stage, and hold everything there"),
    Key("c", "step_event", "c", "next call", "run on by one system call or process event"),
    Key("r", "resume", "r", "continue", "run on without holding (in a recording: go to its end)"),
    Key("p", "interrupt", "p", "pause", "hold everything that runs, now"),
    Key("left,b", "back", "←", "back", "look at the stage before; nothing that runs is touched"),
    Key("right,f", "forward", "→", "forward", "look at the stage after, up to the present"),
    Key("comma", "back_event", ",", "", "look one call back"),
    Key("full_stop", "forward_event", ".", "", "look one call forward"),
    Key("home", "first", "Home", "", "look at the first stage"),
    Key("end", "last", "End", "", "return to the present (in a recording: its end)"),
    Key("g", "stages", "g", "stages", "all stages of the story; Enter there goes to one"),
    Key("i", "statistics", "i", "numbers", "the story in numbers: calls, errors, bytes, times, by layer and stage"),
)
PANES = (
    Key("tab", "next_pane", "Tab", "", "go to the next pane (Shift-Tab: the one before)"),
    Key("shift+tab", "previous_pane", "Shift-Tab", "", ""),
    Key("1", "pane(1)", "1-6", "panes", "1 conversation, 2 events, 3 processes, 4 calls, 5 the story, 6 terminal"),
    *(Key(str(number), f"pane({number})", str(number), "", "") for number in range(2, 7)),
    Key("z", "zoom", "z", "zoom", "give the pane all between title and keys, or take it back"),
    Key("slash", "search", "/", "search", "search in the pane as you type; n and N go to the next and the last match"),
    Key("n", "search_next", "n", "", ""),
    Key("N", "search_previous", "N", "", ""),
)  # fmt: skip
ROWS = (
    Key("enter", "open", "Enter", "look inside", "everything about the chosen row: JSON, headers, arguments"),
    Key("o", "source", "o", "source", "the source lines that make this stage happen, when the program is ours"),
    Key("x", "fold", "x", "fold", "unfold or fold the chosen run of calls, or what is below a process"),
    Key("X", "fold_all", "X", "", "unfold or fold all runs of calls"),
    Key("a", "everyone", "a", "", "calls of everyone in one list, or of one process"),
)
PROGRAM = (
    Key("t", "theme", "t", "", "light or dark"),
    Key("question_mark", "help", "?", "help", "this page"),
    Key("q,ctrl+q,ctrl+c", "leave", "q", "quit", "end the run, clean up, and leave"),
)
GROUPS = (
    ("Through the story", STORY),
    ("Between panes", PANES),
    ("In a pane", ROWS),
    ("Glassbottom", PROGRAM),
)
OF_PANES = frozenset(
    (
        *("pane", "next_pane", "previous_pane", "zoom", "search", "search_next", "search_previous"),
        *("open", "fold", "fold_all", "everyone"),
    )
)
"""The actions that are about a pane or its rows: where none is shown they do nothing."""
LEAVE_TERMINAL = "ctrl+right_square_bracket"
"""Gives the keyboard back to Glassbottom while the container's terminal has it (telnet's key, for the same reason)."""


def bindings() -> list[BindingType]:
    """The table as Textual bindings."""
    return [Binding(key.keys, key.action, key.label or key.help, show=False) for _, group in GROUPS for key in group]

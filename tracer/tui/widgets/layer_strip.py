"""The six seats from the keypress down, the one that acts now lit: by colour, by a heavy frame, and by ▶ ◀.

╭────────╮ HTTP ┏━━━━━━━━━━┓ gRPC ╭────────────╮ exec ╭──────╮ exec ╭─────────╮ execve ╭───────────╮
│ client │──────┃▶ daemon ◀┃──────│ containerd │──────│ shim │──────│ runtime │────────│ container │
╰────────╯      ┗━━━━━━━━━━┛      ╰────────────╯ ttRPC╰──────╯      ╰─────────╯        ╰───────────╯
"""

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from tracer.stages.layers import Layer
from tracer.tui.view import TraceView

BETWEEN = ("HTTP", "gRPC", "ttRPC", "exec", "execve")
"""How each seat reaches the next."""


class LayerStrip(Widget):
    """Three lines where there is room, else one."""

    def __init__(self, view: TraceView) -> None:
        super().__init__(id="layer-strip")
        self.view = view
        self._lit: Layer | None = None
        self._taken: set[Layer] = set()

    def update_strip(self) -> None:
        """The cursor has moved."""
        self._lit = self.lit()
        self._taken = self.view.model.processes.layers_at(self.view.cursor)
        self.refresh()

    def lit(self) -> Layer | None:
        """The seat that acts at the cursor."""
        return self.view.seat_here()

    def render_line(self, y: int) -> Strip:
        draw = self._frame(y, self._lit, self._taken) if self.size.height >= 3 else self._line(self._lit, self._taken)
        return Strip(draw).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def _style(self, layer: Layer, lit: Layer | None, taken: set[Layer]) -> Style:
        ink = self.view.ink
        if layer is lit:
            return ink.badge
        return ink.layer(layer) if layer in taken else ink.dim

    def _line(self, lit: Layer | None, taken: set[Layer]) -> list[Segment]:
        pieces = [Segment(" ")]
        for place, layer in enumerate(Layer):
            name = f"▶{layer}◀" if layer is lit else layer.value
            pieces += [Segment(" › " if place else "", self.view.ink.dim)]
            pieces += [Segment(name, self._style(layer, lit, taken))]
        return pieces

    def _frame(self, y: int, lit: Layer | None, taken: set[Layer]) -> list[Segment]:
        ink = self.view.ink
        names = [f"▶ {layer} ◀" if layer is lit else f"  {layer}  " for layer in Layer]
        room = self.size.width - 2 - sum(len(name) + 2 for name in names)
        link = max(3, room // len(BETWEEN))
        pieces = [Segment(" ")]
        for place, (layer, name) in enumerate(zip(Layer, names, strict=True)):
            style = self._style(layer, lit, taken)
            edges, bar = ("┏━┓┃┗┛", "━") if layer is lit else ("╭─╮│╰╯", "─")
            frame = ink.lit if layer is lit else style
            if y == 0:
                pieces.append(Segment(edges[0] + bar * len(name) + edges[2], frame))
            elif y == 1:
                pieces += [Segment(edges[3], frame), Segment(name, style), Segment(edges[3], frame)]
            else:
                pieces.append(Segment(edges[4] + bar * len(name) + edges[5], frame))
            if place < len(BETWEEN):
                text = {0: BETWEEN[place].center(link), 1: "─" * (link - 1) + "▸"}.get(y, " " * link)
                pieces.append(Segment(text, ink.dim))
        return pieces

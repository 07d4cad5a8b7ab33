"""Colours: two themes, and the inks that rows are written with.

The palette follows the boat: sunlight at the client, deeper water at every layer below, violet at the container. All
text inks keep a contrast of at least 7:1 on their background, and nothing is said by colour alone: every state has a
glyph or a word too, so that NO_COLOR and a bad projector lose nothing.
"""

from dataclasses import dataclass

from rich.style import Style
from textual.theme import Theme

from tracer.stages.layers import Layer

DARK = Theme(
    name="glassbottom-dark",
    dark=True,
    primary="#6cc6f5",
    secondary="#7ee0c3",
    accent="#ffd479",
    foreground="#dbe9f1",
    background="#06131c",
    surface="#0a1c28",
    panel="#0f2938",
    success="#8fe388",
    warning="#ffd479",
    error="#ff9c94",
    variables={"dim": "#93acba", "edge": "#2a4a5c", "chosen": "#17435c", "lit": "#ffd479", "on-lit": "#06131c"},
)
LIGHT = Theme(
    name="glassbottom-light",
    dark=False,
    primary="#00507d",
    secondary="#005a45",
    accent="#6b4400",
    foreground="#10232e",
    background="#f4f8fa",
    surface="#ffffff",
    panel="#e3edf2",
    success="#0f5c1c",
    warning="#6b4400",
    error="#9c1010",
    variables={"dim": "#40535e", "edge": "#9db4c0", "chosen": "#cfe6f4", "lit": "#00507d", "on-lit": "#ffffff"},
)
_LAYERS_DARK = ("#9ad8ff", "#7ee0c3", "#f0dc82", "#ffb985", "#ff9db0", "#cdb4ff")
_LAYERS_LIGHT = ("#004b80", "#005a45", "#5c4b00", "#7a3200", "#8c1030", "#4b2a99")


@dataclass(frozen=True, slots=True)
class Ink:
    """The styles rows are written with, made once for each theme."""

    plain: Style
    dim: Style
    strong: Style
    code: Style
    """Code in a sentence."""
    lit: Style
    """For what is chosen, current, or belongs to it."""
    badge: Style
    good: Style
    bad: Style
    chosen: Style
    """Background of the chosen row in the pane that has the focus."""
    resting: Style
    """Background of the chosen row in the others."""
    found: Style
    """What a search matched."""
    layers: dict[Layer, Style]

    def layer(self, layer: Layer | str | None) -> Style:
        """A seat's own ink; plain for whoever has no seat."""
        try:
            return self.layers[Layer(layer)] if layer else self.plain
        except ValueError:
            return self.plain


def ink_of(theme: Theme) -> Ink:
    """The inks of a theme."""
    variables = theme.variables
    layers = _LAYERS_DARK if theme.dark else _LAYERS_LIGHT
    return Ink(
        plain=Style(color=theme.foreground),
        dim=Style(color=variables["dim"]),
        strong=Style(color=theme.foreground, bold=True),
        code=Style(color=theme.primary, bold=True),
        lit=Style(color=variables["lit"], bold=True),
        badge=Style(color=variables["on-lit"], bgcolor=variables["lit"], bold=True),
        good=Style(color=theme.success),
        bad=Style(color=theme.error, bold=True),
        chosen=Style(bgcolor=variables["chosen"]),
        resting=Style(bgcolor=theme.panel),
        found=Style(underline=True, bold=True, color=variables["lit"]),
        layers={layer: Style(color=colour) for layer, colour in zip(Layer, layers, strict=True)},
    )

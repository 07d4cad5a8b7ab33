"""The screens: the trace itself, and what opens over it."""

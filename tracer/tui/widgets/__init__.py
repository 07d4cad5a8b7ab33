"""The panes and bars of the trace screen, one file each. They read the model and keep only view state."""

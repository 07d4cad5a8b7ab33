"""Snapshotters: how image layers become a root file system."""

"""Layer archives: a tar stream becomes a directory tree."""

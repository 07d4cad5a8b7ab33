"""One module per verb of the command line: ABOUT, FLAGS and `main(root, words)`, which returns the exit status."""

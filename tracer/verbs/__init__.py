"""The verbs of the command line, one module each: ``main(argv) -> exit code``, imported only when asked for."""

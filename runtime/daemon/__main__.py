"""`python -m runtime.daemon`: an Engine API daemon on top of containerd. The program itself is in `program.py`."""

import sys


def run() -> int:
    """Import what is needed, and no more, then be the daemon."""
    # Only unix sockets are served, but aiohttp's client half reads every CA certificate of the host when it is
    # imported: 50 ms of 200. It does without where Python was built without TLS, and that is what this looks like.
    sys.modules["ssl"] = None  # type: ignore[assignment]
    from runtime.daemon.program import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())

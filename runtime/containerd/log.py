"""What containerd says on stderr: one line a message, as its real counterpart does with `level=` and `msg=`."""

import json
import sys
import time


def info(message: str) -> None:
    """Say what happened."""
    _line("info", message)


def warn(message: str) -> None:
    """Say what went wrong without stopping us."""
    _line("warning", message)


def _line(level: str, message: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(f"time={stamp} level={level} msg={json.dumps(message)}\n")
    sys.stderr.flush()

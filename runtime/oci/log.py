"""The runtime's log: `--log FILE --log-format json|text --debug`, in the format of runc (logrus).

Callers depend on it: containerd's shim reads the *last* line with level "error" from the file and passes its `msg`
on to the user, where the docker CLI looks for the words that make the difference between exit status 126 and 127.
So an error is written once, last, and also on stderr for a human.

The log file is opened lazily and by path: nothing stays open that a container could inherit.
"""

import os
import sys
import time

from runtime.oci import plain_json


class Log:
    """Where the messages of one command go."""

    def __init__(self) -> None:
        self.path = ""
        self.format = "text"
        self.level_debug = False

    def debug(self, message: str) -> None:
        if self.level_debug:
            self._write("debug", message)

    def warning(self, message: str) -> None:
        self._write("warning", message)

    def error(self, message: str) -> None:
        """Report why the command failed: into the log, and on stderr whoever reads the log."""
        self._write("error", message)
        if self.path:
            sys.stderr.write(message + "\n")

    def _write(self, level: str, message: str) -> None:
        line = self._line(level, message)
        if not self.path:
            sys.stderr.write(line)
            sys.stderr.flush()
            return
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, line.encode("utf-8", "surrogateescape"))
        finally:
            os.close(fd)

    def _line(self, level: str, message: str) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.format == "json":
            return plain_json.dumps({"level": level, "msg": message, "time": stamp}) + "\n"
        quoted = message.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'time="{stamp}" level={level} msg="{quoted}"\n'


log = Log()
"""The one log of this process; `__main__` points it where the command line says."""

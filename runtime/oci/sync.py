"""What the parent, the intermediate and init say to each other while a container comes into being.

Counterpart: runc's libcontainer/sync.go. One packet socket pair, made by the parent; the intermediate and init share
the other end, one after the other, so there is never a doubt about who speaks. One packet is one word, or a word and
a text. Every `<-` and `->` is waited for: nobody runs ahead.

    parent (create, run, exec)                 intermediate                        init
      fork ------------------------------------->
      cgroups: create, put it in
      GO ---------------------------------------> setns to namespaces by path
                                                  unshare(CLONE_NEWUSER)
         <------------------------------ MAP_IDS  only with a new user namespace
      write uid_map, gid_map
      MAPPED -----------------------------------> become uid 0 of it, unshare the others
                                                  clone(CLONE_PARENT) -------------->  (init is the parent's child)
         <-------------------------- INIT_IS pid  exit
      reap the intermediate
      SET_UP ----------------------------------------------------------------------->  mounts, devices
         <-------------------------------------------------------------- RUN_HOOKS     still in the old root
      cgroup limits; prestart and createRuntime hooks
      HOOKS_RAN --------------------------------------------------------------------->  createContainer hooks,
                                                                                        pivot_root, lock everything down
         <------------------------------------------------------------------ READY
      state.json, pid file, exit                                                        waits in exec.fifo for `start`

    WARNING text can come before any word from below, for the log: its path means nothing inside the container.
    FAILED text can come from either at any arrow; an end of file without it means the process died.
    An end of file the other way (the parent died) makes the child exit: it never waits for someone who is gone.
"""

import os

from runtime.oci.errors import OCIError, describe
from runtime.oci.log import log

GO, MAP_IDS, MAPPED, INIT_IS, SET_UP = "go", "map-ids", "mapped", "init-is", "set-up"
RUN_HOOKS, HOOKS_RAN, READY, FAILED, WARNING = "run-hooks", "hooks-ran", "ready", "failed", "warning"

PACKET_BYTES = 65536


class Channel:
    """One end of the socket pair."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def say(self, word: str, text: str = "") -> None:
        os.write(self.fd, f"{word} {text}".encode("utf-8", "surrogateescape"))

    def warn(self, text: str) -> None:
        """Something for the log."""
        self.say(WARNING, text)

    def fail(self, error: Exception) -> None:
        """Why the speaker gives up; nobody is left to hear it when the parent has died, and that may be the reason."""
        try:
            self.say(FAILED, describe(error))
        except OSError:
            pass

    def hear(self, expected: str) -> str:
        """Wait for the expected word and return its text; FAILED and silence raise."""
        word, text = self._receive()
        while word == WARNING:
            log.warning(text)
            word, text = self._receive()
        if not word:
            raise OCIError(f"the other side died before it said {expected}")
        if word == FAILED:
            raise OCIError(text)
        if word != expected:
            raise OCIError(f"expected {expected}, heard {word}")
        return text

    def hear_end_of_file(self) -> None:
        """Wait until the other end is gone: closed by a successful execve. FAILED raises."""
        word, text = self._receive()
        if word:
            raise OCIError(text)

    def _receive(self) -> tuple[str, str]:
        try:
            packet = os.read(self.fd, PACKET_BYTES)
        except ConnectionResetError:  # the peer died with our last word unread
            packet = b""
        word, _, text = packet.decode("utf-8", "surrogateescape").partition(" ")
        return word, text

    def close(self) -> None:
        os.close(self.fd)

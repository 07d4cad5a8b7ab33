"""The key sequence that ends an attach and leaves the process running (moby: pkg/term/proxy.go).

The daemon looks for it, not the client, since only the daemon knows that what follows must not reach the process.
A sequence that turns out to be something else is passed on whole, with the bytes that looked like its beginning.
"""

DEFAULT = "ctrl-p,ctrl-q"

_CONTROL = {f"ctrl-{chr(letter)}": letter - 96 for letter in range(ord("a"), ord("z") + 1)} | {
    "ctrl-@": 0,
    "ctrl-[": 27,
    "ctrl-\\": 28,
    "ctrl-]": 29,
    "ctrl-^": 30,
    "ctrl-_": 31,
}


def parse(keys: str) -> bytes:
    """`ctrl-p,ctrl-q` or `a,b` as the bytes that a terminal sends for it. Raises ValueError."""
    found = bytearray()
    for key in (keys or DEFAULT).split(","):
        if len(key) == 1:
            found += key.encode()
        elif key.lower() in _CONTROL:
            found.append(_CONTROL[key.lower()])
        else:
            raise ValueError(f"Unknown character: '{key}'")
    return bytes(found)


class DetachFilter:
    """Passes input through until the sequence has been seen."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._seen = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence is now complete (what follows it is dropped)."""
        passed = bytearray()
        for byte in data:
            if byte == self._sequence[self._seen]:
                self._seen += 1
                if self._seen == len(self._sequence):
                    return bytes(passed), True
                continue
            passed += self._sequence[: self._seen]
            self._seen = 1 if byte == self._sequence[0] else 0
            if not self._seen:
                passed.append(byte)
        return bytes(passed), False

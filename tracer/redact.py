"""Secrets are masked while the recording is written: what is not in the file cannot leak from it.

Masked is what a learner may well have at hand: values of variables whose names say so (`REGISTRY_PASSWORD=...`) in
command lines, environments, env files, JSON and protobuf bodies; credentials in HTTP heads and in docker's own
config.json; and `--password`. `secret_spans` says where they stand. They are masked in the very event in which they
are first seen, and once such a value is known it is masked wherever it shows up later: in a write to a log, say.

A mask is as long as what it covers, so that lengths, offsets and chunk sizes in captured protocols stay true.

A stream (what one process reads from, or writes to, one file) is looked at with the end of what passed before, so that
a secret that is cut in two, or comes byte by byte, is masked too.

Left out: secrets that nothing marks as such; encodings of a secret (base64, Huffman-coded HPACK headers, compression);
a value of less than four bytes, or an ordinary word, where no name stands before it; of a known secret that is cut in
two, up to three bytes before the cut; two halves with a frame's or a chunk's head between them.
"""

import json
from collections.abc import Hashable, Iterable, Iterator, Mapping

from tracer.secret_spans import Span, is_sensitive, named_values

_PASSWORD_OPTIONS = (b"--password", b"--token", b"--secret")
_ENVIRONMENT_OPTIONS = (b"-e", b"--env")
_SHORTEST = 4
"""A shorter value is masked where it is named, but not hunted for elsewhere: `1` or `yes` would blot out everything."""
_ORDINARY = frozenset(
    b"true false null none json text host http https root docker runc crun container containerd unix "
    b"postgres mysql admin user default localhost basic bearer digest".split()
)
"""Likewise: these guard nothing, and masking them everywhere would blind the decoders."""
_CARRIED_BYTES = 256
"""How much of what passed is looked at again; more where a value that is still open began earlier."""
_OPEN_BYTES = 65536
"""The longest value that is followed from buffer to buffer."""
_STREAMS = 256
"""How many streams are remembered; the one that began first is forgotten first."""
_SHORT_BYTES = 256
"""How long a buffer may be that is remembered as clean."""
_CLEAN = 4096
"""How many of those are remembered before all are forgotten."""
_MASK = b"*"


class Redactor:
    """What is known to be secret, and the mask over it."""

    def __init__(self) -> None:
        self._known: list[tuple[bytes, bytes]] = []
        """Each secret with its mask, longest first: one that begins another must not leave the other's tail open."""
        self._secrets: set[bytes] = set()
        self._clean: set[bytes] = set()
        """Short buffers that hold none of them: the same paths and structures come again and again."""
        self._streams: dict[Hashable, bytes] = {}
        """The unmasked end of what passed last."""

    def learn(self, value: bytes) -> None:
        """Mask this value from now on, wherever it is seen, also as JSON strings spell it."""
        if len(value) < _SHORTEST or value.lower() in _ORDINARY or not value.strip(_MASK):
            return
        fresh = {value, *_json_spellings(value)} - self._secrets
        if fresh:
            self._secrets |= fresh
            ordered = sorted(self._secrets, key=len, reverse=True)
            self._clean.clear()
            self._known = [(secret, _MASK * len(secret)) for secret in ordered]

    def mask(self, data: bytes) -> bytes:
        """The same bytes, the same length, without secrets. Learns what is named in them first."""
        return self._masked(data)[0]

    def mask_all(
        self, data: Mapping[str, bytes | None], stream: Hashable = None, moved: int = -1
    ) -> dict[str, bytes | None]:
        """`mask` over a call's captured data.

        `stream` names what the buffer "1" is a part of, None where it is a part of nothing; `moved` is how many bytes
        were transferred, -1 where none were (yet).
        """
        clean = self._clean
        return {
            key: self._masked_part(value, stream, moved)
            if stream is not None and key == "1" and value
            else value
            if value is None or value in clean
            else self._masked(value)[0]
            for key, value in data.items()
        }

    def mask_text(self, text: str) -> str:
        """`mask` for text."""
        return _text(self.mask(_raw(text)))

    def mask_environment(self, environment: Iterable[str]) -> tuple[str, ...]:
        """`NAME=value` pairs, the values of sensitive names masked and remembered."""
        return tuple(_text(self._pair(_raw(pair))) for pair in environment)

    def mask_command(self, argv: Iterable[str]) -> tuple[str, ...]:
        """A command line, with the values of `-e NAME=value` and of `--password` masked and remembered."""
        return tuple(_text(argument) for argument in self._arguments(_raw(argument) for argument in argv))

    def mask_argv(self, data: bytes) -> bytes:
        """`mask_command` for arguments with a NUL between them, as execve's are captured."""
        return b"\0".join(self._arguments(data.split(b"\0")))

    def _masked(self, data: bytes) -> tuple[bytes, int]:
        """The masked bytes, and where the name of a value begins that `data` ends in; -1 where it ends in none."""
        spans = named_values(data)
        for span in spans:
            self._learn_from(span, data)
        masked = data
        for secret, mask in self._known:
            if secret in masked:
                masked = masked.replace(secret, mask)
        if not spans:
            if masked is data and len(data) <= _SHORT_BYTES:
                if len(self._clean) >= _CLEAN:
                    self._clean.clear()
                self._clean.add(data)
            return masked, -1
        covered = bytearray(masked)
        for span in spans:
            covered[span.start : span.end] = _MASK * (span.end - span.start)
        return bytes(covered), min((span.named_at for span in spans if span.open), default=-1)

    def _masked_part(self, data: bytes, stream: Hashable, moved: int) -> bytes:
        """`mask` for a part of a stream."""
        before = self._streams.get(stream, b"")
        joined = before + data
        masked, open_at = self._masked(joined)
        if begun := self._begun(joined):
            masked = masked[:-begun] + _MASK * begun
        if moved == len(data):
            begin = len(joined) - _CARRIED_BYTES if open_at < 0 else min(open_at, len(joined) - _CARRIED_BYTES)
            self._carry(stream, joined[max(0, begin, len(joined) - _OPEN_BYTES) :])
        elif moved > 0:
            self._streams.pop(stream, None)  # the rest was not captured: what comes next does not follow on this
        return masked[len(before) :]

    def _carry(self, stream: Hashable, tail: bytes) -> None:
        if stream not in self._streams and len(self._streams) >= _STREAMS:
            del self._streams[next(iter(self._streams))]
        self._streams[stream] = tail

    def _begun(self, data: bytes) -> int:
        """How many bytes at the end of `data` are the beginning of a known secret; 0 where they are too few to tell."""
        for secret, _ in self._known:
            head = secret[:_SHORTEST]
            at = data.find(head, max(0, len(data) - len(secret) + 1))
            while at >= 0:
                if secret.startswith(data[at:]):
                    return len(data) - at
                at = data.find(head, at + 1)
        return 0

    def _learn_from(self, span: Span, data: bytes) -> None:
        if not span.certain or span.open:
            return  # half a value, or a word that may be anything
        value = data[span.start : span.end]
        if span.in_json and b"\\" in value:
            try:
                # A line of output in a JSON log ends in a newline that belongs to no secret.
                value = json.loads(b'"%s"' % value).rstrip("\r\n").encode("utf-8", "surrogatepass")
            except ValueError:
                pass  # it only looked like JSON
        self.learn(value)

    def _arguments(self, argv: Iterable[bytes]) -> Iterator[bytes]:
        before = b""
        for argument in argv:
            yield self._argument(before, argument)
            before = argument

    def _argument(self, before: bytes, argument: bytes) -> bytes:
        if before in _ENVIRONMENT_OPTIONS:
            return self._pair(argument)
        if before in _PASSWORD_OPTIONS:
            return self._hide(argument)
        option, equals, value = argument.partition(b"=")
        if equals and option in _PASSWORD_OPTIONS:
            return option + b"=" + self._hide(value)
        if equals and option == b"--env":
            return option + b"=" + self._pair(value)
        if equals and option.startswith(b"-e") and not option.startswith(b"--"):
            return b"-e" + self._pair(argument[2:])
        return self.mask(argument)

    def _pair(self, pair: bytes) -> bytes:
        name, equals, value = pair.partition(b"=")
        if equals and value and is_sensitive(name.decode("utf-8", "replace")):
            return name + b"=" + self._hide(value)
        return self.mask(pair)

    def _hide(self, value: bytes) -> bytes:
        self.learn(value)
        return _MASK * len(value)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _json_spellings(value: bytes) -> Iterable[bytes]:
    """How JSON encoders write it: Python's with and without ASCII escapes, and Go's, which escapes HTML too."""
    text = value.decode("utf-8", "replace")
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    go = plain.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return {spelling.encode("utf-8", "replace") for spelling in (plain, json.dumps(text)[1:-1], go)}

"""Secrets are masked while the recording is written: what is not in the file cannot leak from it.

Masked is what a learner may well have in the environment or on the command line: values of variables whose names
say so (`REGISTRY_PASSWORD=...`), the values of `Authorization` and `X-Registry-Auth` headers, and `--password`. Once
such a value is known it is masked wherever it shows up later: in the config.json that the daemon makes of it, in the
environment of the container, in a write to a log.

A mask is as long as what it covers, so that lengths, offsets and chunk sizes in captured protocols stay true.

Left out: secrets that nothing marks as such, encodings of a known secret (base64, Huffman-coded HPACK headers), and
a known secret that is cut in two by separate writes.
"""

import re
from collections.abc import Iterable, Mapping

_NAMES = re.compile(
    r"pass(wd|word|phrase)?$|passw|secret|token|credential|api_?key|access_?key|private_?key|(^|_)auth($|_)|(^|_)key$|"
    r"(^|_)pwd?$",
    re.IGNORECASE,
)
_HARMLESS_NAMES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY"})
_HEADERS = re.compile(
    rb"(?i)(?:^|[\r\n])(?:proxy-)?(?:authorization|x-registry-auth|x-registry-config):[ \t]*(?:(?:basic|bearer)[ \t]+)?"
    rb"([^\r\n]+)"
)
_PASSWORD_OPTIONS = ("--password", "--token", "--secret")
_ENVIRONMENT_OPTIONS = ("-e", "--env")
_SHORTEST = 4
"""A shorter value is masked where it is named, but not hunted for elsewhere: `1` or `yes` would blot out everything."""
_MASK = b"*"


class Redactor:
    """What is known to be secret, and the mask over it."""

    def __init__(self) -> None:
        self._secrets: set[bytes] = set()
        self._pattern: re.Pattern[bytes] | None = None

    def learn(self, value: bytes) -> None:
        """Mask this value from now on, wherever it is seen."""
        if len(value) >= _SHORTEST and value not in self._secrets and value.strip(_MASK):
            self._secrets.add(value)
            # Longest first: a secret that begins another must not leave the other's tail in the open.
            ordered = sorted(self._secrets, key=len, reverse=True)
            self._pattern = re.compile(b"|".join(re.escape(secret) for secret in ordered))

    def mask(self, data: bytes) -> bytes:
        """The same bytes, the same length, without secrets. Learns the credentials of HTTP heads on the way."""
        if len(data) > 16 and (b"uth" in data or b"UTH" in data):
            for value in _HEADERS.findall(data):
                self.learn(value.strip())
        if self._pattern is None:
            return data
        return self._pattern.sub(lambda match: _MASK * len(match.group()), data)

    def mask_all(self, data: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
        """`mask` over a call's captured data."""
        return {key: value if value is None else self.mask(value) for key, value in data.items()}

    def mask_text(self, text: str) -> str:
        """`mask` for text."""
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def mask_environment(self, environment: Iterable[str]) -> tuple[str, ...]:
        """`NAME=value` pairs, the values of sensitive names masked and remembered."""
        return tuple(self._pair(pair) for pair in environment)

    def mask_command(self, argv: Iterable[str]) -> tuple[str, ...]:
        """A command line, with the values of `-e NAME=value` and of `--password` masked and remembered."""
        masked: list[str] = []
        before = ""
        for argument in argv:
            masked.append(self._argument(before, argument))
            before = argument
        return tuple(masked)

    def _argument(self, before: str, argument: str) -> str:
        if before in _ENVIRONMENT_OPTIONS:
            return self._pair(argument)
        if before in _PASSWORD_OPTIONS:
            return self._hide(argument)
        option, equals, value = argument.partition("=")
        if equals and option in _PASSWORD_OPTIONS:
            return f"{option}={self._hide(value)}"
        if equals and option == "--env":
            return f"{option}={self._pair(value)}"
        if equals and option.startswith("-e") and not option.startswith("--"):
            return f"-e{self._pair(argument[2:])}"
        return self.mask_text(argument)

    def _pair(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if equals and value and is_sensitive(name):
            return f"{name}={self._hide(value)}"
        return self.mask_text(pair)

    def _hide(self, value: str) -> str:
        raw = value.encode("utf-8", "surrogateescape")
        self.learn(raw)
        return "*" * len(raw)


def is_sensitive(name: str) -> bool:
    """Whether a variable's name says that its value is a secret."""
    return name not in _HARMLESS_NAMES and _NAMES.search(name) is not None

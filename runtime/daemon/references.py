"""Image names: `hostbox`, `docker.io/library/hostbox:latest`, a digest, an ID (distribution/reference).

containerd stores fully qualified names; people type and read familiar ones. A prefix of an image's ID is also a name.
"""

import re
from typing import NamedTuple

from runtime.daemon.errors import InvalidParameterError

_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_DOMAIN = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*)(?::\d+)?"
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_BRACKET = re.compile(r"(?P<not>\^?)(?P<ranges>(?:[^-\\](?:-[^-\\])?)+)", re.DOTALL)
"""What Go's path.Match takes between [ and ]; without escapes, which no name needs."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME_LENGTH = 255

HUB = "docker.io/"
LIBRARY = "docker.io/library/"

DEFAULT_IMAGE = "docker.io/library/hostbox:latest"
"""The one that the daemon builds by itself (see hostbox.py)."""

DANGLING = "moby-dangling@"
"""How moby names, in containerd, an image that people have no name for: this and its digest."""


class Reference(NamedTuple):
    """A full name in its parts."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """The name without tag and digest."""
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        """The full name as containerd keeps it."""
        return self.repository + (f"@{self.digest}" if self.digest else f":{self.tag}")


def parse(name: str) -> Reference:
    """Complete what people leave away: the domain, `library/` and the tag. Raises InvalidParameterError."""
    rest, at, digest = name.partition("@")
    path, tag = split_tag(rest)
    domain, slash, remainder = path.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost"):
        domain, remainder = "docker.io", path if slash else f"library/{path}"
    if domain == "index.docker.io":
        domain = "docker.io"
    if not _NAME.fullmatch(remainder):
        if remainder != remainder.lower() and _NAME.fullmatch(remainder.lower()):
            raise InvalidParameterError("invalid reference format: repository name must be lowercase")
        raise InvalidParameterError("invalid reference format")
    bad_end = rest.endswith(":") or (tag and not _TAG.fullmatch(tag)) or (at and not _DIGEST.fullmatch(digest))
    if bad_end or not _DOMAIN.fullmatch(domain):
        raise InvalidParameterError("invalid reference format")
    if len(remainder) + len(domain) + 1 > _NAME_LENGTH:
        raise InvalidParameterError(f"repository name must not be more than {_NAME_LENGTH} characters")
    # With a digest the tag says nothing any more: moby drops it, too.
    return Reference(domain, remainder, "" if digest else tag or "latest", digest)


def qualify(name: str) -> str:
    """The full name that containerd knows an image by: `hostbox` is `docker.io/library/hostbox:latest`."""
    return str(parse(name))


def familiar(full: str) -> str:
    """The name that people read: `docker.io/library/hostbox:latest` is `hostbox:latest`."""
    return full.removeprefix(LIBRARY).removeprefix(HUB)


def with_tag(name: str) -> str:
    """`hostbox` as dockerd names it in errors: `hostbox:latest`."""
    return name if split_tag(name)[1] or "@" in name else f"{name}:latest"


def split_tag(name: str) -> tuple[str, str]:
    """`a/b:c` as ("a/b", "c"). A colon before the last slash belongs to a registry's port."""
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        return head, tag
    return name, ""


def matches(full: str, pattern: str) -> bool:
    """Whether `docker images PATTERN` means this name (Go's path.Match, on the name with and without its tag)."""
    name = familiar(full)
    expression = _expression(pattern)
    return any(expression.fullmatch(one) for one in (name, name.partition("@")[0], split_tag(name)[0]))


def _expression(pattern: str) -> re.Pattern[str]:
    """A `*` does not go beyond a slash; a bracket that is not closed is an error."""
    out, rest = "", pattern
    while rest:
        head, rest = rest[0], rest[1:]
        if head in "*?":
            out += "[^/]" + ("*" if head == "*" else "")
        elif head == "\\" and rest:
            out, rest = out + re.escape(rest[0]), rest[1:]
        elif head == "[":
            inner, closed, rest = rest.partition("]")
            bracket = _BRACKET.fullmatch(inner)
            if not closed or not bracket:
                raise InvalidParameterError("syntax error in pattern")
            # Python knows more there than Go does, and warns of what may become operators on sets.
            out += "[" + bracket["not"] + re.sub(r"[^\w-]", r"\\\g<0>", bracket["ranges"]) + "]"
        else:
            out += re.escape(head)
    try:
        return re.compile(out)
    except re.error as error:
        raise InvalidParameterError("syntax error in pattern") from error

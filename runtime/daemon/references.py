"""Image names: `hostbox`, `docker.io/library/hostbox:latest`, a digest, an ID (distribution/reference).

containerd stores fully qualified names; people type and read familiar ones. A prefix of an image's ID is also a name.
"""

import os
import re

from runtime.daemon.errors import InvalidParameterError

_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

HUB = "docker.io/"
LIBRARY = "docker.io/library/"

DEFAULT_IMAGE = "docker.io/library/hostbox:latest"
"""The one that the daemon builds by itself (see hostbox.py)."""


def qualify(name: str) -> str:
    """The full name that containerd knows an image by: `hostbox` is `docker.io/library/hostbox:latest`."""
    rest, at, digest = name.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidParameterError("invalid reference format")
    path, tag = split_tag(rest)
    domain, slash, remainder = path.partition("/")
    if not slash or not ("." in domain or ":" in domain or domain == "localhost"):
        domain, remainder = "docker.io", path if slash else f"library/{path}"
    if rest.endswith(":"):
        raise InvalidParameterError("invalid reference format")
    if not _NAME.fullmatch(remainder) or (tag and not _TAG.fullmatch(tag)):
        if remainder != remainder.lower():
            raise InvalidParameterError("invalid reference format: repository name must be lowercase")
        raise InvalidParameterError("invalid reference format")
    full = f"{domain}/{remainder}"
    if at:
        return f"{full}@{digest}"
    return f"{full}:{tag or 'latest'}"


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


def go_architecture() -> str:
    """The machine in Go's words, which are the image-spec's."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}.get(machine, machine)

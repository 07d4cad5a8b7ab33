"""Which names containerd accepts for namespaces, containers and execs, and how large a label may be.

Real counterpart: containerd `identifiers/validate.go` and `labels/validate.go`. Identifiers become directory names (the
bundle), so the pattern also keeps `..` and `/` out.
"""

import re
from collections.abc import Mapping

from runtime.containerd.errors import InvalidArgumentError

PATTERN = r"^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$"
MAX_LENGTH = 76
MAX_LABEL = 4096
_IDENTIFIER = re.compile(PATTERN.removesuffix("$") + r"\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def problem(identifier: str) -> str:
    """Return why this is no identifier, or an empty string."""
    if not identifier:
        return "identifier must not be empty"
    if len(identifier) > MAX_LENGTH:
        return f'identifier "{identifier}" greater than maximum length ({MAX_LENGTH} characters)'
    return "" if _IDENTIFIER.match(identifier) else f'identifier "{identifier}" must match {PATTERN}'


def require_identifier(identifier: str, prefix: str = "") -> None:
    """Raise InvalidArgumentError unless this is an identifier."""
    if why := problem(identifier):
        raise InvalidArgumentError(prefix + why)


def require_labels(labels: Mapping[str, str], prefix: str = "") -> None:
    """Raise InvalidArgumentError for a label whose key and value together are over the limit."""
    for key, value in labels.items():
        if len(key) + len(value) > MAX_LABEL:
            shown = key[:64]
            raise InvalidArgumentError(
                f"{prefix}label key and value greater than maximum size ({MAX_LABEL} bytes), key: {shown}"
            )


def is_digest(digest: str) -> bool:
    """Say whether this is a sha256 digest as OCI writes it (it becomes a file name)."""
    return _DIGEST.match(digest) is not None

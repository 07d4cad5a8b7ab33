"""How a registry is told who asks (distribution: docs/spec/auth/token.md; RFC 9110, 11).

    daemon   -> registry   GET /v2/
    registry -> daemon     401, WWW-Authenticate: Bearer realm="https://auth/token",service="registry"
    daemon   -> realm      GET ?service=registry&scope=repository:library/alpine:pull   (with the password, if any)
    realm    -> daemon     {"token": "..."}
    daemon   -> registry   GET /v2/library/alpine/manifests/latest, Authorization: Bearer ...

Anybody may pull from a public repository, but even nobody needs a token. With `Basic` instead of `Bearer` the password
goes to the registry itself.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass

_PARAMETER = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Credentials:
    """What the client knows about the user, from `docker login`."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """Instead of a password: good for getting tokens."""
    registry_token: str = ""
    """A token ready for use."""

    @property
    def basic(self) -> str:
        """The value of an Authorization header, empty without a user."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}" if self.username else ""


@dataclass(frozen=True)
class Challenge:
    """What a registry asks for."""

    scheme: str
    """basic or bearer."""
    parameters: dict[str, str]


def read_credentials(header: str) -> Credentials:
    """Read X-Registry-Auth: JSON in base64url. What cannot be read counts as nothing, as in dockerd."""
    try:
        document = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error):
        return Credentials()
    if not isinstance(document, dict):
        return Credentials()
    words = [document.get(key) for key in ("username", "password", "identitytoken", "registrytoken")]
    return Credentials(*(word if isinstance(word, str) else "" for word in words))


def read_challenge(headers: list[str]) -> Challenge | None:
    """Of all WWW-Authenticate headers, the first whose scheme is known."""
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() in ("basic", "bearer"):
            pairs = {key.lower(): quoted or plain for key, quoted, plain in _PARAMETER.findall(rest)}
            return Challenge(scheme.lower(), {key: re.sub(r"\\(.)", r"\1", value) for key, value in pairs.items()})
    return None

"""Text cut down to what tells things apart in a list: the whole of it is one Enter away.

POST /v1.41/containers/<64 hex digits>/start               POST /containers/a8abe5dbbbd9/start
"/tmp/x/y/z/moby/<64 hex digits>/rootfs/dev"               "/tmp/…/a8abe5dbbbd9/rootfs/dev"
"/usr/lib/python3.11/lib-dynload/_json.cpython-311.so"     "/usr/…/lib-dynload/_json.cpython-311.so"
3<unix:[1120019->1120021,"/tmp/x/y/docker.sock"]>          3<unix:docker.sock>
"""

import re

_LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_VERSION = re.compile(r" /v1\.\d+/")
_LONG_PATH = re.compile(r"(?<![\w.…])(/[\w.+-]+)((?:/[\w.+:-]+){3,})")
_SOCKET = re.compile(r'<unix:\[\d+(?:->\d+)?(?:,"(?:[^"]*/)?([^"/]*)")?\]>')
_ANONYMOUS = re.compile(r"<anon_inode:\[?(\w+)\]?>")
LONG_PATH = 40
"""Paths up to this length stay whole."""


def short_title(title: str) -> str:
    """A message's title without what is the same in all of them: API version, the rest of a long id."""
    return _LONG_ID.sub(r"\1", _VERSION.sub(" /", title))


def short_files(text: str) -> str:
    """A call whose descriptors say what they are in a word or two: a unix socket by the name it is known by."""
    if "<" not in text:
        return text
    return _ANONYMOUS.sub(r"<\1>", _SOCKET.sub(lambda found: f"<unix:{found[1]}>" if found[1] else "<unix>", text))


def short_paths(text: str) -> str:
    """Some text with long ids and the middle of long paths left out."""
    if "/" not in text or len(text) < LONG_PATH:
        return text
    return _LONG_PATH.sub(_short_path, _LONG_ID.sub(r"\1", text))


def _short_path(match: re.Match[str]) -> str:
    if len(match[0]) <= LONG_PATH:
        return match[0]
    first, parts = match[1], match[2].split("/")[1:]
    kept = 2
    # A container's id tells more than what is below it: keep from there on.
    for place, part in enumerate(parts):
        if len(part) == 12 and all(digit in "0123456789abcdef" for digit in part):
            kept = min(len(parts) - place, 4)
    return f"{first}/…/{'/'.join(parts[-kept:])}"

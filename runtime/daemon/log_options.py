"""`--log-driver` and `--log-opt` of the json-file log (moby: daemon/logger/jsonfilelog, logger/loginfo.go, log_tag.go).

What no log could have is refused at create; what cannot be read as a number or a pattern fails the start, as in
dockerd. Left out, and refused by name: compression of rotated files. `mode=non-blocking` changes
nothing here: a file takes what it is given.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from runtime.daemon.errors import InvalidParameterError, NotModeledError, ServerError

_KNOWN = (
    "max-file max-size compress labels labels-regex env env-regex tag mode max-buffer-size "
    "cache-disabled cache-max-file cache-max-size cache-compress"
).split()
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp])?(?:i?b)?", re.IGNORECASE)
_FIELD = re.compile(r"\{\{ *\.(\w+) *\}\}")


@dataclass(frozen=True)
class LogOptions:
    """What the writer of a log has to know."""

    max_size_bytes: int = 0
    """When the file is this long the next line begins another one; 0 is never."""
    max_files: int = 1
    attributes: dict[str, str] = field(default_factory=dict)
    """Written with every line; `docker logs --details` shows them."""


def verify(log_config: dict[str, Any]) -> None:
    """Refuse a driver or an option that does not exist. Raises ApiError."""
    driver, options = log_config["Type"], log_config["Config"]
    if driver not in ("json-file", "none"):
        message = f'error looking up logging plugin {driver}: plugin "{driver}" not found'
        raise ServerError(message)
    for name in options:
        if driver == "json-file" and name not in _KNOWN:
            raise InvalidParameterError(f"unknown log opt '{name}' for json-file log driver")
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidParameterError(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options and mode != "non-blocking":
        raise InvalidParameterError("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
    if options.get("compress", "").lower() in ("1", "t", "true"):
        raise NotModeledError("--log-opt compress: compressing rotated log files is not modelled by this daemon")


def parse(options: dict[str, str], labels: dict[str, str], env: list[str], names: dict[str, str]) -> LogOptions:
    """Read the options of one container. Raises ServerError.

    Args:
        options: as `verify` has let them pass.
        labels: the container's.
        env: the container's, `NAME=value`.
        names: what a tag may speak of: `{{.Name}}`, `{{.ID}}` ...

    """
    try:
        files = int(options.get("max-file", "1"))
    except ValueError as error:
        raise _unreadable(f'strconv.Atoi: parsing "{options["max-file"]}": invalid syntax') from error
    if files < 1:
        raise _unreadable("max-file cannot be less than 1")
    variables = {name: value for name, _, value in (entry.partition("=") for entry in env)}
    attributes = _chosen(labels, options.get("labels", ""), options.get("labels-regex", ""))
    attributes |= _chosen(variables, options.get("env", ""), options.get("env-regex", ""))
    if tag := _FIELD.sub(lambda match: _named(names, match[1]), options.get("tag", "")):
        attributes["tag"] = tag
    return LogOptions(_size(options["max-size"]) if "max-size" in options else 0, files, attributes)


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise _unreadable(f"invalid size: '{text}'")
    size = int(float(match[1]) * 1000 ** ("kmgtp".index(match[2].lower()) + 1 if match[2] else 0))
    if not size:
        raise _unreadable("max-size must be a positive number")
    return size


def _chosen(values: dict[str, str], names: str, pattern: str) -> dict[str, str]:
    try:
        expression = re.compile(pattern) if pattern else None
    except re.error as error:
        raise _unreadable(f"error parsing regexp: {error}: `{pattern}`") from error
    wanted: Iterable[str] = names.split(",")
    return {name: value for name, value in values.items() if name in wanted or (expression and expression.search(name))}


def _named(names: dict[str, str], field_name: str) -> str:
    if field_name not in names:
        raise _unreadable(f"template: log-tag: can't evaluate field {field_name}; known are {', '.join(names)}")
    return names[field_name]


def _unreadable(why: str) -> ServerError:
    return ServerError(f"failed to initialize logging driver: {why}")

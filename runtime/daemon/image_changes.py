"""`docker import --change`: a few instructions of a Dockerfile, applied to an image's config.

Real counterpart: moby builder/dockerfile BuildFromConfig; the instructions are those of its `validCommitCommands`.
"""

import json
import posixpath
import re
import shlex
from typing import Any

from runtime.daemon.errors import InvalidParameterError

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")


def apply_changes(changes: list[str]) -> dict[str, Any]:
    """The config that these instructions make of nothing. Raises InvalidParameterError."""
    config: dict[str, Any] = {}
    for line in "\n".join(changes).splitlines():
        if not line.strip():
            continue
        instruction, _, rest = line.strip().partition(" ")
        change = _INSTRUCTIONS.get(instruction.lower())
        if change is None:
            raise InvalidParameterError(f"{instruction.lower()} is not a valid change command")
        change(config, rest.strip())
    return config


def _command(key: str) -> Any:
    def change(config: dict[str, Any], rest: str) -> None:
        config[key] = _list(rest) if _list(rest) is not None else ["/bin/sh", "-c", rest] if rest else []

    return change


def _text(key: str, instruction: str) -> Any:
    def change(config: dict[str, Any], rest: str) -> None:
        _require(instruction, rest, len(rest.split()) == 1)
        config[key] = rest

    return change


def _workdir(config: dict[str, Any], rest: str) -> None:
    _require("WORKDIR", rest, bool(rest))
    config["WorkingDir"] = posixpath.normpath(posixpath.join("/", config.get("WorkingDir", ""), rest))


def _env(config: dict[str, Any], rest: str) -> None:
    entries = {entry.partition("=")[0]: entry for entry in config.get("Env") or []}
    for key, value in _pairs("ENV", rest).items():
        entries[key] = f"{key}={value}"
    config["Env"] = list(entries.values())


def _label(config: dict[str, Any], rest: str) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **_pairs("LABEL", rest)}


def _expose(config: dict[str, Any], rest: str) -> None:
    ports = config.setdefault("ExposedPorts", {})
    _require("EXPOSE", rest, bool(rest))
    for word in rest.split():
        match = _PORT.fullmatch(word)
        if match is None:
            raise InvalidParameterError(f"invalid containerPort: {word}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 < first <= last < 65536:
            raise InvalidParameterError(f"invalid containerPort: {word}")
        ports.update({f"{port}/{match[3] or 'tcp'}": {} for port in range(first, last + 1)})


def _volume(config: dict[str, Any], rest: str) -> None:
    _require("VOLUME", rest, bool(rest))
    paths = _list(rest)
    config.setdefault("Volumes", {}).update({path: {} for path in (rest.split() if paths is None else paths)})


def _onbuild(config: dict[str, Any], rest: str) -> None:
    _require("ONBUILD", rest, bool(rest))
    config.setdefault("OnBuild", []).append(rest)


def _pairs(instruction: str, rest: str) -> dict[str, str]:
    """`a=b c="d e"`, or the old form `a b c` that means a = "b c"."""
    _require(instruction, rest, bool(rest))
    if "=" not in rest.split()[0]:
        key, _, value = rest.partition(" ")
        _require(instruction, rest, bool(value))
        return {key: value.strip()}
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise InvalidParameterError(f"{instruction} {rest}: {error}") from error
    for word in words:
        if "=" not in word or word.startswith("="):
            raise InvalidParameterError(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def _list(rest: str) -> list[str] | None:
    """The JSON form of an instruction, if it is one."""
    try:
        document = json.loads(rest) if rest.startswith("[") else None
    except ValueError:
        return None
    return document if isinstance(document, list) and all(isinstance(word, str) for word in document) else None


def _require(instruction: str, rest: str, enough: bool) -> None:
    if not enough:
        many = "exactly" if len(rest.split()) > 1 else "at least" if instruction in ("ENV", "LABEL") else "exactly"
        raise InvalidParameterError(f"{instruction} requires {many} one argument")


_INSTRUCTIONS = {
    "cmd": _command("Cmd"),
    "entrypoint": _command("Entrypoint"),
    "env": _env,
    "expose": _expose,
    "label": _label,
    "onbuild": _onbuild,
    "user": _text("User", "USER"),
    "volume": _volume,
    "workdir": _workdir,
}

"""`-v`, `--mount`, `--tmpfs` and the image's VOLUMEs as mount points (moby: volume/mounts/linux_parser.go).

-v /host:/in:ro     a bind; a missing source is made as a directory
-v name:/in         a named volume; made when missing
-v /in              an anonymous volume, which goes with the container
--mount type=...    the same in words; a missing source is an error
--tmpfs /in:size=1m a tmpfs
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from runtime.daemon.errors import InvalidParameterError, NotModeledError

_BIND_PROPAGATION = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_MODES = (_BIND_PROPAGATION, ("ro", "rw"), ("z", "Z"), ("nocopy",), ("consistent", "cached", "delegated"))
"""What `-v A:B:MODE` may say, one word of a kind."""


@dataclass(frozen=True)
class MountPoint:
    """One mount of a container, as `docker inspect` lists it."""

    type: str
    source: str
    destination: str
    read_only: bool = False
    mode: str = ""
    propagation: str = ""
    recursive: bool = True
    """Whether what is mounted below a bind's source comes along."""
    volume: str = ""
    """The volume's name; empty for a bind or a tmpfs."""
    anonymous: bool = False
    options: str = ""
    """tmpfs only: what `--tmpfs` had after the colon."""
    make_source: bool = False
    copy_up: bool = False
    """Whether the volume begins with what the image has at its place, if it is empty."""
    labels: dict[str, str] | None = None
    """Of the volume, should it have to be made."""
    driver: str = "local"
    """Of the volume, should it have to be made; there is only one."""
    driver_options: dict[str, str] | None = None
    """Of the volume, should it have to be made."""

    def lent(self, read_only: bool) -> "MountPoint":
        """The same for another container, which does not take a volume along when it goes."""
        return replace(self, read_only=self.read_only or read_only, anonymous=False, copy_up=False)

    def to_json(self) -> dict[str, Any]:
        """As it is kept on disk."""
        return asdict(self)


def parse(config: dict[str, Any], host: dict[str, Any], borrowed: Sequence[MountPoint] = ()) -> list[MountPoint]:
    """All mount points that a create request asks for, in the order in which they are mounted.

    Args:
        config: ContainerConfig, with the image's volumes.
        host: HostConfig, complete.
        borrowed: from other containers; what is asked for at the same place replaces it.

    """
    driver = host.get("VolumeDriver") or "local"
    points = [_from_bind(text, driver) for text in host.get("Binds") or []]
    points += [_from_mount(mount) for mount in host.get("Mounts") or []]
    points += [
        MountPoint("tmpfs", "", _absolute(path, path), options=options or "")
        for path, options in (host.get("Tmpfs") or {}).items()
    ]
    taken = {point.destination for point in points}
    if len(taken) < len(points):
        seen: set[str] = set()
        twice = next(p.destination for p in points if p.destination in seen or seen.add(p.destination))  # type: ignore[func-returns-value]
        raise InvalidParameterError(f"Duplicate mount point: {twice}")
    taken |= {point.destination for point in borrowed}
    points += [point for point in borrowed if point.destination not in {own.destination for own in points}]
    for path in config.get("Volumes") or {}:
        destination = _absolute(f"/{path.lstrip('/')}", path)  # `-v place` is `/place`, as in dockerd
        if destination not in taken:
            points.append(MountPoint("volume", "", destination, anonymous=True, copy_up=True, driver=driver))
    # A mount below another must come after it, or it would be hidden.
    return sorted(points, key=lambda point: (point.destination.count("/"), point.destination))


def _from_bind(text: str, driver: str) -> MountPoint:
    parts = text.split(":")
    if len(parts) == 1:
        return MountPoint("volume", "", _absolute(text, text), anonymous=True, copy_up=True, driver=driver)
    if len(parts) > 3 or not parts[0] or not parts[1]:
        raise InvalidParameterError(f"invalid volume specification: '{text}'")
    source, destination, mode = parts[0], _absolute(parts[1], text), parts[2] if len(parts) == 3 else ""
    words = mode.split(",") if mode else []
    said = [[word for word in words if word in kind] for kind in _MODES]
    if sum(map(len, said)) < len(words) or any(len(of_a_kind) > 1 for of_a_kind in said):
        raise InvalidParameterError(f"invalid mode: {mode}")
    read_only = "ro" in words
    propagation = next(iter(said[0]), "")
    if source.startswith("/"):
        if "nocopy" in words:
            raise InvalidParameterError(_misplaced(text, "bind", "VolumeOptions"))
        return MountPoint(
            "bind", os.path.normpath(source), destination, read_only, mode, propagation or "rprivate", make_source=True
        )
    if propagation:
        raise InvalidParameterError(_misplaced(text, "volume", "BindOptions"))
    _check_volume_name(source)
    return MountPoint(
        "volume",
        "",
        destination,
        read_only,
        mode or "z",
        volume=source,
        copy_up="nocopy" not in words,
        driver=driver,
    )


def _misplaced(text: str, kind: str, options: str) -> str:
    described = f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\""
    return f"{described}: field {options} must not be specified"


def _from_mount(mount: dict[str, Any]) -> MountPoint:
    kind, source, target = mount.get("Type", ""), mount.get("Source", ""), mount.get("Target", "")
    described = f'invalid mount config for type "{kind}"'
    if not target:
        raise InvalidParameterError(f"{described}: field Target must not be empty")
    if not target.startswith("/") or os.path.normpath(target) == "/":
        raise InvalidParameterError(f"{described}: invalid mount path: '{target}' mount path must be absolute")
    destination = os.path.normpath(target)
    read_only = bool(mount.get("ReadOnly"))
    if kind == "bind":
        if not source.startswith("/"):
            raise InvalidParameterError(f"{described}: invalid mount path: '{source}' mount path must be absolute")
        if not os.path.exists(source):
            raise InvalidParameterError(f"{described}: bind source path does not exist: {source}")
        asked = mount.get("BindOptions") or {}
        if asked.get("ReadOnlyForceRecursive"):
            raise NotModeledError("--mount bind-recursive=readonly: not modelled by the glassbottom daemon")
        propagation, recursive = asked.get("Propagation") or "rprivate", not asked.get("NonRecursive")
        if propagation not in _BIND_PROPAGATION:
            raise InvalidParameterError(f"{described}: invalid propagation mode: {propagation}")
        return MountPoint("bind", os.path.normpath(source), destination, read_only, "", propagation, recursive)
    if kind == "volume":
        if source:
            _check_volume_name(source)
        elif read_only:
            raise InvalidParameterError(f"{described}: must not set ReadOnly mode when using anonymous volumes")
        options = mount.get("VolumeOptions") or {}
        if options.get("Subpath"):
            raise NotModeledError("--mount volume-subpath: not modelled by the glassbottom daemon")
        driver = options.get("DriverConfig") or {}
        return MountPoint(
            "volume",
            "",
            destination,
            read_only,
            "z",
            volume=source,
            anonymous=not source,
            copy_up=not options.get("NoCopy"),
            labels=options.get("Labels"),
            driver=driver.get("Name") or "local",
            driver_options=driver.get("Options"),
        )
    if kind == "tmpfs":
        if source:
            raise InvalidParameterError(f"{described}: field Source must not be specified")
        asked = mount.get("TmpfsOptions") or {}
        options = [f"size={asked['SizeBytes']}"] if asked.get("SizeBytes") else []
        options += [f"mode={asked['Mode']:o}"] if asked.get("Mode") else []
        return MountPoint("tmpfs", "", destination, read_only, options=",".join(options))
    raise InvalidParameterError(f"{described}: mount type unknown")


def _absolute(path: str, text: str) -> str:
    if not path.startswith("/"):
        kind = "bind" if text.startswith("/") else "volume"
        raise InvalidParameterError(
            f"invalid volume specification: '{text}': invalid mount config for type \"{kind}\": invalid mount path: "
            f"'{path}' mount path must be absolute"
        )
    clean = os.path.normpath("/" + path.lstrip("/"))
    if clean == "/":
        raise InvalidParameterError(
            f"invalid volume specification: '{text}': invalid specification: destination can't be '/'"
        )
    return clean


def _check_volume_name(name: str) -> None:
    if not name[0].isalnum() or not all(letter.isalnum() or letter in "_.-" for letter in name):
        raise InvalidParameterError(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
        )

"""For which machine an image is: platforms in Go's words (containerd: platforms; image-spec, image-index.md)."""

import os
from typing import Any, NamedTuple

from runtime.daemon.errors import InvalidParameterError, NotFoundError

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

_VARIANTS = {"arm64": "v8", "arm": "v7"}
"""What a variant is that is not said."""


class Platform(NamedTuple):
    """linux/arm64/v8."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)

    def fits(self, described: dict[str, Any]) -> bool:
        """Whether an index's entry, or an image's config, is for this platform."""
        variant = described.get("variant") or _VARIANTS.get(self.architecture, "")
        mine = self.variant or _VARIANTS.get(self.architecture, "")
        system, architecture = described.get("os") or "linux", described.get("architecture")
        return (system, architecture, variant) == (self.os, self.architecture, mine)


def go_architecture() -> str:
    """The machine in Go's words, which are the image-spec's."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}.get(machine, machine)


def this_machine() -> Platform:
    """The platform of whatever runs here."""
    return Platform("linux", go_architecture())


def parse(text: str) -> Platform:
    """Read `--platform`: `linux/arm64/v8`, `linux/arm64`, `arm64`, `linux`; nothing is this machine."""
    words = text.lower().split("/") if text else []
    if len(words) > 3 or not all(words):
        raise InvalidParameterError(f'"{text}" is an invalid component of "{text}": platform specifier invalid')
    if len(words) == 1:
        words = [words[0], go_architecture()] if words[0] == "linux" else ["linux", words[0]]
    if not words:
        return this_machine()
    names = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm"}
    return Platform(words[0], names.get(words[1], words[1]), *words[2:])


def require(config: dict[str, Any], wanted: str, name: str) -> None:
    """Refuse an image for another platform than `--platform` says; a 404, so that the CLI pulls the right one."""
    platform = parse(wanted)
    if not platform.fits(config):
        actual = Platform(*(config.get(key) or "" for key in ("os", "architecture", "variant")))
        raise NotFoundError(
            f"image with reference {name} was found but does not match the specified platform: "
            f"wanted {platform}, actual: {actual}"
        )


def is_index(document: dict[str, Any]) -> bool:
    """Whether a document lists manifests rather than being one."""
    return document.get("mediaType") in INDEX_TYPES or isinstance(document.get("manifests"), list)


def choose(index: dict[str, Any], platform: Platform) -> dict[str, Any]:
    """The entry of an index that is for the platform. Raises NotFoundError as dockerd words it."""
    for entry in index.get("manifests") or []:
        # Attestations are listed beside images, as unknown/unknown: they never fit.
        if isinstance(entry, dict) and platform.fits(entry.get("platform") or {"architecture": platform.architecture}):
            return entry
    raise NotFoundError(f"no matching manifest for {platform} in the manifest list entries")

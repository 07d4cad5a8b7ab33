"""Apply a layer to a snapshot.

Real counterpart: containerd `services/diff/local.go`, `diff/apply/{apply,apply_linux}.go`.

The client names a blob and the mounts that Snapshots.Prepare gave it. Real containerd mounts a bind mount for this;
writing into its source comes to the same without one. For an overlay mount both write into the upper directory, with
whiteouts as overlayfs wants them there.

Left out on purpose: Diff.Diff (a layer from a snapshot: commit and build), encrypted layers and other stream
processors.
"""

from collections.abc import Sequence

from runtime.api.containerd import diff_pb2
from runtime.api.containerd.types_pb2 import Descriptor, Mount
from runtime.containerd.archive.apply import apply_layer
from runtime.containerd.archive.stream import LayerStream
from runtime.containerd.archive.whiteouts import OverlayWhiteouts, PlainWhiteouts
from runtime.containerd.content import ContentStore
from runtime.containerd.errors import ContainerdError, NotFoundError, UnimplementedError
from runtime.containerd.server import Call

_TAR = "application/vnd.oci.image.layer.v1.tar"
_LAYER_TYPES = (
    _TAR,
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)


class DiffService:
    """What unpacks every layer."""

    descriptor = diff_pb2.DESCRIPTOR.services_by_name["Diff"]

    def __init__(self, content: ContentStore) -> None:
        self._content = content

    async def apply(self, call: Call, request: diff_pb2.ApplyRequest) -> diff_pb2.ApplyResponse:
        kind = request.diff.media_type
        base = kind.partition("+")[0].removesuffix(".gzip").removesuffix(".zstd")
        if base not in _LAYER_TYPES:
            raise ContainerdError(f"failed to get stream processor for {kind}: no processor for media-type")
        try:
            blob = self._content.open(call.namespace, request.diff.digest)
        except NotFoundError as error:
            raise NotFoundError(f"failed to get reader from content store: {error}", bare=True) from None
        stream = LayerStream(blob)
        try:
            target, below = _target(request.mounts)
            await apply_layer(stream, target, OverlayWhiteouts() if below else PlainWhiteouts(), below)
        finally:
            stream.close()
        return diff_pb2.ApplyResponse(applied=Descriptor(media_type=_TAR, digest=stream.digest, size=stream.size))


def _target(mounts: Sequence[Mount]) -> tuple[str, list[str]]:
    """Return the directory to write into, and for an overlay the layers below it, nearest first."""
    if len(mounts) == 1:
        mount = mounts[0]
        if mount.type == "bind" and "ro" not in mount.options:
            return mount.source, []
        options = dict(option.partition("=")[::2] for option in mount.options)
        if mount.type == "overlay" and "upperdir" in options:
            return options["upperdir"], options.get("lowerdir", "").split(":")
    shown = ", ".join(f"{mount.type} {mount.source}" for mount in mounts) or "none"
    raise UnimplementedError(f"applying a layer to these mounts: {shown}")

"""From a blob to the bytes of a tar: decompress, count and hash on the way.

Real counterpart: containerd `archive/compression/compression.go`, `diff/apply/apply.go`. The digest of the
*uncompressed* stream is the layer's diff ID, by which the image's config names it.
"""

import gzip
import hashlib
import importlib
import os
import zlib
from typing import BinaryIO, Protocol, cast

from runtime.containerd.errors import UnimplementedError

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


class Readable(Protocol):
    """All that is needed of a source."""

    def read(self, size: int = ..., /) -> bytes: ...


class LayerStream:
    """The tar inside a blob."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb")
        magic = self._file.read(4)
        self._file.seek(0)
        # By its first bytes, not by its media type: images with the wrong one are common, and containerd looks too.
        self._source: Readable = self._file
        self.errors: tuple[type[Exception], ...] = (EOFError, zlib.error)
        """What a read raises for bytes that cannot be decompressed."""
        if magic[:2] == _GZIP:
            self._source = cast("BinaryIO", gzip.GzipFile(fileobj=self._file))
        elif magic == _ZSTD:
            self._source, error = _zstd(self._file)
            self.errors = (EOFError, error)
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """The digest of what has been read so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes of the tar."""
        data = self._source.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    def drain(self) -> None:
        """Read what follows the end of the archive (padding), which counts for the digest."""
        while self.read(_CHUNK):
            pass

    def close(self) -> None:
        """Close the blob."""
        self._file.close()


def _zstd(file: BinaryIO) -> tuple[Readable, type[Exception]]:
    # The standard library has it from Python 3.14 on; the backport is the same code under another name.
    for name in ("compression.zstd", "backports.zstd"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return cast("Readable", module.ZstdFile(file)), module.ZstdError
    raise UnimplementedError("layers compressed with zstd need Python 3.14, or the package backports.zstd")

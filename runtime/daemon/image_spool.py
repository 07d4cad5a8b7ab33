"""An archive that a client sends, on disk and uncompressed, for as long as it is read (moby: pkg/archive, graph tmp).

The file has no name (open(2), O_TMPFILE): whatever happens to the daemon, nothing of it is left. Archives come plain
or compressed by gzip, bzip2, xz or zstd; which one, their first bytes say.
"""

import bz2
import hashlib
import importlib
import lzma
import os
import zlib
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Protocol, Self

from runtime.daemon.errors import ServerError
from runtime.daemon.image_content import CHUNK_BYTES, Descriptor, Source, from_file


class BadArchiveError(ServerError):
    """What was sent is no archive; dockerd says so with 500."""


class Decompressor(Protocol):
    """What bz2, lzma, zlib and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_LONGEST_MAGIC = 6


def _compression(head: bytes) -> tuple[Callable[[], Decompressor], type[Exception]] | None:
    """What decompresses a file that begins so, and the error it raises."""
    if head.startswith(b"\x1f\x8b"):
        return lambda: zlib.decompressobj(wbits=31), zlib.error
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor, OSError
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor, lzma.LZMAError
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        # The standard library has it from Python 3.14 on; the backport is the same code under another name.
        for name in ("compression.zstd", "backports.zstd"):
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue
            return module.ZstdDecompressor, module.ZstdError
        raise BadArchiveError("archives compressed with zstd need Python 3.14, or the package backports.zstd")
    return None


class Spool:
    """The whole archive, uncompressed."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.file = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.file)

    async def fill(self, pieces: AsyncIterator[bytes]) -> None:
        """Take everything in. Raises BadArchiveError for bytes that cannot be decompressed."""
        head = b""
        unpacker: _Unpacker | None = None
        async for piece in pieces:
            if unpacker is None:
                head += piece
                if len(head) < _LONGEST_MAGIC:
                    continue
                unpacker, piece = _Unpacker(head), head
            self._append(unpacker.feed(piece))
        if unpacker is None:
            self._append(head)
        else:
            unpacker.finish()

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.file, rest) :]
        self.size += len(data)

    def source(self, start: int, size: int) -> Source:
        """A part of it, as a blob to be written."""
        return from_file(self.file, start, size)

    def read(self, start: int, size: int) -> bytes:
        """A small part of it."""
        return os.pread(self.file, size, start)

    def describe(self, media_type: str, start: int, size: int) -> Descriptor:
        """The descriptor of a part of it."""
        digest, end = hashlib.sha256(), start + size
        while piece := os.pread(self.file, min(CHUNK_BYTES, end - start), start):
            digest.update(piece)
            start += len(piece)
        return Descriptor(media_type, f"sha256:{digest.hexdigest()}", size)


class _Unpacker:
    """Decompresses what is pushed through it; a file may consist of several compressed ones."""

    def __init__(self, head: bytes) -> None:
        self._compression = _compression(head)
        self._engine = self._compression[0]() if self._compression else None

    def feed(self, data: bytes) -> bytes:
        if self._compression is None or self._engine is None:
            return data
        make, failure = self._compression
        out = bytearray()
        try:
            while data:
                if self._engine.eof:
                    data = data.lstrip(b"\0")  # padding behind the last one
                    self._engine = make() if data else self._engine
                    continue
                out += self._engine.decompress(data)
                data = self._engine.unused_data
        except (failure, EOFError) as error:
            raise BadArchiveError(f"Error processing tar file(exit status 1): {error}") from error
        return bytes(out)

    def finish(self) -> None:
        if self._engine is not None and not self._engine.eof:
            raise BadArchiveError("Error processing tar file(exit status 1): unexpected EOF")
